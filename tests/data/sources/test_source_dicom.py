"""A folder tree of DICOM files with reports beside it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite

from crossray.core.errors import CrossRayError
from crossray.data.rejection import Rejected
from crossray.data.sources import dicom_file
from crossray.data.sources.dicom import SHORT_SIDE, DicomSource
from crossray.data.sources.dicom_picture import dicom_picture
from support.dicom import PERSONAL, compressed, film, ramp, save

Judge = Callable[..., list[dict[str, Any]]]

REPORT = """Indication: cough.

Findings: The heart is large. Lungs are clear.

Comparison: none.

Conclusion: {}.
"""


def _pixels(row: dict[str, Any]) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(row["image"]))
    assert (image.format, image.mode) == ("PNG", "L")
    return np.asarray(image)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve films of six patients in nested folders, some without the suffix."""
    for number in range(12):
        suffix = ".dcm" if number % 3 else ""
        study = {"PatientID": f"p{number // 2}", "StudyInstanceUID": f"1.9.{number // 2}"}
        view = {"ViewPosition": "LL" if number % 2 else "PA"}
        dataset = film(ramp(), number, **study, **view)
        save(dataset, tmp_path / f"tree/p{number // 2}/deep/er/IM{number}{suffix}")
    return tmp_path


def test_films(root: Path, judge: Judge) -> None:
    """Both views of a study must stay together, and nothing but codes may come from the header."""
    rows = judge(DicomSource(str(root / "tree")))
    assert [row["reason"] for row in rows] == [None] * 12
    assert [row["item_id"] for row in rows] == [f"1.2.3.{number}" for number in range(12)]
    assert [row["group_id"] for row in rows] == [f"p{number // 2}" for number in range(12)]
    assert dict(rows[3]["meta"]) == {
        "study_id": "1.9.1", "modality": "DX", "body_part": "CHEST", "view": "LL",
    }  # fmt: skip
    assert rows[0]["texts"] == []
    assert np.array_equal(_pixels(rows[0]), np.rint(ramp() / 4095 * 255))
    everything = str([{k: v for k, v in row.items() if k != "image"} for row in rows])
    images = b"".join(row["image"] for row in rows)
    for value in (*PERSONAL.values(), "A0"):
        assert value not in everything
        assert value.encode() not in images


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.RLELossless,
        uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless,
        uid.JPEGExtended12Bit, uid.JPEGBaseline8Bit,
    ],
    ids=lambda syntax: syntax.name,
)  # fmt: skip
def test_transfer_syntaxes(tmp_path: Path, judge: Judge, syntax: uid.UID) -> None:
    """An archive keeps its films compressed; each must come out as its uncompressed twin."""
    bits = 8 if syntax == uid.JPEGBaseline8Bit else 12
    stored_HW = ramp(bits=bits).astype(np.uint8 if bits == 8 else np.uint16)
    dataset = film(stored_HW, WindowCenter=2 ** (bits - 1), WindowWidth=2**bits)
    save(dataset, tmp_path / "tree/a.dcm")
    if syntax.is_compressed:
        compressed(dataset, stored_HW, syntax)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
        if not syntax.is_little_endian:
            dataset.PixelData = stored_HW.byteswap().tobytes()
    dataset.SOPInstanceUID = "1.2.3.2"
    save(dataset, tmp_path / "tree/b.dcm")
    plain, other = map(_pixels, judge(DicomSource(str(tmp_path / "tree"))))
    lossy = syntax in (uid.JPEGExtended12Bit, uid.JPEGBaseline8Bit)
    assert np.abs(plain.astype(int) - other).max() <= (2 if lossy else 0)


def test_signed_jpeg(tmp_path: Path, judge: Judge) -> None:
    """Values below zero, read from JPEG as large positive ones, would turn air into metal."""
    stored_HW = ramp().astype(np.int16) - 1024
    tags = {"WindowCenter": 0, "WindowWidth": 4000, "BitsStored": 13, "HighBit": 12}
    dataset = film(stored_HW, **tags)
    save(dataset, tmp_path / "tree/a.dcm")
    compressed(dataset, (stored_HW & 0x1FFF).astype(np.uint16), uid.JPEGLSLossless)
    dataset.SOPInstanceUID = "1.2.3.2"
    save(dataset, tmp_path / "tree/b.dcm")
    plain, other = map(_pixels, judge(DicomSource(str(tmp_path / "tree"))))
    assert np.array_equal(plain, other)


