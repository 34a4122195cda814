"""Tables with one caption a row: the rows of one id become one item with all their captions."""

import hashlib
from collections.abc import Sequence
from typing import Any

from crossray.data.image_file import ImageFile
from crossray.data.rejection import Reason, Rejected
from crossray.data.schema import PairRow

REMEDY: dict[Reason, str] = {
    "duplicate id": "join the captions of rows with one id by --group-captions"
}
_WORDS = {"group_id": "group", "meta": "further columns"}
_SHOWN = 60


class Groups:
    """The rows of every id, in the order of their first, as runs of rows that follow one another.

    Memory: a hash an id and a place a run.
    """

    def __init__(self) -> None:
        self.items: list[list[list[int]]] = []
        self._of: dict[bytes, list[list[int]]] = {}
        self._last: list[list[int]] = []

    def add(self, item_id: str, *place: int) -> None:
        """Enter the row at `place`; one without an id is a separate item.

        Every run is the place of its first row and the number of its rows.
        """
        key = hashlib.blake2b(item_id.encode(), digest_size=16).digest()
        runs = self._of.setdefault(key, []) if item_id else []
        if runs and runs is self._last:
            runs[-1][-1] += 1
            return
        if not runs:
            self.items.append(runs)
        runs.append([*place, 1])
        self._last = runs

    def end_run(self) -> None:
        """Let the next row begin a run: it does not follow the last one."""
        self._last = []


def joined_captions(rows: Sequence[tuple[str, PairRow]]) -> PairRow:
    """The item of rows, each with its place: its captions are those of all rows, in order.

    Raises `Rejected` where the rows do not agree in everything else.
    """
    (first_place, first), *others = rows
    for place, row in others:
        for field, value in first.items():
            if field != "texts" and row.get(field) != value:
                raise Rejected(
                    "rows disagree",
                    f"{first_place} and {place} have one id and different "
                    f"{_WORDS.get(field, field)}: {_spelt(value)} and {_spelt(row.get(field))}",
                )
    return {**first, "texts": [text for _, row in rows for text in row.get("texts", ())]}


def _spelt(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, ImageFile):  # its folder is another one on another machine
        value = value.name
    return f"{value!r:.{_SHOWN}}"
