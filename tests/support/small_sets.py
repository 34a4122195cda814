"""One small set for every importer of images and texts, in its official layout."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crossray.data.sources import (
    coco,
    flickr8k,
    flickr30k,
    iapr_tc12,
    imageclef_caption,
    mirflickr,
    openi,
    pascal_sentence,
    wikipedia,
)
from crossray.data.sources.chexpert import LABELS, ChexpertSource
from crossray.data.sources.csv import CsvSource
from crossray.data.sources.dicom import DicomSource
from crossray.data.sources.huggingface import HuggingFaceSource
from crossray.data.sources.mimic_cxr import TABLE, MimicCxrSource
from crossray.data.sources.nus_wide import NusWideSource
from crossray.data.sources.openclipart import OpenClipartSource
from crossray.data.sources.source import Source
from support.dicom import film, ramp, save
from support.images import encoded_image

ROWS = 6
_WORDS = ("caf\u00e9 table", "red dog", "blue cat", "big tree", "small bird", "old car")
_SVG = """<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:cc="http://web.resource.org/cc/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<metadata><rdf:RDF><cc:Work rdf:about="">
<dc:title>{text}</dc:title><dc:description>A drawing of {text}</dc:description>
<dc:subject><rdf:Bag><rdf:li>food</rdf:li></rdf:Bag></dc:subject>
<cc:license rdf:resource="http://web.resource.org/cc/PublicDomain"/>
</cc:Work></rdf:RDF></metadata><path d="M0 0"/></svg>
"""
_REPORT = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR{at}"/><Abstract>
<AbstractText Label="FINDINGS">Heart {at} is large.</AbstractText>
<AbstractText Label="IMPRESSION">Cardiomegaly.</AbstractText></Abstract>
<MeSH><major>Cardiomegaly/mild</major></MeSH>
<parentImage id="CXR{at}_1"><caption>Chest PA</caption></parentImage></eCitation>
"""


@dataclass(frozen=True)
class SmallSet:
    """A set of `ROWS` rows or more.

    Attributes:
        source: reads it.
        folder: holds it.
        describing: files that say how others are to be read; damage to one concerns the whole set.
        own: files besides the images that belong to one row each, as a glob.
        listed: whether the rows are what lies in the folder, so that a lost file leaves no trace.
        drawn: whether the split of a row depends on the others'.
    """

    source: Source
    folder: Path
    describing: tuple[str, ...] = ()
    own: str | None = None
    listed: bool = False
    drawn: bool = False


def _image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded_image(seed, "PNG" if path.suffix == ".png" else "JPEG", side=8))


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _lines(path: Path, lines: Sequence[object]) -> None:
    _text(path, "".join(f"{line}\n" for line in lines))


def _table(path: Path, rows: Sequence[dict[str, str]], delimiter: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def _chexpert(root: Path) -> SmallSet:
    for part, first in (("train", 0), ("valid", ROWS // 2)):
        rows = []
        for at in range(first, first + ROWS // 2):
            name = f"{part}/patient{at:05d}/study1/view1_frontal.jpg"
            _image(root / name, at)
            head = {"Path": f"CheXpert-v1.0/{name}", "Sex": "Female", "Age": "61",
                    "Frontal/Lateral": "Frontal", "AP/PA": "AP"}  # fmt: skip
            rows.append({**head, **dict.fromkeys(LABELS, ""), "Edema": "1.0", "Fracture": "-1.0"})
        _table(root / f"{part}.csv", rows)
    return SmallSet(ChexpertSource(str(root)), root)


def _coco(root: Path) -> SmallSet:
    entries = []
    for part in coco.PARTS:
        images: list[Any] = []
        captions: list[Any] = []
        instances: list[Any] = []
        for at in range(ROWS // 2):
            name = f"COCO_{part}_{at:012d}.jpg"
            _image(root / part / name, at)
            images.append({"id": at, "file_name": name, "width": 40, "height": 20})
            for k in range(3):
                note = {"id": 10 * at + k, "image_id": at, "caption": f"{_WORDS[at]} {k}"}
                captions.append(note)
            instances.append(
                {"image_id": at, "category_id": at, "iscrowd": 0, "bbox": [1.5, 2, 3, 4]}
            )
            entries.append({"filename": name, "split": "train", "sentences": []})
        categories = [{"id": at, "name": word} for at, word in enumerate(_WORDS)]
        for kind, notes in (("captions", captions), ("instances", instances)):
            content = {"images": images, "annotations": notes, "categories": categories}
            _text(root / f"annotations/{kind}_{part}.json", json.dumps(content))
    return SmallSet(coco.CocoSource(str(root)), root)


def _csv(root: Path) -> SmallSet:
    rows = []
    for at in range(ROWS):
        _image(root / f"images/{at}.jpg", at)
        rows.append({"image": f"{at}.jpg", "id": f"i{at}", "a": _WORDS[at], "b": f"Number {at}",
                     "patient": f"p{at}", "split": "train", "labels": "a|b"})  # fmt: skip
    _table(root / "table.csv", rows)
    source = CsvSource(
        str(root / "table.csv"), str(root / "images"), text_columns="a,b", id_column="id",
        group_column="patient", split_column="split", label_column="labels",
    )  # fmt: skip
    return SmallSet(source, root)


def _dicom(root: Path) -> SmallSet:
    for at in range(ROWS):
        save(film(ramp(6, 8), at), root / f"films/{at}.dcm")
        _text(root / f"reports/A{at}.txt", f"FINDINGS: {_WORDS[at]}.\n\nIMPRESSION: Normal.\n")
    source = DicomSource(str(root / "films"), reports=str(root / "reports"))
    return SmallSet(source, root, own="reports/*.txt", listed=True)


def _flickr30k(root: Path) -> SmallSet:
    entries = []
    for at in range(ROWS):
        _image(root / flickr30k.IMAGES[0] / f"{at}.jpg", at)
        sentences = [{"raw": f"{_WORDS[at]} {k}"} for k in range(3)]
        entries.append({"filename": f"{at}.jpg", "split": "train", "sentences": sentences})
    _text(root / flickr30k.SPLIT, json.dumps({"images": entries, "dataset": "flickr30k"}))
    return SmallSet(flickr30k.Flickr30kSource(str(root)), root)


def _flickr8k(root: Path) -> SmallSet:
    for at in range(ROWS):
        _image(root / flickr8k.IMAGES / f"{at}.jpg", at)
    _lines(
        root / flickr8k.TOKENS,
        [f"{at}.jpg#{k}\t{_WORDS[at]} {k}" for at in range(ROWS) for k in range(3)],
    )
    for number, name in enumerate(flickr8k.LISTS):
        _lines(root / name, [f"{at}.jpg" for at in range(ROWS) if at % 3 == number])
    return SmallSet(flickr8k.Flickr8kSource(str(root)), root)


def _huggingface(root: Path) -> SmallSet:
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pictures = [{"bytes": encoded_image(at, "PNG", 8), "path": f"{at}.png"} for at in range(ROWS)]
    table = pa.table(
        {
            "image": pa.array(pictures, kind),
            "text": [[f"{_WORDS[at]} {k}" for k in range(3)] for at in range(ROWS)],
            "key": [f"k{at}" for at in range(ROWS)],
            "tag": ["a"] * ROWS,
        }
    )
    (root / "data").mkdir(parents=True)
    pq.write_table(table, root / "data/train-00000-of-00001.parquet")
    source = HuggingFaceSource(str(root), id_column="key", label_column="tag")
    return SmallSet(source, root)


def _iapr(root: Path) -> SmallSet:
    for at in range(ROWS):
        _image(root / f"images/00/{at}.jpg", at)
        text = (
            f"<DOC>\n<TITLE>{_WORDS[at]}</TITLE>\n<DESCRIPTION>a {_WORDS[at]};</DESCRIPTION>\n"
            f"<IMAGE>images/00/{at}.jpg</IMAGE>\n</DOC>\n"
        )
        _text(root / f"{iapr_tc12.ANNOTATIONS}/00/{at}.eng", text)
    _lines(root / "regions/00/labels.txt", [f"{at}\t1\t12" for at in range(ROWS)])
    source = iapr_tc12.IaprTc12Source(str(root), str(root / "regions"))
    return SmallSet(source, root, own=f"{iapr_tc12.ANNOTATIONS}/00/*.eng", listed=True)


def _imageclef(root: Path) -> SmallSet:
    for part in imageclef_caption.PARTS:
        names = [f"{part}_{at}" for at in range(ROWS // 2)]
        for at, name in enumerate(names):
            _image(root / part / f"{name}.jpg", at)
        for kind, column, values in (
            ("caption_prediction", "caption", _WORDS),
            ("concept_detection", "cuis", [f"C{at};D{at}" for at in range(ROWS)]),
        ):
            rows = [{"ID": name, column: values[at]} for at, name in enumerate(names)]
            _table(root / imageclef_caption.TABLE.format(kind, part), rows, "\t")
    return SmallSet(imageclef_caption.ImageclefCaptionSource(str(root)), root)


def _mimic(root: Path) -> SmallSet:
    metadata, splits, marks = [], [], []
    for at in range(ROWS):
        key = {"subject_id": f"1000000{at}", "study_id": f"5000000{at}"}
        folder = f"p10/p{key['subject_id']}/s{key['study_id']}"
        _image(root / f"files/{folder}/film{at}.jpg", at)
        _text(root / f"files/{folder}.txt", f" FINDINGS: {_WORDS[at]}.\n\n IMPRESSION: Normal.\n")
        metadata.append({"dicom_id": f"film{at}", **key, "ViewPosition": "PA"})
        splits.append({"dicom_id": f"film{at}", "split": "train"})
        marks.append({**key, **dict.fromkeys(LABELS, ""), "Edema": "1.0", "Fracture": "-1.0"})
    for name, rows in (("metadata", metadata), ("split", splits), ("chexpert", marks)):
        _table(root / TABLE.format(name), rows)
    return SmallSet(MimicCxrSource(str(root)), root, own="files/p10/*/*.txt")


def _mirflickr(root: Path) -> SmallSet:
    for at in range(1, ROWS + 1):
        _image(root / f"mirflickr/im{at}.jpg", at)
        _lines(root / f"mirflickr/meta/tags/tags{at}.txt", _WORDS[at - 1].split())
    for label in mirflickr.LABELS:
        _lines(root / mirflickr.ANNOTATIONS[0] / f"{label}.txt", range(1, ROWS, 2))
    return SmallSet(mirflickr.MirflickrSource(str(root)), root, own="mirflickr/meta/tags/*.txt")


def _nus(root: Path) -> SmallSet:
    names = [f"c/{at:04d}_{900 + at}.jpg" for at in range(ROWS)]
    for at, name in enumerate(names):
        _image(root / "Flickr" / name, at)
    for listing, own in (("Image", names), ("TrainImage", names[:4]), ("TestImage", names[4:])):
        _lines(root / f"ImageList/{listing}list.txt", own)
    _lines(root / "ConceptsList/Concepts81.txt", ["sky", "zebra"])
    for at, concept in enumerate(("sky", "zebra")):
        marks = [int(row % 2 == at) for row in range(ROWS)]
        _lines(root / f"Groundtruth/AllLabels/Labels_{concept}.txt", marks)
    _lines(root / "NUS_WID_Tags/TagList1k.txt", ["nature", "blue"])
    _lines(root / "NUS_WID_Tags/AllTags1k.txt", [f"1\t{at % 2}" for at in range(ROWS)])
    describing = ("Concepts81.txt", "TagList1k.txt")
    return SmallSet(NusWideSource(str(root), str(root / "Flickr")), root, describing)


def _openclipart(root: Path) -> SmallSet:
    for at in range(ROWS):
        _text(root / f"svg/food/d_{chr(97 + at)}.svg", _SVG.format(text=_WORDS[at]))
        _image(root / f"png/food/d_{chr(97 + at)}.png", at)
    return SmallSet(OpenClipartSource(str(root)), root, own="svg/food/*.svg", listed=True)


def _openi(root: Path) -> SmallSet:
    for at in range(ROWS):
        _text(root / openi.REPORTS / f"{at}.xml", _REPORT.format(at=at))
        _image(root / openi.IMAGES / f"CXR{at}_1.png", at)
    return SmallSet(openi.OpeniSource(str(root)), root, own=f"{openi.REPORTS}/*.xml", listed=True)


def _openi_tables(root: Path) -> SmallSet:
    reports, films = [], []
    for at in range(ROWS):
        _image(root / openi.TABLE_IMAGES[0] / f"{at}_IM.dcm.png", at)
        reports.append({"uid": str(at), "MeSH": "Scar;normal", "findings": f"{_WORDS[at]}.",
                        "impression": "Normal."})  # fmt: skip
        films.append({"uid": str(at), "filename": f"{at}_IM.dcm.png", "projection": "Frontal"})
    _table(root / openi.TABLES[0], reports)
    _table(root / openi.TABLES[1], films)
    return SmallSet(openi.OpeniSource(str(root)), root)


def _pascal(root: Path) -> SmallSet:
    for at in range(ROWS):
        _image(root / pascal_sentence.IMAGES / f"bird/{at}.jpg", at)
        sentences = [f"{_WORDS[at]} {k}" for k in range(3)]
        _lines(root / pascal_sentence.SENTENCES / f"bird/{at}.txt", sentences)
    source = pascal_sentence.PascalSentenceSource(str(root))
    return SmallSet(
        source, root, own=f"{pascal_sentence.SENTENCES}/bird/*.txt", listed=True, drawn=True
    )


def _wikipedia(root: Path) -> SmallSet:
    names = [f"a{at}-1.5" for at in range(ROWS)]
    _lines(root / "categories.list", ["art", "biology"])
    for at, name in enumerate(names):
        page = f"<document><text>{_WORDS[at]} &amp; more</text></document>"
        _text(root / f"texts/{name}.xml", page)
        _image(root / f"images/{('art', 'biology')[at % 2]}/i{at}.jpg", at)
    pairs = [f"{name}\ti{at}\t{at % 2 + 1}" for at, name in enumerate(names)]
    for listing, own in zip(wikipedia.LISTS, (pairs[:4], pairs[4:]), strict=True):
        _lines(root / listing, own)
    return SmallSet(
        wikipedia.WikipediaSource(str(root)), root, ("categories.list",), own="texts/*.xml"
    )


SMALL_SETS: dict[str, Callable[[Path], SmallSet]] = {
    "chexpert": _chexpert, "coco": _coco, "csv": _csv, "dicom": _dicom, "flickr30k": _flickr30k,
    "flickr8k": _flickr8k, "huggingface": _huggingface, "iapr-tc12": _iapr,
    "imageclef-caption": _imageclef, "mimic-cxr": _mimic, "mirflickr": _mirflickr,
    "nus-wide": _nus, "openclipart": _openclipart, "openi": _openi,
    "openi in tables": _openi_tables, "pascal-sentence": _pascal, "wikipedia": _wikipedia,
}  # fmt: skip
