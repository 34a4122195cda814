"""What splitters know of every item: its row without the image and the text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from crossray.core.artifacts import Artifact
from crossray.data.schema import iter_pairs
from crossray.data.split import Split

_COLUMNS = ("item_id", "group_id", "split", "image", "texts", "labels", "meta")
_SEPARATORS = re.compile(r"[|;]")


@dataclass(frozen=True)
class SplitItems:
    """Columns over the N items of a pairs artifact, in its order.

    Attributes:
        item_ids: unique.
        group_ids: the patient, case or source photo of an item.
        splits: of each item.
        studies: `meta["study_id"]`, or the item's id; films of a study share its text.
        labels: what an item carries.
        uncertain: labels that `meta["uncertain"]` names.
        paired_N: whether an item has both an image and a text.
    """

    item_ids: Sequence[str]
    group_ids: Sequence[str]
    splits: Sequence[Split]
    studies: Sequence[str]
    labels: Sequence[Sequence[str]]
    uncertain: Sequence[Sequence[str]]
    paired_N: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.item_ids)

    def annotated(self) -> NDArray[np.int64]:
        """Row numbers of the training items that are pairs."""
        training_N = np.array([split == "train" for split in self.splits], dtype=bool)
        return np.flatnonzero(training_N & self.paired_N)

    def by_study(self, rows: NDArray[np.int64]) -> tuple[list[str], list[list[str]]]:
        """The studies of these rows, each once, and the labels that any of their rows carries."""
        found: dict[str, set[str]] = {}
        for row in rows:
            found.setdefault(self.studies[row], set()).update(self.labels[row])
        return list(found), [sorted(names) for names in found.values()]


def read_items(pairs: Artifact) -> SplitItems:
    """Read the items; one row group's images are in memory at a time, to see which are there."""
    columns: dict[str, list] = {name: [] for name in (*_COLUMNS, "paired")}  # type: ignore[type-arg]
    for table in iter_pairs(pairs, _COLUMNS):
        for name in ("item_id", "group_id", "split", "labels", "meta"):
            columns[name] += table[name].to_pylist()
        textual = pc.greater(pc.list_value_length(table["texts"]), 0)
        columns["paired"] += pc.and_(pc.is_valid(table["image"]), textual).to_pylist()
    metas = [dict(meta) for meta in columns["meta"]]
    item_ids = columns["item_id"]
    return SplitItems(
        item_ids,
        columns["group_id"],
        columns["split"],
        [meta.get("study_id") or item for meta, item in zip(metas, item_ids, strict=True)],
        columns["labels"],
        [[name for name in _SEPARATORS.split(meta.get("uncertain", "")) if name] for meta in metas],
        np.array(columns["paired"], dtype=bool),
    )