def test_real_film(tmp_path: Path, judge: Judge) -> None:
    """A film must look as it did, inverted storage and twelve bits notwithstanding."""
    folder = Path(os.environ.get("CROSSRAY_TEST_DATA", "/nowhere")) / "covid_cxr/images"
    if not folder.is_dir():
        pytest.skip("there is no covid_cxr in $CROSSRAY_TEST_DATA")
    photo = Image.open(sorted(folder.glob("*.jpg"))[0]).convert("L")
    shown_HW = np.asarray(photo).astype(np.uint16)
    stored_HW = 4095 - shown_HW * 16
    window = {"WindowCenter": 4095 - 2040 + 0.5, "WindowWidth": 4081}
    dataset = film(stored_HW, PhotometricInterpretation="MONOCHROME1", **window)
    save(compressed(dataset, stored_HW, uid.JPEGLosslessSV1), tmp_path / "tree/film.dcm")
    (row,) = judge(DicomSource(str(tmp_path / "tree"), short_side=10_000))
    assert np.abs(_pixels(row).astype(int) - shown_HW).max() <= 1
    (row,) = judge(DicomSource(str(tmp_path / "tree"), short_side=100))
    small = _pixels(row).astype(float)
    assert min(small.shape) == 100
    reference = np.asarray(photo.resize(small.shape[::-1], Image.Resampling.BOX), float)
    assert np.corrcoef(small.ravel(), reference.ravel())[0, 1] > 0.99


def test_size(tmp_path: Path, judge: Judge) -> None:
    """Films of ten megapixels would make a set that no loader can read; small ones stay."""
    save(film(ramp(300, 200)), tmp_path / "tree/a.dcm")
    save(film(ramp(40, 30), 2), tmp_path / "tree/b.dcm")
    rows = judge(DicomSource(str(tmp_path / "tree"), short_side=100))
    assert [_pixels(row).shape for row in rows] == [(150, 100), (40, 30)]
    with pytest.raises(CrossRayError, match="--short-side 0"):
        DicomSource(str(tmp_path / "tree"), short_side=0).plan()


def test_colour(tmp_path: Path, judge: Judge) -> None:
    """Digitised films are often stored as RGB."""
    colours = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    tags = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    tags |= {"SOPClassUID": uid.SecondaryCaptureImageStorage, "BitsStored": 8, "HighBit": 7}
    save(film(colours, **tags), tmp_path / "tree/a.dcm")
    (row,) = judge(DicomSource(str(tmp_path / "tree")))
    assert np.array_equal(_pixels(row), np.asarray(Image.fromarray(colours).convert("L")))


