"""The files of a report and the layout of its JSON."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html
from PIL import Image

from crossray.evaluation import (
    DirectionResult,
    evaluate_direction,
    get_protocol,
    rare_labels,
)
from crossray.evaluation.gallery import Card, Example, Hit
from crossray.evaluation.reference import Reference
from crossray.evaluation.report import write_report

HEADLINES = {"R@1", "R@5", "R@10", "median_rank", "mAP@all"}
LINEAGE = {"vectors": {"id": "sha256-1234", "rows": 30}, "student": "sha256-5678", "data": "a|b"}

ABOUT = "features that need no weights, fitted on 20 training items"
HOSTILE = "<script>alert(1)</script> & more"
EXAMPLE = Example(
    Card(picture=b"jpeg"), (Hit(Card(HOSTILE), "wrong"), Hit(Card("its text"), "own")), rank=2
)


@pytest.fixture(scope="module")
def directions() -> tuple[DirectionResult, DirectionResult]:
    """Both directions of a small evaluation."""
    rng = np.random.default_rng(30)
    ids = np.array([f"study-{i}" for i in range(30)])
    labels = rng.random((30, 5)) < [0.5, 0.5, 0.4, 0.1, 0.1]
    labels[:2, 3:] = True
    scores = rng.normal(size=(30, 30)) + 2 * np.eye(30)
    rare = rare_labels(labels)
    image, text = (
        evaluate_direction(s, ids, ids, labels, labels, get_protocol("hier"), rare, resamples=100)
        for s in (scores, scores.T)
    )
    return image, text


@pytest.fixture
def written(directions: Any, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A report on disk in a folder that did not exist, and what the function returned."""
    folder = tmp_path / "runs" / "report"
    returned = write_report(
        folder,
        *directions,
        get_protocol("hier"),
        LINEAGE,
        seed=11,
        counts={"pairs_rejected": 2},
        notes=["synthetic, of no clinical value"],
        gallery={"image_to_text": [EXAMPLE]},
        reference=Reference("CCA", ABOUT, *reversed(directions)),
    )
    return folder, returned


def test_the_json_keeps_its_contract(written: Any, directions: Any) -> None:
    """Programs that read reports would break."""
    folder, returned = written
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report == returned
    assert set(report) == {
        "metrics", "intervals", "baseline", "protocol", "lineage", "counts", "seed", "notes",
        "reference",
    }  # fmt: skip
    for direction, result in zip(("image_to_text", "text_to_image"), directions, strict=True):
        metrics = report["metrics"][direction]
        assert set(metrics) >= HEADLINES
        assert all(type(value) is float for value in metrics.values())
        assert metrics == result.metrics
        assert report["baseline"][direction].keys() >= HEADLINES
        assert report["counts"][direction] == result.counts
        for name in HEADLINES:
            low, high = report["intervals"][direction][name]
            assert low <= metrics[name] <= high
    assert report["protocol"]["name"] == "hier"
    assert report["protocol"]["ks"] == [1, 5, 10]
    assert report["lineage"] == LINEAGE
    assert (report["seed"], report["counts"]["pairs_rejected"]) == (11, 2)


def test_the_page_tells_what_was_measured_and_how(written: Any, directions: Any) -> None:
    """A reader could not tell which artifacts, rules and chance levels the numbers belong to."""
    folder, _ = written
    page = (folder / "report.md").read_text(encoding="utf-8")
    for result in directions:
        assert f"| R@5 | **{100 * result.metrics['R@5']:.2f} %** |" in page
        assert f"{100 * result.baseline['R@5']:.2f} %" in page
        assert f"**{result.metrics['median_rank']:.1f}**" in page
    for words in (
        "> - synthetic, of no clinical value",
        "| vectors.id | sha256-1234 |",
        "| data | a\\|b |",
        "relevant is the item paired with the query",
        "at least one label in common",
        "seed 11",
        "- mAP@all[rare]: relevant is every item with at least one of the rare labels",
        "- mAP@all[rare, by label]: each rare label alone",
        "pairs_rejected",
    ):
        assert words in page


