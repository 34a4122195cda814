"""An ingest in this process, without Ray."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from crossray.data.ingest.counts import IngestCounts
from crossray.data.ingest.worker import UNIT_COLUMN, IngestWorker
from crossray.data.schema import REJECTED_SCHEMA
from crossray.data.sources.source import Source
from crossray.stages.ingest import admit


class Refused(list[dict[str, Any]]):
    """In the place of the file of rejected rows."""

    write = list.append


@dataclass(frozen=True)
class Outcome:
    """What was taken, by id, and what was told."""

    rows: dict[str, dict[str, Any]]
    counts: IngestCounts
    notes: tuple[str, ...]

    @property
    def counted(self) -> int:
        """Rows and texts that were not taken."""
        return self.counts.rejected.total() + self.counts.blank_texts


def outcome(source: Source) -> Outcome:
    """The plan, the worker and the counts as `ingest` runs them."""
    plan = source.plan()
    units = pa.table({UNIT_COLUMN: [json.dumps(unit) for unit in plan.units]})
    counts, refused = IngestCounts(), Refused()
    tables = [admit(table, counts, refused) for table in IngestWorker(plan.reader, 0)(units)]
    assert len(pa.Table.from_pylist(refused, schema=REJECTED_SCHEMA)) == counts.rejected.total()
    taken = [row for table in tables for row in table.to_pylist()]
    assert len(taken) + counts.rejected.total() == plan.rows
    return Outcome({row["item_id"]: row for row in taken}, counts, plan.notes)