def test_view_from_code(tmp_path: Path, judge: Judge) -> None:
    """A third of films have no view position, or one that is free text and may hold a name."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "R-10206", "SNM3"
    tags = {"ViewPosition": "", "ViewCodeSequence": [code], "ImageLaterality": "L"}
    save(film(ramp(), **tags), tmp_path / "tree/a.dcm")
    with pytest.warns(UserWarning, match="CS"):
        dataset = film(ramp(), 2, ViewPosition="Doe^Jane", BodyPartExamined="J. Doe, chest")
    save(dataset, tmp_path / "tree/b.dcm")
    first, second = (dict(row["meta"]) for row in judge(DicomSource(str(tmp_path / "tree"))))
    assert (first["view"], first["laterality"]) == ("AP", "L")
    assert second.keys() == {"study_id", "modality"}


def _hostile(folder: Path) -> list[tuple[str, str | None]]:
    """Files that are none, or not quite; with the reason that each must get."""
    whole = DicomBytesIO()
    film(ramp()).save_as(whole, enforce_file_format=True)
    data = whole.getvalue()
    lossless = DicomBytesIO()
    compressed(film(ramp()), ramp(), uid.JPEGLosslessSV1).save_as(
        lossless, enforce_file_format=True
    )
    jpeg = lossless.getvalue()
    start = jpeg.index(b"\xff\xc3") + 5
    plain: dict[str, tuple[bytes, str]] = {
        "empty.dcm": (b"", "broken image"),
        "empty": (b"", "not DICOM"),
        "notes.txt": (b"films of March", "not DICOM"),
        "photo.dcm": (b"\xff\xd8\xff\xe0" + bytes(500), "broken image"),
        "cut_in_header.dcm": (data[:400], "broken image"),
        "cut_in_pixels.dcm": (data[:-1000], "broken image"),
        "cut_jpeg.dcm": (jpeg[:-300], "broken image"),
        "zeros.dcm": (data[:132] + bytes(1000), "unsupported encoding"),
        "noise.dcm": (data[:132] + np.random.default_rng(0).bytes(5000), "unsupported encoding"),
        "other_frame.dcm": (
            jpeg[:start] + b"\xff\xff\xff\xff" + jpeg[start + 4 :], "broken image",
        ),
    }  # fmt: skip
    for name, (content, _) in plain.items():
        (folder / name).write_bytes(content)
    odd: dict[str, tuple[dict[str, Any], str]] = {
        "no_pixels.dcm": ({"Rows": 40}, "broken image"),
        "no_rows.dcm": ({"Rows": None}, "broken image"),
        "huge.dcm": ({"Rows": 65_535, "Columns": 65_535}, "image too large"),
        "more_rows.dcm": ({"Rows": 4_000}, "broken image"),
        "nan_width.dcm": ({"WindowCenter": 40, "WindowWidth": "nan"}, "broken image"),
        "word_width.dcm": ({"WindowCenter": 40, "WindowWidth": "1"}, "broken image"),
        "frames.dcm": ({"NumberOfFrames": 2, "PixelData": ramp().tobytes() * 2}, "several frames"),
        "palette.dcm": ({"PhotometricInterpretation": "PALETTE COLOR"}, "unsupported encoding"),
        "deep.dcm": ({"BitsAllocated": 32}, "unsupported encoding"),
        "burned.dcm": ({"BurnedInAnnotation": "YES"}, "text in the image"),
        "nameless.dcm": ({"SOPInstanceUID": " "}, "missing id"),
        "structured.dcm": ({"SOPClassUID": uid.BasicTextSRStorage}, "not an image"),
        "private.dcm": ({"SOPClassUID": "1.2.840.113619.4.27", "Rows": None}, "not an image"),
        "DICOMDIR": ({"SOPClassUID": uid.MediaStorageDirectoryStorage}, "not an image"),
    }
    for name, (tags, _) in odd.items():
        dataset = film(ramp(), **tags)
        if name == "no_pixels.dcm":
            del dataset.PixelData
        if name == "nameless.dcm":
            dataset.file_meta.MediaStorageSOPInstanceUID = "1.2"
        save(dataset, folder / name)
    width = (folder / "word_width.dcm").read_bytes()
    cut = width.index(b"DS", width.index(b"\x28\x00\x51\x10")) + 4
    (folder / "word_width.dcm").write_bytes(width[:cut] + b"x " + width[cut + 2 :])
    mpeg = film(ramp(), PixelData=encapsulate([b"mpeg"]))
    mpeg.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    save(mpeg, folder / "video.dcm")
    deflated = film(ramp())
    deflated.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    save(deflated, folder / "deflated.dcm")
    (folder / "link.dcm").symlink_to("/etc/hostname")
    reasons = {name: reason for name, (_, reason) in (plain | odd).items()}
    reasons |= dict.fromkeys(("video.dcm", "deflated.dcm"), "unsupported encoding")
    return sorted([*reasons.items(), ("link.dcm", "image outside the folder")])


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_hostile_files(tmp_path: Path, judge: Judge) -> None:
    """One damaged or foreign file must cost itself, not the night's ingest."""
    expected = _hostile(tmp_path)
    rows = judge(DicomSource(str(tmp_path)))
    assert sorted((row["where"], row["reason"]) for row in rows) == expected
    details = {row["where"]: row["detail"] for row in rows}
    assert "MPEG2" in details["video.dcm"]
    assert "gdcmconv --raw" in details["video.dcm"]
    assert not any(value in str(details) for value in PERSONAL.values())