def test_the_reference_stands_beside_the_model(written: Any, directions: Any) -> None:
    """Without it a reader cannot tell a good model from an easy data set."""
    folder, report = written
    image, text = directions  # the reference of this report has them the other way round
    assert report["reference"]["name"] == "CCA"
    assert report["reference"]["about"] == ABOUT
    assert report["reference"]["metrics"] == {
        "image_to_text": text.metrics, "text_to_image": image.metrics,
    }  # fmt: skip
    low, high = report["reference"]["intervals"]["text_to_image"]["R@5"]
    assert (low, high) == image.intervals["R@5"]
    page = (folder / "report.md").read_text(encoding="utf-8")
    own, other = (100 * result.metrics["R@5"] for result in directions)
    assert f"CCA on {ABOUT}, under the same protocol." in page
    assert (
        f"| text to image | R@5 | **{other:.2f} %** | {own:.2f} % | {100 * low:.2f} % to "
        f"{100 * high:.2f} % |" in page
    )
    root = html.document_fromstring((folder / "report.html").read_text(encoding="utf-8"))
    rows = [[cell.text_content() for cell in row] for row in root.xpath("//tr")]
    cells = ["R@5", f"{other / 100:.3f}", f"{own / 100:.3f}", f"{low:.3f} to {high:.3f}"]
    assert cells in rows
    assert ABOUT in root.text_content()


def test_a_report_without_reference_says_nothing_of_one(directions: Any, tmp_path: Path) -> None:
    """Where there is nothing to fit, no empty table may stand."""
    report = write_report(tmp_path, *directions, get_protocol("hier"), LINEAGE, seed=1)
    assert report["reference"] is None
    assert "CCA" not in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "beside" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_plots_exist_where_the_page_looks_for_them(written: Any) -> None:
    """The page would show broken pictures."""
    folder, _ = written
    page = (folder / "report.md").read_text(encoding="utf-8")
    for name in ("recall_at_k.png", "precision_recall.png"):
        assert f"]({name})" in page
        with Image.open(folder / name) as picture:
            picture.load()
            assert len(picture.convert("L").getcolors(1 << 24) or []) > 2
    assert sorted(path.name for path in folder.iterdir()) == [
        "precision_recall.png", "recall_at_k.png", "report.html", "report.json", "report.md",
    ]  # fmt: skip


def test_the_page_stands_alone(written: Any, directions: Any) -> None:
    """A page that is mailed around must neither lack its pictures nor run what a report says."""
    folder, _ = written
    page = (folder / "report.html").read_text(encoding="utf-8")
    root = html.document_fromstring(page)
    sources = root.xpath("//img/@src")
    assert len(sources) == 3
    assert all(source.startswith("data:image/") for source in sources)
    assert not root.xpath("//script | //link | //@href | //iframe")
    plots = [s.split(",", 1)[1] for s in sources if s.startswith("data:image/png")]
    for data, name in zip(plots, ("recall_at_k.png", "precision_recall.png"), strict=True):
        assert b64decode(data) == (folder / name).read_bytes()
    rows = [[cell.text_content() for cell in row] for row in root.xpath("//tr")]
    for result in directions:
        recall, (low, high) = result.metrics["R@5"], result.intervals["R@5"]
        chance = f"{result.baseline['R@5']:.3f}"
        assert ["R@5", f"{recall:.3f}", f"{low:.3f} to {high:.3f}", chance, ""] in rows
    assert ["pairs_rejected", "2"] in rows
    cards = [card.text_content().split("\n") for card in root.find_class("card")]
    assert [" ".join(filter(None, card)).strip() for card in cards] == [
        "its own at rank 2", f"1, neither {HOSTILE}", "2, its own its text",
    ]  # fmt: skip
    assert "of no clinical value" in root.find_class("note")[0].text_content()


def test_plots_leave_pyplot_alone(written: Any) -> None:
    """Reports written from a server or a notebook would leak figures."""
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []
