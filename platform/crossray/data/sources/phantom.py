"""Generated chest radiographs with reports: rows that need no input."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from crossray.data.phantom import DISCLAIMER, VERSION, PhantomConfig, generate
from crossray.data.schema import PairRow
from crossray.data.sources.source import UNIT_ROWS, Plan, Source


@dataclass(frozen=True)
class PhantomSource(Source):
    """Generated chest radiographs with reports, rendered in parallel."""

    name: ClassVar[str] = "phantom"
    version: ClassVar[str] = str(VERSION)

    phantom: PhantomConfig = field(default_factory=PhantomConfig)

    def plan(self) -> Plan:
        """Ranges of rows."""
        items = self.phantom.items
        units = [
            {"start": start, "stop": min(start + UNIT_ROWS, items)}
            for start in range(0, items, UNIT_ROWS)
        ]
        return Plan(units, items, PhantomReader(self.phantom), notes=(DISCLAIMER,))


@dataclass(frozen=True)
class PhantomReader:
    """Renders ranges of rows, inside a worker."""

    phantom: PhantomConfig

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The rendered rows of a range."""
        rows = generate(self.phantom, unit["start"], unit["stop"])
        for index, row in enumerate(rows, start=unit["start"]):
            yield f"row {index}", row

    def row(self, raw: dict[str, Any]) -> PairRow:
        """The row as it was rendered."""
        return cast(PairRow, raw)
