"""Labels from reports at ingest, row by row."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from crossray.data.ingest.counts import IngestCounts
from crossray.data.ingest.labelling import labelling_identity, with_labels, with_report_labels
from crossray.data.report_labels.report import Policy
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.sources.csv import CsvSource
from crossray.data.sources.source import Plan, Source

Rows = list[dict[str, Any]]
Judge = Callable[[Any], Rows]


class _Labelled:
    """A table whose plan labels its reports, as ingest does it."""

    def __init__(self, source: Source, policy: Policy) -> None:
        self._source, self._policy = source, policy

    def plan(self) -> Plan:
        return with_labels(self._source.plan(), self._policy)


def _table(folder: Path) -> CsvSource:
    rows = [
        {"id": "a", "indication": "Fracture?", "findings": "Possible edema. Effusion.", "tag": ""},
        {"id": "b", "indication": "", "findings": "Small effusion.", "tag": "mine"},
        {"id": "c", "indication": "", "findings": "A dog runs.", "tag": ""},
        {"id": "d", "indication": "", "findings": "The lungs are clear.", "tag": ""},
    ]
    with (folder / "reports.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return CsvSource(
        str(folder / "reports.csv"),
        text_columns="indication,findings",
        document=True,
        id_column="id",
        label_column="tag",
    )


def test_rows_without_labels_are_labelled(tmp_path: Path, judge: Judge) -> None:
    """Labels given by hand would be replaced, or reports without any left without."""
    source = _table(tmp_path)
    zeros, ones = (judge(_Labelled(source, policy)) for policy in ("zeros", "ones"))
    assert [row["labels"] for row in zeros] == [["Pleural Effusion"], ["mine"], [], ["No Finding"]]
    assert ones[0]["labels"] == ["Lung Opacity", "Edema", "Pleural Effusion"]
    assert [dict(row["meta"]) for row in zeros] == [
        {"labels_from": "report"}, {}, {}, {"labels_from": "report"},
    ]  # fmt: skip


def test_other_columns_stay(tmp_path: Path, judge: Judge) -> None:
    """Labelling would change texts, splits or order."""
    source = _table(tmp_path)
    plain, read = judge(source), judge(_Labelled(source, "ones"))
    for before, after in zip(plain, read, strict=True):
        assert {**before, "labels": [], "meta": []} == {**after, "labels": [], "meta": []}


def test_labelled_items_are_counted(tmp_path: Path, judge: Judge) -> None:
    """The manifest would state a wrong number of labelled reports."""
    counts = IngestCounts()
    rows = judge(_Labelled(_table(tmp_path), "zeros"))
    counts.count(pa.Table.from_pylist(rows, schema=PAIR_SCHEMA))
    assert counts.labelled == 2
    counts.count(pa.Table.from_pylist([], schema=PAIR_SCHEMA))
    assert counts.labelled == 2


def test_meta_is_kept() -> None:
    """What the importer knew of a row would be lost."""
    row = with_report_labels(
        {"item_id": "a", "texts": ["Edema."], "meta": {"study_id": "s"}}, "zeros"
    )
    assert row["meta"] == {"study_id": "s", "labels_from": "report"}


def test_the_policy_is_part_of_the_identity() -> None:
    """Two artifacts with different labels could not be told apart."""
    assert labelling_identity("zeros") != labelling_identity("ones")
