"""What a worker makes of rows of any content: taken, or rejected with the reason."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from crossray.core.errors import CrossRayError
from crossray.data.ingest.counts import IngestCounts
from crossray.data.ingest.worker import UNIT_COLUMN, WORK_SCHEMA, IngestWorker
from crossray.data.schema import PairRow
from crossray.data.sources.source import Plan, Source
from crossray.stages.ingest import admit, ingest
from support.images import encoded_image
from support.one_process import Refused


@dataclass(frozen=True)
class Given:
    """A reader of rows as they stand, or of what raises."""

    rows: list[Any]

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """All rows."""
        yield from ((f"row {at}", row) for at, row in enumerate(self.rows))

    def row(self, raw: Any) -> PairRow:
        """The row."""
        if isinstance(raw, Exception):
            raise raw
        return raw  # type: ignore[no-any-return]


def judged(*rows: Any) -> pa.Table:
    """The rows of `WORK_SCHEMA`, one a row."""
    tables = list(IngestWorker(Given(list(rows)), 0)(pa.table({UNIT_COLUMN: [json.dumps({})]})))
    table = pa.concat_tables(tables)
    assert table.schema.equals(WORK_SCHEMA)
    assert table["where"].to_pylist() == [f"row {at}" for at in range(len(rows))]
    return table


def item(number: int = 0, **fields: Any) -> dict[str, Any]:
    """A sound row, with other fields."""
    return {"item_id": f"i{number}", "texts": ["A cat."], **fields}


BOX = {"label": "cat", "x0": 0.1, "y0": 0.1, "x1": 0.5, "y1": 0.5}
BAD: list[tuple[Any, str]] = [
    ({"texts": ["half \ud83d"]}, "not UTF-8"),
    ({"item_id": "film_\udce9"}, "not UTF-8"),
    ({"labels": ["\udce9"]}, "not UTF-8"),
    ({"group_id": "\udce9"}, "not UTF-8"),
    ({"meta": {"title": "\ud83d"}}, "not UTF-8"),
    ({"item_id": 7}, "malformed row"),
    ({"item_id": None}, "missing id"),
    ({"item_id": "\u200b"}, "missing id"),
    ({"split": 3}, "malformed row"),
    ({"split": "fold"}, "unknown split"),
    ({"texts": "A cat."}, "malformed row"),
    ({"texts": [7]}, "malformed row"),
    ({"texts": [["A cat."]]}, "malformed row"),
    ({"texts": None}, "malformed row"),
    ({"texts": 7}, "malformed row"),
    ({"texts": [None]}, "missing text"),
    ({"texts": [math.nan]}, "missing text"),
    ({"texts": ["\u200b", " ", None]}, "missing text"),
    ({"texts": []}, "missing text"),
    ({"texts": ["One.", "\u200b"], "sections": [{"name": "a", "start": 0, "stop": 2}]},
     "missing text"),
    ({"texts": ["x" * 100_001]}, "text too long"),
    ({"labels": [{"bbox": 1}]}, "malformed row"),
    ({"labels": 5}, "malformed row"),
    ({"boxes": [{**BOX, "x0": math.nan}]}, "malformed row"),
    ({"boxes": [{**BOX, "x1": 0.05}]}, "malformed row"),
    ({"boxes": [{**BOX, "y1": 1.5}]}, "malformed row"),
    ({"boxes": [{**BOX, "x0": -0.5}]}, "malformed row"),
    ({"boxes": [{**BOX, "x0": "left"}]}, "malformed row"),
    ({"boxes": [{"label": "cat"}]}, "malformed row"),
    ({"boxes": [{**BOX, "label": 5}]}, "malformed row"),
    ({"sections": [{"name": "a", "start": 10**30, "stop": 1}]}, "malformed row"),
    ({"meta": {"year": 1984}}, "malformed row"),
    ({"meta": ["year"]}, "malformed row"),
    ({"image": b""}, "broken image"),
    ({"image": 7}, "malformed row"),
    ({"masks": [{"name": "lung"}], "image": encoded_image(1)}, "malformed row"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), BAD, ids=[str(at) for at in range(len(BAD))])
def test_a_bad_row_costs_itself(change: dict[str, Any], reason: str) -> None:
    """One row among a million that no importer foresaw must not end the ingest."""
    table = judged(item(1), item(2, **change), item(3))
    assert table["reason"].to_pylist() == [None, reason, None]
    assert table["detail"][1].as_py()
    assert table["item_id"].to_pylist()[::2] == ["i1", "i3"]


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), KeyError("x"), TypeError("x"), OverflowError("x"), AttributeError("x"),
     ZeroDivisionError("x"), pa.ArrowInvalid("x"), UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "x")],
)  # fmt: skip
def test_a_reader_that_stumbles_costs_the_row(error: Exception) -> None:
    """A value of another type than an importer expects raises wherever it is used."""
    reasons = judged(item(1), error, item(3))["reason"].to_pylist()
    expected = "not UTF-8" if isinstance(error, UnicodeError) else "malformed row"
    assert reasons == [None, expected, None]


@pytest.mark.parametrize("error", [CrossRayError("mend it."), OSError(5, "the disk is gone")])
def test_what_is_no_row_ends_the_ingest(error: Exception) -> None:
    """A disk that is gone must not be counted as a million bad rows."""
    with pytest.raises(type(error)):
        judged(item(1), error)


def test_rejected_rows_can_be_written() -> None:
    """The list of rejected rows is where a user looks for what UTF-8 cannot hold."""
    table = judged(item(item_id="a\udce9\ud83d", labels=["b"]))
    assert table["item_id"].to_pylist() == ["a\\udce9\\ud83d"]


def test_blank_captions_are_left_out_and_counted() -> None:
    """One blank caption of five must neither cost the image nor pass for a caption."""
    texts = ["One.", None, " Two. ", "\u200b\ufeff", math.nan, "", "\u2800"]
    table = judged(item(1, texts=texts), item(2), item(3, texts=[None, "\u00ad"]))
    assert table["texts"].to_pylist() == [["One.", "Two."], ["A cat."], None]
    assert table["blank_texts"].to_pylist() == [5, 0, None]
    counts, refused = IngestCounts(), Refused()
    assert len(admit(table, counts, refused)) == 2
    assert [row["where"] for row in refused] == ["row 2"]
    metrics = counts.metrics()
    assert (metrics["texts"], metrics["blank_texts"]) == (3, 5)
    screen = io.StringIO()
    Console(file=screen, width=100).print(counts.table())
    assert re.search(r"left out: blank texts\s+\D\s+5\b", screen.getvalue())


def test_words_for_missing_values_are_no_captions_and_no_groups() -> None:
    """Captions "nan" would be learnt, and all items of the group "nan" share a split."""
    table = judged(
        item(1, texts=["NaN", "A dog.", "None"], group_id="nan"),
        item(2, texts=["n/a"]),
        item(3, texts=["No nodule.", "None."], labels=["na"]),
        item(4, texts=["None"], sections=[{"name": "findings", "start": 0, "stop": 1}]),
    )
    kept = [["A dog."], None, ["No nodule.", "None."], ["None"]]
    assert table["texts"].to_pylist() == kept
    assert table["blank_texts"].to_pylist() == [2, None, 0, 0]
    assert table["group_id"].to_pylist() == ["i1", None, "i3", "i4"]
    assert table["labels"].to_pylist()[2] == ["na"], "a tag of photos"


def test_without_blank_captions_nothing_is_said() -> None:
    """A line of zeros on every screen hides the one that matters."""
    screen, counts = io.StringIO(), IngestCounts()
    admit(judged(item(1)), counts, Refused())
    Console(file=screen, width=100).print(counts.table())
    assert "blank" not in screen.getvalue()


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("no page 7"), "no page 7.*run it again"),
        (CrossRayError("mend it."), "^mend it"),
    ],
)
def test_a_reader_that_cannot_go_on_is_a_sentence(
    error: Exception, words: str, tmp_path: Path
) -> None:
    """What comes between the rows is no row's fault, and must not end in a worker's traceback."""

    class Torn:
        def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
            yield "row 0", {"item_id": "i0", "texts": ["A cat."]}
            raise error

        def row(self, raw: Any) -> PairRow:
            return raw  # type: ignore[no-any-return]

    class TornSource(Source):
        name = "torn"

        def identity(self) -> dict[str, Any]:
            return {}

        def plan(self) -> Plan:
            return Plan([{}], 2, Torn())

    with pytest.raises(CrossRayError, match=words) as caught:
        ingest(TornSource(), str(tmp_path / "out"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
