"""What an ingest remembers of all rows: identities as hashes, counts, and the verdict."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.table import Table

from crossray.core.errors import CrossRayError
from crossray.data.ingest.labelling import LABELS_FROM, REPORT
from crossray.data.ingest.worker import GREY_RANGE
from crossray.data.rejection import PASSED_OVER, Reason
from crossray.data.split import SPLITS


class IngestCounts:
    """Checks across rows, and the counts. Memory: one hash an item, two a group."""

    def __init__(self) -> None:
        self._items: set[int] = set()
        self._groups: dict[int, str] = {}
        self._sizes: Counter[int] = Counter()
        self.splits: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.texts = 0
        self.blank_texts = 0
        self.without_text = 0
        self.images = 0
        self.labelled = 0
        self.grey_ranges: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def admit(self, item_id: str, group_id: str, split: str) -> tuple[Reason, str] | None:
        """Enter an item, or say why it contradicts the ones before it."""
        item, group = _hash(item_id), _hash(group_id)
        if item in self._items:
            return "duplicate id", f"an earlier row has the id {item_id!r}"
        if self._groups.setdefault(group, split) != split:
            home = self._groups[group]
            return "group crosses splits", f"group {group_id!r} is in {home}, this row in {split}"
        self._items.add(item)
        self._sizes[group] += 1
        return None

    def reject(self, reason: str, where: str, detail: str) -> None:
        """Count a row that was not taken."""
        self.rejected[reason] += 1
        self._first.setdefault(reason, f"{where} ({detail})")

    def count(self, accepted: pa.Table, blank_texts: int = 0) -> None:
        """Count rows of `PAIR_SCHEMA`, and the blank texts that were left out of them."""
        self.blank_texts += blank_texts
        self.splits.update(accepted["split"].to_pylist())
        self.labels.update(pc.list_flatten(accepted["labels"]).to_pylist())
        lengths = pc.list_value_length(accepted["texts"])
        self.texts += pc.sum(lengths).as_py() or 0
        self.without_text += pc.sum(pc.equal(lengths, 0)).as_py() or 0
        self.images += len(accepted) - accepted["image"].null_count
        origin = pc.map_lookup(accepted["meta"], LABELS_FROM, "first")
        self.labelled += pc.sum(pc.equal(origin, REPORT)).as_py() or 0
        scaled = pc.map_lookup(accepted["meta"], GREY_RANGE, "first").drop_null()
        self.grey_ranges.update(scaled.to_pylist())

    @property
    def items(self) -> int:
        """The number of accepted rows."""
        return len(self._items)

    def metrics(self) -> dict[str, Any]:
        """The counts as the manifest shows them; the keys of `labels` are the vocabulary."""
        return {
            "items": self.items,
            "groups": len(self._groups),
            "images": self.images,
            "texts": self.texts,
            "blank_texts": self.blank_texts,
            "without_text": self.without_text,
            "splits": {split: self.splits[split] for split in SPLITS},
            "labels": dict(sorted(self.labels.items())),
            "grey_ranges": dict(self.grey_ranges.most_common()),
            "rejected": dict(self._refused().most_common()),
            "passed_over": dict((self.rejected - self._refused()).most_common()),
        }

    def table(self) -> Table:
        """The counts for the screen."""
        table = Table("rows", "count")
        table.columns[1].justify = "right"
        table.add_row("items", f"{self.items:,}")
        table.add_row("  with an image", f"{self.images:,}")
        for used, count in self.grey_ranges.most_common():
            table.add_row(f"  of over 8 bits, black to white {used}", f"{count:,}")
        if self.labelled:
            table.add_row("  labelled by their report", f"{self.labelled:,}")
        if self.without_text:
            table.add_row("  without a text", f"{self.without_text:,}")
        table.add_row("texts", f"{self.texts:,}", end_section=not self.blank_texts)
        if self.blank_texts:
            table.add_row("  left out: blank texts", f"{self.blank_texts:,}", end_section=True)
        for split in SPLITS:
            table.add_row(split, f"{self.splits[split]:,}")
        for reason, count in self.rejected.most_common():
            word, style = ("passed over", None) if reason in PASSED_OVER else ("rejected", "red")
            table.add_row(f"{word}: {reason}", f"{count:,}", style=style)
        return table

    def notes(self, grey_range: str) -> list[str]:
        """What a reader of the manifest should know; `grey_range` is what the user asked for."""
        return [*self._group_notes(), *self._grey_notes(grey_range)]

    def warnings(self, grey_range: str) -> list[str]:
        """Those of the notes that a user would not expect."""
        mixed = self._grey_notes(grey_range) if len(self.grey_ranges) > 1 else []
        return [*self._group_notes(), *mixed]

    def _group_notes(self) -> list[str]:
        """What groups do to the splits."""
        notes = []
        largest = max(self._sizes.values(), default=0)
        if largest > max(1, self.items / 2):
            notes.append(
                f"one group holds {largest:,} of {self.items:,} items, all in one split, for a "
                "group is never divided; check what names the groups."
            )
        empty = [split for split in SPLITS if not self.splits[split]]
        if empty and len(self._sizes) < self.items:
            notes.append(
                f"no item is in {' and '.join(empty)}; the {self.items:,} items are in "
                f"{len(self._sizes):,} groups, and a group is never divided."
            )
        return notes

    def _grey_notes(self, wanted: str) -> list[str]:
        """How the images of more than 8 bits were scaled under a `--grey-range`."""
        if not self.grey_ranges:
            return []
        counts = [f"{used} in {count:,}" for used, count in self.grey_ranges.most_common()]
        note = (
            f"{self.grey_ranges.total():,} images have more than 8 bits; black and white "
            f"(--grey-range {wanted}) are {', '.join(counts)}"
        )
        if wanted == "auto" and len(counts) > 1:
            return [f"{note}; give --grey-range full or LOW..HIGH to scale all of them alike."]
        return [f"{note}."]

    def judge(self, max_rejected: float, remedies: Mapping[Reason, str] | None = None) -> None:
        """Raise `CrossRayError` when too many rows were rejected, or none was taken.

        `remedies` say what to do about a reason, where mending the input is not the first thing.
        """
        refused = self._refused() if self.items else self.rejected
        rejected = refused.total()
        total = self.items + rejected
        if not rejected:
            return
        share = rejected / total
        if self.items and share <= max_rejected:
            return
        reason, count = refused.most_common(1)[0]
        remedy = "".join(f"{text}, " for why, text in (remedies or {}).items() if why == reason)
        # The shares have enough digits to show that one exceeds the other.
        limit = f"above the {max_rejected:.4g} of --max-rejected; " if self.items else "every one; "
        raise CrossRayError(
            f"{rejected:,} of {total:,} rows were rejected (a share of {share:.4g}), {limit}"
            f"the commonest reason is {reason!r} ({count:,} rows), first at {self._first[reason]}; "
            f"{remedy}mend the input" + (" or raise --max-rejected." if self.items else ".")
        )

    def _refused(self) -> Counter[str]:
        """The rejected rows without those that were only passed over."""
        return Counter({why: n for why, n in self.rejected.items() if why not in PASSED_OVER})


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")
