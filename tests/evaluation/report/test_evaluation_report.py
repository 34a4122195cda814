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

from crossray.core.errors import CrossRayError
from crossray.evaluation import (
    DirectionResult,
    PackedCodes,
    evaluate_direction,
    get_protocol,
    paired_bootstrap,
    rare_labels,
)
from crossray.evaluation.report.gallery import Card, Example, GalleryHit
from crossray.evaluation.report.reference_section import Reference
from crossray.evaluation.report.report import DIRECTIONS, write_report

HEADLINES = {"R@1", "R@5", "R@10", "median_rank", "mAP@all"}
LINEAGE = {"vectors": {"id": "sha256-1234", "rows": 30}, "student": "sha256-5678", "data": "a|b"}

ABOUT = "features that need no weights, fitted on 20 training items"
HOSTILE = "<script>alert(1)</script> & more"
NAMES = ["opacity", "effusion", "a|b", HOSTILE, "rib"]
EXAMPLE = Example(
    Card(picture=b"jpeg"),
    (GalleryHit(Card(HOSTILE), "wrong"), GalleryHit(Card("its text"), "own")),
    rank=2,
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
        directions,
        get_protocol("hier"),
        LINEAGE,
        seed=11,
        counts={"pairs_rejected": 2},
        notes=["synthetic, of no clinical value"],
        gallery={"image_to_text": [EXAMPLE]},
        label_names=NAMES,
        reference=Reference("CCA", ABOUT, dict(zip(DIRECTIONS, reversed(directions), strict=True))),
    )
    return folder, returned


