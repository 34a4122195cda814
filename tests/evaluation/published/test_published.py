"""The store of published figures, and what of it is set beside a report."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any, get_args

import pytest

from crossray.evaluation.published import Measured, PublishedFigure, published_figures, set_beside
from crossray.evaluation.published.figures import PublishedDirection
from crossray.evaluation.report.published_section import published_section

STORE = published_figures()


def where(figure: PublishedFigure) -> tuple[Any, ...]:
    """What identifies a cell of a table."""
    return (
        figure.source, figure.data_set, figure.system, figure.direction, figure.bits, figure.metric,
    )  # fmt: skip


def test_the_tables_are_whole() -> None:
    """A row that was left out would never be missed by a reader."""
    assert Counter(figure.source for figure in STORE) == {
        "CMFG, Table 1": 2 * 7 * 4,
        "GPLDAN, Table 2": 9 * 4 * 3,
        "GPLDAN, Table 3 (ablation)": 6 * 3,
        "MMACH, Table 4": 2 * 11 * 4 * 3,
        "MMACH, Tables 2 and 3 (ablation)": 2 * 2 * 4 * 3,
        "MMDL, text": 4,
        "MMDL, figure": 1,
    }


def test_no_cell_stands_twice() -> None:
    """Two values for one cell: a report would show both."""
    assert max(Counter(map(where, STORE)).values()) == 1


def test_tables_of_one_paper_agree() -> None:
    """A system that two tables of a paper contain has one value in both."""
    values = defaultdict(set)
    for figure in STORE:
        values[(figure.paper, *where(figure)[1:])].add(figure.value)
    assert all(len(found) == 1 for found in values.values())


def test_every_figure_can_be_read() -> None:
    """A percentage among fractions, or a figure without its source, would mislead."""
    for figure in STORE:
        assert 0.1 <= figure.value <= (figure.high or figure.value) < 1, figure
        assert figure.direction in get_args(PublishedDirection), figure
        assert figure.bits in (None, 16, 32, 64), figure
        assert (figure.bits is None) == ("MMACH" not in figure.source), figure
        assert figure.metric == "mAP@all" or figure.metric.endswith("[undefined in paper]"), figure
        assert all(size > 0 for size in figure.split_sizes.values()), figure
        assert set(figure.split_sizes) in (
            set(), {"train", "test"}, {"train", "val", "test"}, {"train", "query", "database"},
        ), figure  # fmt: skip
        assert figure.source.split(",")[0] == figure.paper.split(":")[0], figure
        assert "unverified" not in f"{figure}".lower(), figure
        assert figure.system, figure
        assert not figure.reproduced_here, "nothing is reproduced before it was measured"


@pytest.mark.parametrize(
    ("source", "data_set", "system", "direction", "bits", "value"),
    [
        ("CMFG, Table 1", "mirflickr", "UNITER", "text_to_image", None, 0.792),
        ("GPLDAN, Table 2", "nus-wide-10k", "DSCMR", "text_to_image", None, 0.373),
        ("MMACH, Table 4", "nus-wide", "SCM", "image_to_text", 32, 0.4792),
        ("MMACH, Table 4", "coco", "GSPH", "text_to_image", 64, 0.6461),
        ("MMACH, Table 4", "iapr-tc12", "MMACH", "text_to_image", 16, 0.5316),
        ("MMDL, text", "mimic-cxr", "ATH", "image_to_image", None, 0.515),
    ],
)
def test_cells_from_the_middle_of_the_tables(
    source: str, data_set: str, system: str, direction: str, bits: int | None, value: float
) -> None:
    """A column that slipped by one would put every value under another heading."""
    found = [f for f in STORE if where(f)[:5] == (source, data_set, system, direction, bits)]
    assert found[0].value == value


def test_only_the_two_exchanged_averages_are_wrong() -> None:
    """A typing error in the store, or one more in the papers, would go unnoticed."""
    cells = {where(figure)[:4]: figure for figure in STORE if "GPLDAN" in figure.source}
    wrong = {}
    for (source, data_set, system, direction), figure in cells.items():
        if direction == "mean":
            both = [
                cells[source, data_set, system, one].value
                for one in ("image_to_text", "text_to_image")
            ]
            if abs(figure.value - sum(both) / 2) > 0.0005 + 1e-9:
                wrong[data_set, system] = figure
    assert set(wrong) == {("xmedia", "DCCA"), ("xmedia", "DCCAE")}
    noted = [figure for figure in STORE if "exchanged in print" in figure.note]
    assert noted == list(wrong.values())


def test_recalls_that_fall_with_k_say_that_they_are_none() -> None:
    """R@10 below R@5 is no recall: such figures may not pass for targets."""
    cells = {(*where(f)[:5], f.metric.split("[")[0]): f for f in STORE if f.metric[0] == "R"}
    pairs = [
        (figure, cells[(*key[:5], "R@10")]) for key, figure in cells.items() if key[5] == "R@5"
    ]
    falling = {where(f) for five, ten in pairs if ten.value < five.value for f in (five, ten)}
    assert len(falling) == 56
    noted = {where(figure) for figure in STORE if "metric undefined" in figure.note}
    assert noted == falling


def report(relevance: str = "share_label", **metrics: float) -> dict[str, Any]:
    """A report of 462 queries and items in both directions."""
    both = ("image_to_text", "text_to_image")
    values = {"median_rank": 3.0, "mAP@all": 0.4, "mAP@all[rare]": 0.2, **metrics}
    return {
        "metrics": {name: {**values, "mAP@all[rare] random": 0.1} for name in both},
        "intervals": {name: {key: [0, 1] for key in values} for name in both},
        "counts": {name: {"queries": 462, "items": 462} for name in both},
        "protocol": {"relevance": "pair", "ap_relevance": relevance},
    }


WIKIPEDIA = Measured("wikipedia", {"train": 2173, "val": 231, "test": 462})


def test_data_of_no_paper_has_nothing_beside_it() -> None:
    """Drawn films beside encyclopaedia articles are no comparison."""
    for name in ("phantom", "csv", "flickr8k", "chexpert", ""):
        assert set_beside(report(), Measured(name, {"train": 2173, "test": 462})) == []
    measured = Measured.on({"source": "nus-wide", "split": "mmach"}, {}, None)
    assert {row.published.data_set for row in set_beside(report(), measured)} == {"nus-wide"}
    measured = Measured.on({"source": "nus-wide", "split": "10k"}, {}, None)
    assert {row.published.data_set for row in set_beside(report(), measured)} == {"nus-wide-10k"}


def test_every_figure_of_the_same_direction_stands_there_once() -> None:
    """A favourable row could be picked."""
    rows = set_beside(report(**{"mAP@50[found]": 0.45}), WIKIPEDIA)
    wanted = [f for f in STORE if f.data_set == "wikipedia" and f.direction != "mean"]
    assert [row.published for row in rows] == wanted
    assert {(row.metric, row.value) for row in rows} == {("mAP@50[found]", 0.45)}
    assert {row.differs for row in rows} == {("metric undefined in paper",)}


def test_only_what_agrees_in_everything_is_reproduced() -> None:
    """`yes` beside a figure of another split would be a false claim."""
    figure = next(f for f in STORE if f.data_set == "wikipedia" and f.direction == "image_to_text")
    figure = replace(figure, metric="mAP@50[found]")

    def differs(measured: Measured = WIKIPEDIA, **changes: Any) -> tuple[str, ...]:
        metrics = {"mAP@50[found]": 0.45}
        found = set_beside(report(**{**metrics, **changes}), measured, [figure])[0]
        assert found.published.reproduced_here == (not found.differs)
        return found.differs

    assert differs() == ()
    assert differs(relevance="pair") == ("relevance: same_class",)
    assert differs(replace(WIKIPEDIA, splits={"train": 2000})) == ("sizes: train 2,173",)
    assert differs(replace(WIKIPEDIA, bits=64)) == ("vectors",)
    other = report(**{"mAP@50[total]": 0.3})
    assert set_beside(other, WIKIPEDIA, [figure])[0].differs == ("metric: mAP@50[found]",)
    other["counts"]["image_to_text"]["items"] = 693
    assert "sizes: test 462" in set_beside(other, WIKIPEDIA, [figure])[0].differs
    whole = set_beside(report(), WIKIPEDIA, [figure])[0]
    assert (whole.metric, whole.differs) == ("mAP@all", ("metric: mAP@50[found]",))


def test_a_mean_of_directions_stands_beside_the_papers_mean() -> None:
    """The one figure that GPLDAN's readers look for would be missing, or never comparable."""
    content = report(**{"mAP@50[found]": 0.45})
    content["metrics"]["mean"] = {"mAP@50[found]": 0.44}
    content["intervals"]["mean"] = {"mAP@50[found]": [0, 1]}
    figure = next(f for f in STORE if f.data_set == "wikipedia" and f.direction == "mean")
    figure = replace(figure, metric="mAP@50[found]")
    (row,) = set_beside(content, WIKIPEDIA, [figure])
    assert (row.value, row.differs, row.published.reproduced_here) == (0.44, (), True)
    content["counts"]["text_to_image"]["queries"] = 461
    assert set_beside(content, WIKIPEDIA, [figure])[0].differs == ("sizes: test 462",)


