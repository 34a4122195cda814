"""The phantom: random access, splits, independence of nuisances, boxes, masks and variants."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from crossray.core.errors import CrossRayError
from crossray.data.phantom import (
    DISCLAIMER,
    VERSION,
    PhantomConfig,
    generate,
    label_vocabulary,
    masks,
    patients,
    sample_study,
)
from crossray.data.phantom.labels import FINDINGS, study_labels
from crossray.data.phantom.render import render
from crossray.data.phantom.report import write_phantom_report

CONFIG = PhantomConfig(items=1500)
COLUMNS = [
    "item_id", "group_id", "split", "image", "texts", "sections", "labels", "boxes", "masks",
    "meta",
]  # fmt: skip


BLOCKS = [
    [122.8, 178.6, 190.3, 124.7],
    [151.4, 151.2, 166.7, 166.9],
    [76.5, 158.2, 206.2, 99.7],
    [89.4, 218.6, 215.9, 94.4],
]


@pytest.fixture(scope="module")
def studies():
    """The parameters of all items."""
    return [sample_study(CONFIG, row) for row in range(CONFIG.items)]


@pytest.fixture(scope="module")
def labels(studies):
    """Whether an item (row) carries a label (column)."""
    found = [set(study_labels(study.findings)) for study in studies]
    return np.array([[label in item for label in label_vocabulary()] for item in found])


def rows(config, start=0, stop=None):
    """Generated rows; all of them unless told otherwise."""
    return list(generate(config, start, config.items if stop is None else stop))


def without_pictures(monkeypatch):
    """Lets a test look at many rows without drawing them."""
    monkeypatch.setattr("crossray.data.phantom.rows._picture", lambda study: (b"", []))


def test_any_slice_equals_the_whole():
    """Parallel workers would write another data set than one worker."""
    config = PhantomConfig(items=64, near_duplicates=0.3, uncertain_labels=0.3, unpaired=0.1)
    whole = rows(config, 40, 60)
    for start in (57, 43, 50):
        assert rows(config, start, start + 2) == whole[start - 40 : start - 38]
    assert rows(replace(config, items=10**6), 999_998)[-1]["item_id"] == "phantom-0999999"


def test_the_seed_decides():
    """Two runs of one recipe could not be compared, or every seed would give one data set."""
    config = PhantomConfig(items=8)
    first, again = rows(config, 0, 4), rows(config, 0, 4)
    assert first == again
    other = rows(replace(config, seed=8), 0, 4)
    assert all(a["image"] != b["image"] for a, b in zip(first, other, strict=True))


def test_version_pins_words_and_pixels():
    """Two artifacts of one version would differ; if this is intended, raise VERSION."""
    config = PhantomConfig(items=100)
    reports = [write_phantom_report(sample_study(config, row)).sentences for row in range(100)]
    words = hashlib.sha256(repr(reports).encode()).hexdigest()[:16]
    picture = Image.open(io.BytesIO(rows(config, 5, 6)[0]["image"]))
    blocks = np.asarray(picture, float).reshape(4, 56, 4, 56).mean(axis=(1, 3))
    assert (VERSION, words) == ("2", "a0442199d3ba0689")
    np.testing.assert_allclose(blocks, BLOCKS, atol=0.6)


def test_rows_follow_the_pair_schema():
    """The ingest would refuse or misread the rows."""
    for row in rows(PhantomConfig(items=40)):
        assert list(row) == COLUMNS
        picture = Image.open(io.BytesIO(row["image"]))
        assert (picture.size, picture.mode) == ((224, 224), "L")
        assert len(row["image"]) <= 20 * 1024
        assert [s["name"] for s in row["sections"]] == ["FINDINGS", "IMPRESSION"]
        assert [s["start"] for s in row["sections"]] == [0, row["sections"][0]["stop"]]
        assert row["sections"][1]["stop"] == len(row["texts"])
        assert row["meta"]["disclaimer"] == DISCLAIMER
        assert row["meta"]["synthetic"] == "true"
        assert all(isinstance(v, str) for v in row["meta"].values())
        for box in row["boxes"]:
            assert box["label"] in FINDINGS
            assert 0 <= box["x0"] < box["x1"] <= 1
            assert 0 <= box["y0"] < box["y1"] <= 1
        carried = {label.split("/")[0] for label in row["labels"]}
        assert {box["label"] for box in row["boxes"]} <= carried


def test_splits_keep_patients_together(studies):
    """A patient in two splits would leak from training into the test."""
    splits: dict[int, set[str]] = {}
    for study in studies:
        splits.setdefault(study.patient, set()).add(study.split)
    assert all(len(split) == 1 for split in splits.values())
    assert len(splits) == patients(CONFIG)
    counts = Counter(next(iter(split)) for split in splits.values())
    shares = [counts[name] / len(splits) for name in ("train", "val", "test")]
    np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.05)
    assert set(Counter(study.patient for study in studies).values()) == {1, 2, 3}


def test_studies_of_a_patient_share_the_anatomy(studies):
    """Patients would not be recognisable, so grouping by patient would mean nothing."""
    by_patient: dict[int, set[object]] = {}
    for study in studies:
        by_patient.setdefault(study.patient, set()).add(study.anatomy)
    assert all(len(anatomies) == 1 for anatomies in by_patient.values())


def test_prevalence(labels):
    """Labels that nobody or nearly everybody carries would make retrieval metrics void."""
    shares = dict(zip(label_vocabulary(), labels.mean(axis=0), strict=True))
    assert 45 <= len(shares) <= 60
    assert all(share >= 0.01 for share in shares.values()), shares
    assert sum(share < 0.2 for share in shares.values()) >= 40
    assert max(shares.values()) < 0.6


def test_nuisances_are_independent_of_the_labels(studies, labels):
    """A model could guess the finding from the exposure or from the side marker."""
    films = [study.acquisition for study in studies]
    tests = 0
    smallest = 1.0
    for column in labels.T:
        for name in ("exposure", "contrast", "noise", "rotation", "scale", "shift_x", "shift_y"):
            values = np.array([getattr(film, name) for film in films])
            p = stats.mannwhitneyu(values[column], values[~column]).pvalue
            smallest, tests = min(smallest, p), tests + 1
        for name in ("view", "side_marker"):
            values = np.array([getattr(film, name) for film in films])
            table = [[np.sum(values[column == on] == v) for v in set(values)] for on in (0, 1)]
            smallest, tests = min(smallest, stats.chi2_contingency(table).pvalue), tests + 1
    assert smallest > 0.01 / tests


@pytest.mark.parametrize("name", [f for f in FINDINGS if f != "No Finding"])
def test_box_holds_what_the_finding_changes(studies, name):
    """Grounded retrieval would be scored against boxes that miss the finding."""
    shown = [s for s in studies if sum(f.name == name for f in s.findings) == 1][:4]
    assert len(shown) == 4
    inside = total = 0.0
    for study in shown:
        rendering = render(study)
        rest = tuple(finding for finding in study.findings if finding.name != name)
        change = np.abs(rendering.grey - render(replace(study, findings=rest)).grey)
        (box,) = [box for label, box in rendering.boxes if label == name]
        x0, y0, x1, y1 = (round(224 * edge) for edge in box)
        inside, total = inside + change[y0:y1, x0:x1].sum(), total + change.sum()
        assert change.max() > 0.08
        assert (x1 - x0) * (y1 - y0) < 0.75 * 224**2
    assert inside / total >= 0.8


def test_sides_are_the_patients(studies):
    """Left and right in the report would contradict the picture."""
    for name in ("Pleural Effusion", "Pneumothorax", "Consolidation"):
        for side in ("left", "right"):
            study = next(
                s for s in studies if [f.side for f in s.findings if f.name == name] == [side]
            )
            (box,) = [box for label, box in render(study).boxes if label == name]
            assert ((box[0] + box[2]) / 2 > 0.5) == (side == "left")


def test_masks_are_where_the_structures_are():
    """Attention could not be compared with anatomy."""
    for row in (0, 11):
        found = masks(CONFIG, row)
        assert all(m.shape == (224, 224) and m.dtype == bool and m.any() for m in found.values())
        columns = {name: np.nonzero(mask)[1].mean() for name, mask in found.items()}
        assert columns["right lung"] < columns["mediastinum"] < columns["left lung"]
        for a, b in combinations(("right lung", "left lung", "heart"), 2):
            assert not (found[a] & found[b]).any()
        assert found["right lung"].mean() > 0.06


def test_uncertain_findings_give_no_label(monkeypatch):
    """A hedged finding would count as certain."""
    without_pictures(monkeypatch)
    made = rows(replace(CONFIG, uncertain_labels=0.4), 0, 300)
    hedged = [set(row["meta"].get("uncertain", "").split(";")) - {""} for row in made]
    for row, uncertain in zip(made, hedged, strict=True):
        assert not uncertain & (set(row["labels"]) - {"Lung Opacity"})
        assert not (uncertain and "No Finding" in row["labels"])
    before = sum(len(s.findings) for s in (sample_study(CONFIG, row) for row in range(300)))
    assert 0.2 < sum(map(len, hedged)) / before < 0.5


def test_missing_parts(monkeypatch):
    """Training on unpaired data or on few reports would get another share than asked for."""
    without_pictures(monkeypatch)
    made = rows(replace(CONFIG, unpaired=0.2, report_coverage=0.5, unlabelled=0.3))
    no_image = [r["image"] is None for r in made]
    no_text = [not r["texts"] for r in made if r["split"] != "train"]
    assert np.mean(no_image) == pytest.approx(0.2, abs=0.04)
    assert np.mean(no_text) == pytest.approx(0.2, abs=0.06)
    assert np.mean([not r["labels"] for r in made]) == pytest.approx(0.3, abs=0.04)
    trained = [bool(r["texts"]) for r in made if r["split"] == "train"]
    assert np.mean(trained) == pytest.approx(0.8 * 0.5, abs=0.04)
    assert all(not r["sections"] for r in made if not r["texts"])
    only_unpaired = rows(replace(CONFIG, unpaired=0.2), 0, 300)
    assert all(r["image"] is not None or r["texts"] for r in only_unpaired)


@pytest.mark.parametrize("held_out", [("Pneumothorax",), ("Lung Opacity", "Fracture")])
def test_held_out_findings_appear_in_the_test_only(held_out, monkeypatch):
    """Zero-shot retrieval would be measured on classes seen in training."""
    without_pictures(monkeypatch)
    seen: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for row in rows(replace(CONFIG, held_out=held_out), 0, 600):
        seen[row["split"]] |= {label.split("/")[0] for label in row["labels"]}
    assert not (seen["train"] | seen["val"]) & set(held_out)
    assert set(held_out) <= seen["test"]


def test_near_duplicates_show_one_study_twice():
    """Leak checks and tie rules could not be tried on data that needs them."""
    config = PhantomConfig(items=300, near_duplicates=0.3)
    sources = [sample_study(config, row) for row in range(300)]
    made = rows(config, 0, 30)
    copies = [r for r in made if "duplicate_of" in r["meta"]]
    assert copies
    by_id = {r["item_id"]: r for r in made}
    for copy in copies:
        source = by_id[copy["meta"]["duplicate_of"]]
        assert [copy[k] for k in ("group_id", "split", "texts", "labels")] == [
            source[k] for k in ("group_id", "split", "texts", "labels")
        ]
        assert copy["image"] != source["image"]
    distinct = len({(s.patient, s.number) for s in sources})
    assert 1 - distinct / 300 == pytest.approx(0.3, abs=0.08)


def test_bad_options_are_refused():
    """A typing error would silently give another data set."""
    for wrong in (
        {"items": 0}, {"seed": -1}, {"captions": 3}, {"unpaired": 0.6}, {"held_out": ("Flu",)},
        {"held_out": ("No Finding",)},
    ):  # fmt: skip
        with pytest.raises(CrossRayError, match=next(iter(wrong))):
            PhantomConfig(**wrong)
    with pytest.raises(CrossRayError, match="5 items"):
        generate(PhantomConfig(items=5), 3, 6)
