"""The rows of a `features` artifact: Arrow IPC, one file a split, one row an item.

`grid` is a feature map [C, Y, X] laid out flat, `states` holds a flat [T, D] of token states for
every text and `sentences` the number of each token's sentence. A feature set, with one vector an
image and one a text, has maps of one cell and texts of one token.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crossray.data.split import Split


def feature_table(
    item_ids: Sequence[str],
    splits: Sequence[Split],
    keys: Sequence[int],
    labels: Sequence[Sequence[str]],
    grids: Sequence[NDArray[Any]],
    states: Sequence[Sequence[NDArray[Any]]],
    sentences: Sequence[Sequence[NDArray[np.int16]]],
    dtype: np.dtype[Any],
) -> pa.Table:
    """Rows of the artifact; the numbers of maps and states are those of `dtype`."""
    kind = pa.from_numpy_dtype(dtype)
    return pa.table(
        {
            "item_id": pa.array(item_ids, pa.string()),
            "split": pa.array(splits, pa.string()),
            "key": pa.array(keys, pa.int64()),
            "labels": pa.array(labels, pa.list_(pa.string())),
            "grid": pa.array(list(grids), pa.list_(kind)),
            "states": pa.array(list(states), pa.list_(pa.large_list(kind))),
            "sentences": pa.array(list(sentences), pa.list_(pa.list_(pa.int16()))),
        }
    )


class FeatureWriter:
    """Writes `train.arrow`, ... under a folder and counts what it wrote."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = ExitStack()
        self._writers: dict[str, pa.RecordBatchWriter] = {}
        self.splits: dict[str, int] = {}
        self.labels: dict[str, int] = {}

    def __enter__(self) -> "FeatureWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._files.close()

    def write(self, table: pa.Table) -> None:
        """Append rows of `feature_table`, each to the file of its split."""
        for split in pc.unique(table["split"]).to_pylist():
            rows = table.filter(pc.equal(table["split"], split))
            self._writer(split, table.schema).write_table(rows)
            self.splits[split] = self.splits.get(split, 0) + len(rows)
        for label in pc.value_counts(pc.list_flatten(table["labels"])).to_pylist():
            self.labels[label["values"]] = self.labels.get(label["values"], 0) + label["counts"]

    def counts(self) -> dict[str, Any]:
        """For the manifest: items, items a split, and labels as in a `pairs` artifact."""
        return {
            "items": sum(self.splits.values()),
            "splits": dict(self.splits),
            "labels": dict(sorted(self.labels.items())),
        }

    def _writer(self, split: str, schema: pa.Schema) -> "pa.RecordBatchWriter":
        if split not in self._writers:
            sink = self._files.enter_context(pa.OSFile(str(self._folder / f"{split}.arrow"), "wb"))
            plain = schema.remove_metadata()
            self._writers[split] = self._files.enter_context(pa.ipc.new_file(sink, plain))
        return self._writers[split]