def test_a_query_that_is_left_out_counts_as_test() -> None:
    """Leave-one-out asks a database of one item less than the test set."""
    figure = next(f for f in STORE if f.system == "Image-D121")
    figure = replace(figure, metric="mAP@10[found]")
    sizes = {"train": 189_036, "val": 26_750, "test": 4_075}
    content = {
        "metrics": {"image_to_image": {"mAP@10[found]": 0.6}},
        "intervals": {"image_to_image": {"mAP@10[found]": [0, 1]}},
        "counts": {"image_to_image": {"queries": 4_075, "items": 4_074}},
        "protocol": {"ap_relevance": "share_label", "leave_one_out": True},
    }
    assert set_beside(content, Measured("mimic-cxr", sizes), [figure])[0].differs == ()


def test_codes_stand_beside_codes_of_as_many_bits() -> None:
    """64 bits beside 16 would look like progress."""
    sizes = {"train": 10_000, "val": 8_015, "test": 2_000}
    content = report()
    for counts in content["counts"].values():
        counts.update(queries=2_000, items=18_015)
    rows = set_beside(content, Measured("mirflickr", sizes, 32))
    assert {row.published.bits for row in rows} == {32}
    assert all(row.published.reproduced_here for row in rows)
    rows = set_beside(content, Measured("mirflickr", sizes))
    assert {row.differs for row in rows} == {(f"codes of {bits} bits",) for bits in (16, 32, 64)}