def test_large_file(tmp_path: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cine loop of gigabytes must not be read into memory."""
    monkeypatch.setattr(dicom_file, "MAX_BYTES", 1000)
    save(film(ramp()), tmp_path / "a.dcm")
    assert [row["reason"] for row in judge(DicomSource(str(tmp_path)))] == ["image too large"]


def test_report_files(root: Path, judge: Judge) -> None:
    """A report is found by the study or by its accession number, and never from elsewhere."""
    reports = root / "reports"
    reports.mkdir()
    for number in range(5):
        (reports / f"1.9.{number}.txt").write_text(REPORT.format(f"Case {number}"), "utf-8")
    (reports / "1.9.3.txt").write_bytes(b"Findings: caf\xe9")
    (reports / "A11.txt").write_text("LUNGS ARE CLEAR.\nNO EFFUSION.", "utf-8")
    (root / "secret.txt").write_text("Findings: not for you.")
    evil = film(ramp(), 99, StudyInstanceUID="../secret", AccessionNumber="..")
    save(evil, root / "tree/zz/evil.dcm")
    rows = judge(DicomSource(str(root / "tree"), reports=str(reports)))
    assert rows[0]["texts"] == ["The heart is large.", "Lungs are clear.", "Case 0."]
    assert [section["name"] for section in rows[0]["sections"]] == ["findings", "impression"]
    assert rows[1]["texts"] == rows[0]["texts"]
    reasons = [(row["where"].rsplit("/")[-1], row["reason"]) for row in rows if row["reason"]]
    assert reasons == [
        ("IM6", "not UTF-8"), ("IM7.dcm", "not UTF-8"), ("IM10.dcm", "missing text"),
        ("evil.dcm", "missing text"),
    ]  # fmt: skip
    assert rows[11]["texts"] == ["LUNGS ARE CLEAR.", "NO EFFUSION."]


def test_a_report_without_text_leaves_its_film(tmp_path: Path, judge: Judge) -> None:
    """The same report would cost a film here and keep it beside MIMIC-CXR's."""
    (tmp_path / "tree").mkdir()
    save(film(ramp(), StudyInstanceUID="1.9.1"), tmp_path / "tree/a.dcm")
    (tmp_path / "1.9.1.txt").write_text("FINAL REPORT\n INDICATION: Cough.\n")
    (row,) = judge(DicomSource(str(tmp_path / "tree"), reports=str(tmp_path)))
    assert (row["reason"], row["texts"]) == (None, [])
    assert row["image"] is not None


@pytest.mark.parametrize(
    ("folders", "named"),
    [
        (["train", "Test"], True),
        (["train", "ward"], False),
        (["TEST"], False),
        (["train", "."], False),
    ],
)
def test_folders_that_are_splits(
    tmp_path: Path, judge: Judge, folders: list[str], named: bool
) -> None:
    """Test films would be drawn into training, or an archive's folder be taken for a split."""
    for number, folder in enumerate(folders):
        (tmp_path / folder).mkdir(exist_ok=True)
        save(film(ramp(), number), tmp_path / folder / f"{number}.dcm")
    source = DicomSource(str(tmp_path))
    assert bool(source.plan().notes) is named
    own = {source.plan().reader.row(row["where"]).get("split") for row in judge(source)}
    assert own == ({"train", "test"} if named else {None})


def test_report_table(root: Path, judge: Judge) -> None:
    """Reports are often exported as one table, with quotes and line breaks in its cells."""
    table = root / "reports.csv"
    lines = ["accession,text,findings,impression"]
    for number in range(12):
        text = REPORT.format(f'Case ""{number}""')
        lines.append(f'A{number},"{text}",Lungs clear.,Normal {number}.')
    lines += ["A3,again,again,again", ",nobody,,"]
    table.write_text("\ufeff" + "\n".join(lines), "utf-8")
    options = {"reports": str(table), "study_column": "accession"}
    source = DicomSource(str(root / "tree"), text_columns="text", **options)
    rows = judge(source)
    assert rows[7]["texts"] == ["The heart is large.", "Lungs are clear.", 'Case "7".']
    assert source.plan().notes == ("1 rows of reports repeat a study and were left out",)
    rows = judge(DicomSource(str(root / "tree"), text_columns="findings,impression", **options))
    assert rows[11]["texts"] == ["Lungs clear.", "Normal 11."]
    assert [section["name"] for section in rows[11]["sections"]] == ["findings", "impression"]
    assert rows[3]["texts"] == ["Lungs clear.", "Normal 3."]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("study,report\n1,x\n", "have no column 'study_id' .*--study-column"),
        ("study_id,text\n1,x\n", "have no column 'report' .*--text-columns"),
        ("", "have no column 'study_id'"),
        ('study_id,report\n1,"x" y\n', "not a CSV table in UTF-8"),
        ("study_id,r\xe9port\n1,x\n", "not a CSV table in UTF-8"),
    ],
)
def test_unusable_report_table(root: Path, content: str, message: str) -> None:
    """A mistake in a column's name must be told before a night of converting films."""
    table = root / "reports.csv"
    table.write_text(content, "latin-1")
    with pytest.raises(CrossRayError, match=message):
        DicomSource(str(root / "tree"), reports=str(table)).plan()


def _bare(dataset: Dataset, syntax: uid.UID, meta: bool = False) -> bytes:
    """A file without the preamble; with `meta` it begins with the file's own group."""
    buffer = DicomBytesIO()
    if meta:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()[132:]
    dcmwrite(
        buffer, dataset, force_encoding=True,
        implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian,
    )  # fmt: skip
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["IM1", "IM1.dcm"])
@pytest.mark.parametrize("meta", [False, True])
@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
def test_without_preamble(
    tmp_path: Path, judge: Judge, syntax: uid.UID, meta: bool, name: str
) -> None:
    """Old archives hold objects without the file's head; passed over, the films are lost."""
    dataset = film(ramp())
    if not syntax.is_little_endian:
        dataset.PixelData = ramp().byteswap().tobytes()
    file_meta = dataset.file_meta
    if not meta:
        del dataset.file_meta
    (tmp_path / name).write_bytes(_bare(dataset, syntax, meta))
    dataset.file_meta = file_meta
    (row,) = judge(DicomSource(str(tmp_path)))
    assert (row["reason"], row["item_id"]) == (None, "1.2.3.1")
    assert np.array_equal(_pixels(row), np.rint(ramp() / 4095 * 255))


def test_what_is_no_film_without_preamble(tmp_path: Path, judge: Judge) -> None:
    """Other files must not be taken for films, nor films that are damaged be passed over."""
    dataset = film(ramp())
    whole = _bare(dataset, uid.ExplicitVRLittleEndian, meta=True)
    jpeg = compressed(film(ramp()), ramp(), uid.JPEGLosslessSV1)
    packed = _bare(jpeg, uid.JPEGLosslessSV1, meta=True)
    deflated = _bare(film(ramp()), uid.DeflatedExplicitVRLittleEndian, meta=True)
    report = _bare(
        film(ramp(), SOPClassUID=uid.BasicTextSRStorage), uid.ExplicitVRLittleEndian, True
    )
    meta_length = whole.index(b"\x08\x00\x16\x00")
    noise = np.random.default_rng(0).bytes(3000)
    files = {
        "a": (b"\x08\x00", "not DICOM"),
        "b.dcm": (b"\x08\x00" + noise, "broken image"),
        "c": (b"\x08\x00" + noise, "not DICOM"),
        "d": (b"\x00\x08" + bytes(900), "not DICOM"),
        "e": (whole[:meta_length], "broken image"),
        "f": (whole[meta_length:-900], "broken image"),
        "g": (packed[packed.index(b"\x08\x00\x16\x00"):], "unsupported encoding"),
        "h": (deflated, "unsupported encoding"),
        "i": (report, "not an image"),
        "j": (packed, None),
    }  # fmt: skip
    for name, (data, _) in files.items():
        (tmp_path / name).write_bytes(data)
    rows = judge(DicomSource(str(tmp_path)))
    assert {row["where"]: row["reason"] for row in rows} == {
        name: reason for name, (_, reason) in files.items()
    }


def test_names_in_another_encoding(tmp_path: Path, judge: Judge) -> None:
    """One name that is not UTF-8 must not end the ingest of a whole archive."""
    for number, name in enumerate((b"film_\xe9.dcm", b"f\xfcr\xff/film.dcm", b"broken_\xe9.dcm")):
        path = tmp_path / os.fsdecode(name)
        save(film(ramp(), number), path)
    path.write_bytes(b"")
    rows = judge(DicomSource(str(tmp_path)))
    assert [(row["where"], row["reason"]) for row in rows] == [
        (r"broken_\xe9.dcm", "broken image"), (r"film_\xe9.dcm", None),
        (r"f\xfcr\xff/film.dcm", None),
    ]  # fmt: skip


def test_picture_of_a_file(tmp_path: Path, judge: Judge) -> None:
    """A query by a film must be the very picture that an ingest of the film stores."""
    path = save(film(ramp(900, 700)), tmp_path / "tree/a.dcm")
    (row,) = judge(DicomSource(str(tmp_path / "tree")))
    assert dicom_picture(path.read_bytes(), "", SHORT_SIDE) == row["image"]
    with pytest.raises(Rejected, match="not DICOM"):
        dicom_picture(b"words", "", SHORT_SIDE)
    with pytest.raises(Rejected, match="broken image"):
        dicom_picture(b"words", "film.dcm", SHORT_SIDE)


def test_missing_folders(root: Path) -> None:
    """A slip in a path must be told by name."""
    with pytest.raises(CrossRayError, match="there is no folder"):
        DicomSource(str(root / "nowhere")).plan()
    with pytest.raises(CrossRayError, match=r"reports .*nowhere cannot be read"):
        DicomSource(str(root / "tree"), reports=str(root / "nowhere")).plan()