def test_the_json_keeps_its_contract(written: Any, directions: Any) -> None:
    """Programs that read reports would break."""
    folder, returned = written
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report == returned
    assert set(report) == {
        "metrics", "intervals", "baseline", "by_label", "curves", "protocol", "lineage", "counts",
        "seed", "notes", "leaks", "selection", "published", "reference",
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
    assert report["protocol"]["metrics"][:3] == ["R@1", "R@5", "R@10"]
    assert report["lineage"] == LINEAGE
    assert (report["seed"], report["counts"]["pairs_rejected"]) == (11, 2)
    assert (report["leaks"], report["selection"], report["published"]) == (None, None, [])


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
    for direction, model, other in (("image_to_text", image, text), ("text_to_image", text, image)):
        found = report["reference"]["differences"][direction]
        assert "median_rank" not in found
        wanted = np.nanmean(model.per_query["R@5"]) - np.nanmean(other.per_query["R@5"])
        assert found["R@5"]["mean"] == pytest.approx(wanted)
        alone = paired_bootstrap(
            model.per_query["R@5"], other.per_query["R@5"], seed=11, groups=model.query_ids
        )
        assert found["R@5"]["p_value"] == pytest.approx(alone.p_value)
    low, high = report["reference"]["intervals"]["text_to_image"]["R@5"]
    assert (low, high) == image.intervals["R@5"]
    page = (folder / "report.md").read_text(encoding="utf-8")
    own, other = (result.metrics["R@5"] for result in directions)
    cells = [
        "text to image", "R@5", f"{other:.3f}", f"{own:.3f}", f"{low:.3f} to {high:.3f}",
        f"{found['R@5']['mean']:+.4f}, {found['R@5']['p_value']:.4f}",
    ]  # fmt: skip
    assert f"| {' | '.join(cells)} |" in page
    root = html.document_fromstring((folder / "report.html").read_text(encoding="utf-8"))
    rows = [[cell.text_content() for cell in row] for row in root.xpath("//tr")]
    assert cells in rows
    assert ABOUT in root.text_content()


def test_a_report_without_reference_says_nothing_of_one(directions: Any, tmp_path: Path) -> None:
    """Where there is nothing to fit, no empty table may stand."""
    report = write_report(tmp_path, directions, get_protocol("hier"), LINEAGE, seed=1)
    assert report["reference"] is None
    assert "CCA" not in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "beside" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_plots_exist_where_the_page_looks_for_them(written: Any) -> None:
    """The page would show broken pictures."""
    folder, _ = written
    page = (folder / "report.md").read_text(encoding="utf-8")
    for name in ("recall_at_k.png", "precision_recall.png", "top_n_precision.png"):
        assert f"]({name})" in page
        with Image.open(folder / name) as picture:
            picture.load()
            assert len(picture.convert("L").getcolors(1 << 24) or []) > 2
    assert sorted(path.name for path in folder.iterdir()) == [
        "precision_recall.png", "recall_at_k.png", "report.html", "report.json", "report.md",
        "top_n_precision.png",
    ]  # fmt: skip


def test_the_page_stands_alone(written: Any, directions: Any) -> None:
    """A page that is mailed around must neither lack its pictures nor run what a report says."""
    folder, _ = written
    page = (folder / "report.html").read_text(encoding="utf-8")
    root = html.document_fromstring(page)
    sources = root.xpath("//img/@src")
    assert len(sources) == 4
    assert all(source.startswith("data:image/") for source in sources)
    assert not root.xpath("//script | //link | //@href | //iframe")
    plots = [s.split(",", 1)[1] for s in sources if s.startswith("data:image/png")]
    names = ("recall_at_k.png", "precision_recall.png", "top_n_precision.png")
    for data, name in zip(plots, names, strict=True):
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


def test_labels_stand_in_every_form_the_most_frequent_first(written: Any, directions: Any) -> None:
    """A reader could not tell on which findings a model fails."""
    folder, report = written
    text = (folder / "report.md").read_text(encoding="utf-8")
    root = html.document_fromstring((folder / "report.html").read_text(encoding="utf-8"))
    rows = [[cell.text_content() for cell in row] for row in root.xpath("//details//tr")]
    for direction, result in zip(("image_to_text", "text_to_image"), directions, strict=True):
        table = report["by_label"][direction]
        assert set(table) == set(NAMES)
        counts = [row["queries"] for row in table.values()]
        assert counts == sorted(counts, reverse=True)
        for column, name in enumerate(NAMES):
            row = table[name]
            assert row["ap"] == result.by_label.ap_C[column]
            assert row["queries"] == result.by_label.queries_C[column]
            numbers = (row["ap"], row["chance"], row["protocol_ap"])
            shown = [f"{number:.3f}" for number in numbers]
            assert [name, str(row["queries"]), str(row["items"]), *shown, ""] in rows
            cells = [f"**{100 * numbers[0]:.2f} %**", *(f"{100 * n:.2f} %" for n in numbers[1:])]
            label = name.replace("|", "\\|")
            assert f"| {label} | {row['queries']} | {row['items']} | {' | '.join(cells)} |" in text
    assert all("open" in details.attrib for details in root.xpath("//details"))


def test_a_long_vocabulary_is_folded(directions: Any, tmp_path: Path) -> None:
    """Hundreds of labels would push the figures' explanations out of sight."""
    rng = np.random.default_rng(31)
    labels = rng.random((30, 21)) < 0.5
    ids = np.arange(30)
    protocol = get_protocol("hier")
    result = evaluate_direction(
        rng.normal(size=(30, 30)), ids, ids, labels, labels, protocol, resamples=10
    )
    names = [f"label {number}" for number in range(21)]
    write_report(tmp_path, [result] * 2, protocol, {}, 0, label_names=names)
    root = html.document_fromstring((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert [details.attrib for details in root.xpath("//details")] == [{}, {}]
    with pytest.raises(CrossRayError, match="20 label names for 21 labels"):
        write_report(tmp_path, [result] * 2, protocol, {}, 0, label_names=names[1:])


def test_curves_are_in_the_json(written: Any, directions: Any) -> None:
    """Whoever draws figures of several models would have to read them off the pictures."""
    _, report = written
    for direction, result in zip(("image_to_text", "text_to_image"), directions, strict=True):
        curves = report["curves"][direction]
        assert set(curves) == {"k", "hit_rate", "hit_rate_at_random", "precision", "recall"}
        for name, values in curves.items():
            assert values == getattr(result.curves, name).tolist()


def test_codes_have_their_figures_and_curves(tmp_path: Path) -> None:
    """What hash lookup returns would be computed and not shown."""
    rng = np.random.default_rng(32)
    labels = rng.random((40, 3)) < 0.4
    codes = rng.integers(256, size=(2, 40, 1)).astype(np.uint8)
    ids, protocol = np.arange(40), get_protocol("mmach")
    results = [
        evaluate_direction(PackedCodes(*pair), ids, ids, labels, labels, protocol, resamples=10)
        for pair in (codes, codes[::-1])
    ]
    report = write_report(tmp_path, results, protocol, {}, 0, label_names=["a", "b", "c"])
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for name in ("hamming_radius.png", "top_n_precision.png"):
        assert f"]({name})" in text
        with Image.open(tmp_path / name) as picture:
            assert len(picture.convert("L").getcolors(1 << 24) or []) > 2
    root = html.document_fromstring((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert len(root.xpath("//img")) == 4
    for direction, result in zip(("image_to_text", "text_to_image"), results, strict=True):
        curves = report["curves"][direction]
        assert result.lookup is not None
        assert curves["top_n"] == result.lookup.top_n_R.tolist()
        assert curves["radius"]["queries_without_item"] == result.lookup.radius.empty_D.tolist()
        assert curves["radius"]["recall"] == result.lookup.radius.recall_D.tolist()
        assert len(curves["radius"]["precision"]) == 9
    empty = [result.lookup.radius.empty_D[:3].tolist() for result in results if result.lookup]
    assert f"radius 0, 1, 2: {', '.join(map(str, empty[0]))}." in text
    assert "queries without a relevant item count as 0" in text
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == report


def test_one_direction_or_the_mean_of_two(tmp_path: Path) -> None:
    """Reports of images that ask for images would be empty, or the mean missing."""
    rng = np.random.default_rng(33)
    labels = np.eye(3, dtype=bool)[rng.integers(3, size=30)]
    ids = np.arange(30)
    for name, directions in (
        ("mmdl", ["image_to_image"]),
        ("gpldan", ["image_to_text", "text_to_image", "mean"]),
    ):
        protocol = get_protocol(name)
        results = [
            evaluate_direction(
                rng.normal(size=(30, 30)), ids, ids, labels, labels, protocol, resamples=10
            )
            for _ in protocol.directions
        ]
        report = write_report(tmp_path / name, results, protocol, {}, 0)
        for part in ("metrics", "intervals", "baseline"):
            assert list(report[part]) == directions
        assert list(report["curves"]) == list(protocol.directions)
        assert report["by_label"] == {}, "nobody named the labels"
        assert report["protocol"]["headline"] == list(protocol.headline)
        assert report["protocol"]["selection"] == "validation"
        text = (tmp_path / name / "report.md").read_text(encoding="utf-8")
        (headline,) = protocol.headline
        for direction in directions:
            value = report["metrics"][direction][headline]
            assert f"### {direction.replace('_', ' ').capitalize()}\n" in text
            assert f"| {headline} | **{100 * value:.2f} %** |" in text
        assert "Models are selected on the validation split" in text
    assert report["metrics"]["mean"][headline] == pytest.approx(
        np.mean([result.metrics[headline] for result in results])
    )


def test_plots_leave_pyplot_alone(written: Any) -> None:
    """Reports written from a server or a notebook would leak figures."""
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []
