"""Published figures beside ours, as a part of a report."""

from __future__ import annotations

from collections.abc import Sequence

from crossray.evaluation.protocols.measures import show_value
from crossray.evaluation.published.compare import Beside
from crossray.evaluation.report.section import Section

TITLE = "Published figures"
COLUMNS = (
    "direction", "metric of ours", "ours", "published", "metric of the paper", "system", "bits",
    "source", "reproduced on this data", "note",
)  # fmt: skip


def published_section(rows: Sequence[Beside]) -> Section:
    """The section of what `set_beside` gives."""
    words = [
        "What papers print for this data set, copied from their tables, beside what was measured "
        "here. The two are comparable only where “reproduced on this data” says yes: data set, "
        "split sizes and metric agree. Else it says what differs.",
    ]
    return Section(TITLE, words, COLUMNS, [_cells(row) for row in rows])


def _cells(row: Beside) -> list[str]:
    figure = row.published
    ends = [_shown(end) for end in (figure.value, figure.high) if end is not None]
    return [
        figure.direction.replace("_", " "),
        row.metric,
        show_value(row.value, row.metric),
        " to ".join(ends),
        figure.metric,
        figure.system,
        "" if figure.bits is None else str(figure.bits),
        figure.source,
        "yes" if figure.reproduced_here else f"no ({'; '.join(row.differs)})",
        figure.note,
    ]


def _shown(value: float) -> str:
    """With the digits of the paper: three, or four."""
    three = f"{value:.3f}"
    return three if float(three) == value else f"{value:.4f}"
