"""Which item each row of an index is, and what a hit says of it."""

from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.index import MODALITIES, Modality, load_rows
from crossray.serving.items import ServedItems

_Numbers = NDArray[np.int64]


class Catalogue:
    """From rows of an index to hits, and from an item to its row."""

    def __init__(self, index: Artifact, items: ServedItems) -> None:
        self.items = items
        self._item_rows: dict[Modality, _Numbers] = {}
        self._numbers: dict[Modality, NDArray[np.int32]] = {}
        self._first_row: dict[Modality, _Numbers] = {}
        ids = pa.array(items.ids, pa.string())
        for modality in MODALITIES:
            rows = load_rows(index, modality)
            found_N = _places(rows["item_id"], ids, index)
            self._item_rows[modality] = found_N
            self._numbers[modality] = rows["number"].to_numpy()
            # Later writes win, so that from the back the first row of an item stays.
            first = np.full(len(items), -1, np.int64)
            first[found_N[::-1]] = np.arange(len(found_N))[::-1]
            self._first_row[modality] = first

    def hit(self, modality: Modality, row: int, score: float) -> dict[str, Any]:
        """The hit of a row of the index (`schema.Hit`)."""
        item, number = int(self._item_rows[modality][row]), int(self._numbers[modality][row])
        item_id = self.items.ids[item]
        return {
            "item_id": item_id,
            "modality": modality,
            "number": number,
            "score": score,
            "text": self.items.text(item, number) if modality == "text" else None,
            "labels": self.items.labels(item),
            "image": image_link(item_id) if self.items.has_image(item) else None,
        }

    def rows(self, modality: Modality, item_id: str) -> _Numbers:
        """The rows of the index that are an item's."""
        found: _Numbers = np.flatnonzero(self._item_rows[modality] == self.items.row(item_id))
        return found

    def query_row(self, item: int) -> tuple[Modality, int] | None:
        """The row that stands for an item in a query: its image's, else its first text's."""
        for modality in MODALITIES:
            if (row := int(self._first_row[modality][item])) >= 0:
                return modality, row
        return None


def image_link(item_id: str) -> str:
    """Where the endpoint gives the image of an item."""
    return f"/v1/items/{quote(item_id, safe='')}/image"


def _places(item_ids: pa.ChunkedArray, ids: pa.Array, index: Artifact) -> _Numbers:
    """The item's row in the pairs for every row of the index."""
    places = pc.index_in(item_ids, value_set=ids)
    if places.null_count:
        stranger = item_ids.filter(pc.is_null(places))[0].as_py()
        raise CrossRayError(
            f"{index.uri} holds the item {stranger!r}, which its pairs do not have; "
            "build the index again."
        )
    found: _Numbers = places.to_numpy().astype(np.int64)
    return found
