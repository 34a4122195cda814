"""The items that an index finds, read from its pairs artifact by id."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossray.core.artifacts import Artifact
from crossray.data.corpora.memory_map import cached_table
from crossray.data.schema import PAIR_SCHEMA, read_row_group, row_groups, text_entries

_FACTS = ("item_id", "split", "labels", "meta")
_SCHEMA = pa.schema(
    [
        *(PAIR_SCHEMA.field(name) for name in _FACTS),
        pa.field("texts", pa.list_(pa.string())),
        pa.field("has_image", pa.bool_()),
        pa.field("group", pa.int32()),
        pa.field("place", pa.int32()),
    ]
)


class ServedItems:
    """Texts, labels and images of items by their row in the pairs.

    Everything but the images is copied once a machine into a file that is mapped, not read; an
    image is fetched from its row group. In memory stand the ids, the map from them to rows and the
    labels.
    """

    def __init__(self, pairs: Artifact) -> None:
        self._pairs, self._groups = pairs, row_groups(pairs)
        self._table = cached_table(f"{pairs.id}-items", _SCHEMA, _facts(pairs, self._groups))
        self.ids: list[str] = self._table["item_id"].to_pylist()
        self._rows = {item: row for row, item in enumerate(self.ids)}
        self._has_image = self._table["has_image"].to_numpy()
        self._labels = _Labels(self._table["labels"])
        self._texts = self._table["texts"]

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, item_id: str) -> int | None:
        """Where an item stands; None for an unknown one."""
        return self._rows.get(item_id)

    def has_image(self, row: int) -> bool:
        """Whether the item has an image."""
        return bool(self._has_image[row])

    def labels(self, row: int) -> list[str]:
        """The item's labels."""
        return self._labels.of(row)

    def texts(self, row: int) -> list[str]:
        """The texts that describe the item, the sentences of each joined."""
        texts: list[str] = self._texts[row].as_py()
        return texts

    def text(self, row: int, number: int) -> str:
        """One of `texts`."""
        return str(self._texts[row].values[number])

    def split(self, row: int) -> str:
        """The item's split."""
        return str(self._table["split"][row])

    def meta(self, row: int) -> dict[str, str]:
        """What else is known of the item."""
        return dict(self._table["meta"][row].as_py())

    def image(self, row: int) -> bytes | None:
        """The encoded image as it was ingested; reads a row group from storage."""
        if not self.has_image(row):
            return None
        unit = self._groups[self._table["group"][row].as_py()]
        images = read_row_group(self._pairs, unit, ["image"])["image"]
        data: bytes = images[self._table["place"][row].as_py()].as_py()
        return data


class _Labels:
    """Lists of labels, of which there are few different ones, without a visit to Arrow."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        lists = pa.concat_arrays([pa.array([], column.type), *column.chunks])
        encoded = lists.flatten().dictionary_encode()
        self._names: list[str] = encoded.dictionary.to_pylist()
        self._numbers = encoded.indices.to_numpy()
        self._ends = np.cumsum([0, *pc.list_value_length(lists).to_pylist()])

    def of(self, row: int) -> list[str]:
        """The labels of a row."""
        numbers = self._numbers[self._ends[row] : self._ends[row + 1]]
        return [self._names[number] for number in numbers.tolist()]


def media_type(image: bytes) -> str:
    """The content type of a stored image, by its first bytes."""
    if image.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "application/octet-stream"


def _facts(pairs: Artifact, groups: list[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    for number, unit in enumerate(groups):
        table = read_row_group(pairs, unit, [*_FACTS, "texts", "sections", "image"])
        columns = {name: table[name] for name in _FACTS}
        columns["texts"] = pa.array(_joined_texts(table), pa.list_(pa.string()))
        columns["has_image"] = pc.is_valid(table["image"])
        columns["group"] = pa.array(np.full(len(table), number, np.int32))
        columns["place"] = pa.array(np.arange(len(table), dtype=np.int32))
        yield from pa.table(columns, schema=_SCHEMA).combine_chunks().to_batches()


def _joined_texts(table: pa.Table) -> list[list[str]]:
    rows = zip(table["texts"].to_pylist(), table["sections"].to_pylist(), strict=True)
    return [[" ".join(entry) for entry in text_entries(*row)] for row in rows]