def test_recalls_need_the_same_k() -> None:
    """R@1 beside R@5 would look like a loss."""
    figures = [f for f in STORE if f.source == "CMFG, Table 1"]
    rows = set_beside(report(**{"R@1": 0.1, "R@5": 0.3}), Measured("mirflickr", {}), figures)
    assert {row.metric for row in rows} == {"R@5"}
    assert {row.published.metric for row in rows} == {"R@5[undefined in paper]"}


def test_own_and_published_figures_share_no_column() -> None:
    """A reader would take one for the other."""
    rows = set_beside(report(**{"mAP@50[found]": 0.4567}), WIKIPEDIA)
    section = published_section(rows)
    at = {column: number for number, column in enumerate(section.columns)}
    assert {cells[at["ours"]] for cells in section.rows} == {"0.457"}
    published = [cells[at["published"]] for cells in section.rows]
    assert published == [f"{row.published.value:.3f}" for row in rows]
    flags = {cells[at["reproduced on this data"]] for cells in section.rows}
    assert flags == {"no (metric undefined in paper)"}
    assert {cells[at["source"]].split(",")[0] for cells in section.rows} == {"GPLDAN"}


def test_values_keep_the_digits_of_their_paper() -> None:
    """An interval that was inferred must not look like a measured value."""
    content = report()
    content["metrics"]["image_to_image"] = {"mAP@all": 0.5}
    content["intervals"]["image_to_image"] = {"mAP@all": [0, 1]}
    content["counts"]["image_to_image"] = {"queries": 1, "items": 1}
    rows = set_beside(content, Measured("mimic-cxr", {}))
    shown = {cells[5]: (cells[3], cells[-1]) for cells in published_section(rows).rows}
    assert shown["Image-MMDL"] == ("0.650", "")
    assert shown["MMDL"][0] == "0.680 to 0.683"
    assert "inferred" in shown["MMDL"][1]
    rows = set_beside(report(), Measured("coco", {}))
    assert "0.5439" in {cells[3] for cells in published_section(rows).rows}
