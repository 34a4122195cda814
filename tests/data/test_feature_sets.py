"""Feature sets: vectors in files that others made become a `features` artifact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.data.corpora.corpus import FeatureCorpus
from crossray.data.feature_sets.feature_set import FeatureSource
from crossray.data.feature_sets.file import FeatureFileSource
from crossray.data.feature_sets.wikipedia import WikipediaFeatureSource
from crossray.data.feature_sets.xmedia import XmediaSource
from crossray.data.sources.wikipedia import LISTS
from crossray.data.split import Split
from crossray.stages.ingest_features import ingest_features

CHANNELS, WIDTH, TRAIN, TEST = 6, 4, 30, 11
SETS = {"tr": TRAIN, "te": TEST}


def arrays(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Vectors and classes 1 to 3."""
    rng = np.random.default_rng(seed)
    return {
        "I": rng.normal(size=(rows, CHANNELS)),
        "T": rng.normal(size=(rows, WIDTH)),
        "L": 1 + np.arange(rows)[:, None] % 3,
    }


@pytest.fixture
def values() -> dict[str, np.ndarray]:
    """A training and a test part by the names that published files use."""
    parts = {split: arrays(rows, seed) for seed, (split, rows) in enumerate(SETS.items())}
    return {f"{name}_{split}": array for split in parts for name, array in parts[split].items()}


def write(path: Path, values: dict[str, Any]) -> str:
    """A `.npz` or `.mat` file."""
    if path.suffix == ".npz":
        np.savez(path, **values)
    else:
        scipy.io.savemat(path, values)
    return str(path)


def source(path: str, **options: str) -> FeatureFileSource:
    """The training keys, and the test keys unless others are given."""
    test = {f"test_{name}_key": f"{name[0].upper()}_te" for name in ("image", "text", "label")}
    return FeatureFileSource(path, "I_tr", "T_tr", "L_tr", **{**test, **options})


def ingested(own: FeatureSource, folder: Path, seed: int = 0) -> Artifact:
    """The artifact, anew."""
    number = len(list(folder.glob("features-*")))
    return ingest_features(own, str(folder / f"features-{number}"), seed)


def rows_of(features: Artifact, split: Split) -> tuple[np.ndarray, np.ndarray, list[list[str]]]:
    """What training reads of a split."""
    corpus = FeatureCorpus(features, split)
    rows = range(len(corpus))
    images = corpus.collate_images([corpus.image(row) for row in rows]).grid_BCYX
    texts = corpus.collate_texts([corpus.text(row, 0) for row in rows])
    assert images is not None
    assert texts.states_BTD is not None
    assert texts.mask_BT.all()
    assert {corpus.text_count(row) for row in rows} == {1}
    assert len(set(corpus.keys_N.tolist())) == len(corpus)
    return images[:, :, 0, 0].numpy(), texts.states_BTD[:, 0].numpy(), corpus.labels


@pytest.mark.parametrize("suffix", [".mat", ".npz"])
def test_vectors_arrive_as_they_were(
    suffix: str, values: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """A shifted row would pair every image with another's text."""
    features = ingested(source(write(tmp_path / f"set{suffix}", values)), tmp_path)
    assert features.manifest.parents == ()
    assert features.manifest.metrics["splits"] == {"train": TRAIN, "test": TEST}
    assert features.manifest.metrics["labels"] == {"0": 14, "1": 14, "2": 13}
    splits: tuple[tuple[Split, str], ...] = (("train", "tr"), ("test", "te"))
    for split, name in splits:
        images, texts, labels = rows_of(features, split)
        np.testing.assert_array_equal(images, values[f"I_{name}"].astype(np.float32))
        np.testing.assert_array_equal(texts, values[f"T_{name}"].astype(np.float32))
        assert labels == [[str(n % 3)] for n in range(len(images))]


def test_the_file_decides_the_id_not_its_place(
    values: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """A moved file must not make another lineage; other numbers must."""
    (tmp_path / "moved").mkdir()
    first = ingested(source(write(tmp_path / "a.npz", values)), tmp_path)
    moved = ingested(source(write(tmp_path / "moved" / "b.npz", values)), tmp_path)
    values["I_te"][0, 0] += 1
    other = ingested(source(write(tmp_path / "c.npz", values)), tmp_path)
    assert first.id == moved.id != other.id


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda rows: np.arange(rows) % 3, [["0"], ["1"], ["2"]]),
        (lambda rows: 1 + np.arange(rows)[None] % 3.0, [["0"], ["1"], ["2"]]),
        (lambda rows: np.eye(4)[np.arange(rows) % 3], [["0"], ["1"], ["2"]]),
        (
            lambda rows: np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]])[np.arange(rows) % 3],
            [["0", "2"], [], ["1"]],
        ),
        (
            lambda rows: np.array([[True, False], [True, True], [False, True]])[
                np.arange(rows) % 3
            ],
            [["0"], ["0", "1"], ["1"]],
        ),
    ],
    ids=["from 0", "from 1", "one-hot", "multi-hot", "boolean"],
)
def test_every_way_to_write_labels(
    made: Callable[[int], np.ndarray],
    expected: list[list[str]],
    values: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    """The same classes must get the same names, however the file numbers them."""
    values |= {"L_tr": made(TRAIN), "L_te": made(TEST)}
    features = ingested(source(write(tmp_path / "set.npz", values)), tmp_path)
    assert rows_of(features, "train")[2] == expected * (TRAIN // 3)
    assert rows_of(features, "test")[2] == (expected * TEST)[:TEST]


def test_a_file_without_test_rows_is_split_by_the_seed(
    values: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """Everybody who gives the same seed must test on the same rows, and never on training rows."""
    values |= {f"{name}_tr": array for name, array in arrays(500, 3).items()}
    path = write(tmp_path / "set.npz", values)
    own = FeatureFileSource(path, "I_tr", "T_tr", "L_tr")
    first, again, other = (ingested(own, tmp_path, seed) for seed in (0, 0, 1))
    assert first.id == again.id != other.id
    found = {split: set(FeatureCorpus(first, split).item_ids) for split in ("train", "val", "test")}
    assert sum(map(len, found.values())) == 500 == len(set.union(*found.values()))
    assert 350 < len(found["train"]) < 450
    moved = set(FeatureCorpus(other, "test").item_ids)
    assert moved != found["test"]
    for split in found:
        corpus = FeatureCorpus(first, split)  # type: ignore[arg-type]
        row = int(corpus.item_ids[0].rpartition("-")[2])
        expected = values["I_tr"][row].astype(np.float32)
        np.testing.assert_array_equal(corpus.image(0)[:, 0, 0].numpy(), expected)


def test_a_validation_part_of_ones_own(values: dict[str, np.ndarray], tmp_path: Path) -> None:
    """With validation keys and without test keys, only test is taken out of train."""
    values |= {f"{name}_va": array for name, array in arrays(9, 5).items()}
    path = write(tmp_path / "set.npz", values)
    keys = {f"validation_{n}_key": f"{n[0].upper()}_va" for n in ("image", "text", "label")}
    with_test = ingested(source(path, **keys), tmp_path)
    assert with_test.manifest.metrics["splits"] == {"train": TRAIN, "val": 9, "test": TEST}
    without = ingested(FeatureFileSource(path, "I_tr", "T_tr", "L_tr", **keys), tmp_path)
    counts = without.manifest.metrics["splits"]
    assert counts["val"] == 9
    assert counts["train"] + counts.get("test", 0) == TRAIN


def broken(values: dict[str, np.ndarray], **changes: Any) -> dict[str, Any]:
    """The values with some replaced."""
    return {**values, **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"T_tr": np.ones((TRAIN - 1, WIDTH))}, "30 image vectors, 29 text vectors"),
        ({"I_te": np.ones((TEST, CHANNELS + 1))}, "6 and 4 in train, 7 and 4 in test"),
        ({"I_tr": np.full((TRAIN, CHANNELS), np.nan)}, "NaN or infinite numbers in 30 of 30 rows"),
        ({"T_te": np.full((TEST, WIDTH), 1e300)}, "NaN or infinite numbers in 11 of 11 rows"),
        ({"I_tr": np.ones(TRAIN)}, "a numeric matrix"),
        ({"I_tr": np.array([["a"]] * TRAIN)}, "a numeric matrix"),
        ({"L_tr": np.full(TRAIN, 0.5)}, "one whole number a row"),
        ({"L_tr": np.full((TRAIN, 2), 3)}, "one whole number a row"),
        ({"L_te": np.full(TEST, -1)}, "L_te of .* has the class -1"),
        ({"L_tr": np.array(["cat"] * TRAIN)}, "one whole number a row"),
    ],
)
def test_arrays_that_do_not_fit(
    changes: dict[str, Any], words: str, values: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """One sentence that names the array, and nothing half-written."""
    path = write(tmp_path / "set.npz", broken(values, **changes))
    with pytest.raises(CrossRayError, match=words):
        ingested(source(path), tmp_path)
    assert not list(tmp_path.glob("features-*"))


def test_names_and_files_that_are_not_there(values: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Whoever mistypes a key reads which there are."""
    path = write(tmp_path / "set.mat", values)
    with pytest.raises(CrossRayError, match="no array 'I_xx'; it has I_te, I_tr, L_te, L_tr"):
        ingested(source(path, test_image_key="I_xx"), tmp_path)
    with pytest.raises(CrossRayError, match="give all three or none"):
        ingested(FeatureFileSource(path, "I_tr", "T_tr", "L_tr", test_image_key="I_te"), tmp_path)
    with pytest.raises(CrossRayError, match="there is no file"):
        ingested(source(str(tmp_path / "none.mat")), tmp_path)
    with pytest.raises(CrossRayError, match=r"neither \.mat nor \.npz"):
        ingested(source(str(tmp_path / "set.csv")), tmp_path)
    for name in ("damaged.mat", "damaged.npz"):
        (tmp_path / name).write_bytes(b"no arrays here" * 40)
        with pytest.raises(CrossRayError, match="cannot be read"):
            ingested(source(str(tmp_path / name)), tmp_path)


def test_hdf5_and_pickles_are_refused(values: dict[str, np.ndarray], tmp_path: Path) -> None:
    """MATLAB 7.3 is another format; a pickle could run anybody's code."""
    header = b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM"
    (tmp_path / "new.mat").write_bytes(header + b"\x89HDF\r\n\x1a\n" + bytes(512))
    with pytest.raises(CrossRayError, match=r"MATLAB 7.3 file \(HDF5\); save it with .* '-v7'"):
        ingested(source(str(tmp_path / "new.mat")), tmp_path)
    path = write(tmp_path / "set.npz", broken(values, L_tr=np.array([{}] * TRAIN, dtype=object)))
    with pytest.raises(CrossRayError, match=r"cannot be read .*allow_pickle"):
        ingested(source(path), tmp_path)


@pytest.fixture
def wikipedia(tmp_path: Path) -> Path:
    """The official layout with 20 training and 240 test pairs."""
    rng = np.random.default_rng(0)
    (tmp_path / "categories.list").write_text("art\nbiology\ngeography\n")
    sizes = dict(zip(LISTS, (20, 240), strict=True))
    vectors = {}
    for name, (listing, rows) in zip(("tr", "te"), sizes.items(), strict=True):
        (tmp_path / listing).write_text(
            "".join(f"{name}{n}-1\timage{n}\t{1 + n % 3}\n" for n in range(rows))
        )
        vectors[f"I_{name}"] = rng.dirichlet(np.ones(128), rows)
        vectors[f"T_{name}"] = rng.dirichlet(np.ones(10), rows)
    scipy.io.savemat(tmp_path / "raw_features.mat", vectors)
    return tmp_path


def test_wikipedia(wikipedia: Path) -> None:
    """Rows are named by the lists; validation is the head of the test list, as published."""
    features = ingested(WikipediaFeatureSource(str(wikipedia)), wikipedia)
    assert features.manifest.metrics["splits"] == {"train": 20, "val": 231, "test": 9}
    assert features.manifest.metrics["grid_shape"] == [128, 1, 1]
    test = FeatureCorpus(features, "test")
    assert test.item_ids == [f"te{n}-1" for n in range(231, 240)]
    images, texts, labels = rows_of(features, "test")
    stored = scipy.io.loadmat(wikipedia / "raw_features.mat")
    np.testing.assert_array_equal(images, stored["I_te"][231:].astype(np.float32))
    np.testing.assert_array_equal(texts, stored["T_te"][231:].astype(np.float32))
    assert labels[:3] == [["art"], ["biology"], ["geography"]]
    assert any("20 pairs in trainset" in note for note in features.manifest.notes)


def test_wikipedia_without_its_category_names(wikipedia: Path) -> None:
    """The three files that hold the numbers are enough."""
    (wikipedia / "categories.list").unlink()
    features = ingested(WikipediaFeatureSource(str(wikipedia)), wikipedia)
    assert features.manifest.metrics["labels"].keys() == {"1", "2", "3"}


@pytest.mark.parametrize("name", ["raw_features.mat", *LISTS])
def test_wikipedia_part_that_is_missing(wikipedia: Path, name: str) -> None:
    """Whoever gave the wrong folder must read what was sought and where it is to be had."""
    (wikipedia / name).unlink()
    with pytest.raises(CrossRayError, match=f"has no {name}; .*svcl.ucsd.edu"):
        ingested(WikipediaFeatureSource(str(wikipedia)), wikipedia)


def test_wikipedia_lists_of_another_copy(wikipedia: Path) -> None:
    """A list of other length names every row wrongly; a short one leaves nothing to test."""
    listing = wikipedia / "testset_txt_img_cat.list"
    lines = listing.read_text().splitlines(keepends=True)
    listing.write_text("".join(lines[:-1]))
    with pytest.raises(CrossRayError, match="240 image vectors, 240 text vectors and 239 rows"):
        ingested(WikipediaFeatureSource(str(wikipedia)), wikipedia)
    stored = scipy.io.loadmat(wikipedia / "raw_features.mat")
    few = {k: v[:20] for k, v in stored.items() if k[0] in "IT"}
    scipy.io.savemat(wikipedia / "raw_features.mat", few)
    listing.write_text("".join(lines[:20]))
    with pytest.raises(CrossRayError, match="none is left to test"):
        ingested(WikipediaFeatureSource(str(wikipedia)), wikipedia)


@pytest.fixture
def xmedia(tmp_path: Path) -> Path:
    """The released file's keys, 4 training and 50 test rows of each of 20 classes."""
    rng = np.random.default_rng(0)
    values: dict[str, Any] = {"A_tr": np.ones((3, 29)), "trAudCat": np.ones((3, 1))}
    for part, each in (("tr", 4), ("te", 50)):
        category = rng.permutation(np.repeat(np.arange(1, 21), each))[:, None]
        values[f"I_{part}_CNN"] = rng.normal(size=(len(category), 12))
        values[f"T_{part}_BOW"] = scipy.sparse.csc_matrix(rng.poisson(0.2, (len(category), 9)))
        values[f"{part}ImgCat"] = values[f"{part}TxtCat"] = category
    scipy.io.savemat(tmp_path / "XMediaFeatures.mat", values)
    return tmp_path


def test_xmedia(xmedia: Path) -> None:
    """700 test and 300 validation rows, 35 and 15 of every class, drawn by the seed."""
    features = ingested(XmediaSource(str(xmedia)), xmedia)
    assert features.manifest.metrics["splits"] == {"train": 80, "val": 300, "test": 700}
    stored = scipy.io.loadmat(xmedia / "XMediaFeatures.mat")
    for split, each in (("val", 15), ("test", 35)):
        corpus = FeatureCorpus(features, split)  # type: ignore[arg-type]
        images, texts, labels = rows_of(features, split)  # type: ignore[arg-type]
        rows = [int(item.rpartition("-")[2]) for item in corpus.item_ids]
        np.testing.assert_array_equal(images, stored["I_te_CNN"][rows].astype(np.float32))
        np.testing.assert_array_equal(texts, stored["T_te_BOW"].toarray()[rows])
        assert labels == [[str(n - 1)] for n in stored["teImgCat"][rows, 0]]
        assert np.bincount([int(label) for [label] in labels]).tolist() == [each] * 20
    assert ingested(XmediaSource(str(xmedia)), xmedia, seed=1).id != features.id


def test_xmedia_rows_that_are_no_pairs(xmedia: Path) -> None:
    """Pairing by row is only right where image and text are of one class."""
    stored = scipy.io.loadmat(xmedia / "XMediaFeatures.mat")
    stored["teTxtCat"][0] = 1 + stored["teTxtCat"][0] % 20
    values = {name: value for name, value in stored.items() if not name.startswith("__")}
    scipy.io.savemat(xmedia / "XMediaFeatures.mat", values)
    with pytest.raises(CrossRayError, match=r"teImgCat and teTxtCat .* differ"):
        ingested(XmediaSource(str(xmedia)), xmedia)


def test_xmedia_that_is_missing(xmedia: Path) -> None:
    """It has to be asked for; the sentence says of whom."""
    del_name = xmedia / "XMediaFeatures.mat"
    stored = scipy.io.loadmat(del_name)
    scipy.io.savemat(del_name, {k: v for k, v in stored.items() if k[:2] in ("I_", "tr", "te")})
    with pytest.raises(CrossRayError, match="no array 'T_tr_BOW'; it has I_te_CNN"):
        ingested(XmediaSource(str(xmedia)), xmedia)
    del_name.unlink()
    with pytest.raises(CrossRayError, match=r"has no XMediaFeatures.mat; .*request form"):
        ingested(XmediaSource(str(xmedia)), xmedia)
