"""One split of a data set as self-supervision reads it: images and texts, paired or not."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.data.corpora.loading import naming
from crossray.data.corpora.memory_map import cached_table
from crossray.data.schema import PAIR_SCHEMA, iter_pairs, text_entries
from crossray.data.split import Split

Augmented = Callable[[bytes, int, int], Tensor]
UnimodalKind = Literal["images", "texts"]
_COLUMNS: dict[UnimodalKind, tuple[str, ...]] = {
    "images": ("image", "item_id"),
    "texts": ("texts", "sections", "item_id"),
}


class UnimodalCorpus:
    """The images of a split, whether or not they have a text, and its texts, image or not.

    Image and text of one row are of different items. There are as many rows as images or texts,
    whichever are more; the others repeat.
    """

    def __init__(
        self,
        pairs: Artifact,
        split: Split,
        upright: Augmented,
        views: tuple[Augmented, Augmented],
        modalities: Sequence[UnimodalKind] = ("images", "texts"),
    ) -> None:
        """`upright` and `views` make pixels_CYX of an encoded image, an epoch and its number.

        Raises `CrossRayError` for a split without any item of one of the modalities.
        """
        self._upright, self._views = upright, views
        self._columns: dict[UnimodalKind, pa.Table] = {}
        for modality in modalities:
            self._columns[modality] = _table(pairs, split, modality)
            if not len(self._columns[modality]):
                raise CrossRayError(
                    f"the {split} split of {pairs.uri} has no {modality}; leave out the tasks that "
                    "need them, or ingest items that have some."
                )

    def __len__(self) -> int:
        return max(len(table) for table in self._columns.values())

    def upright(self, row: int, epoch: int) -> Tensor:
        """`pixels_CYX` of an image, upright."""
        data, item_id = self._image(row)
        with naming(item_id):
            return self._upright(data, epoch, row)

    def views(self, row: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Two augmented `pixels_CYX` of an image."""
        one, other = self._views
        data, item_id = self._image(row)
        with naming(item_id):
            return one(data, epoch, row), other(data, epoch, row)

    def _image(self, row: int) -> tuple[bytes, str]:
        table = self._columns["images"]
        place = row % len(table)
        return table["image"][place].as_py(), table["item_id"][place].as_py()

    def entries(self, row: int) -> list[list[str]]:
        """The texts of an item, each as its sentences.

        Half of all texts lie between an item's text and its image, where it has both.
        """
        table = self._columns["texts"]
        place = (row + len(table) // 2) % len(table)
        return text_entries(table["texts"][place].as_py(), table["sections"][place].as_py())


def _table(pairs: Artifact, split: Split, modality: UnimodalKind) -> pa.Table:
    """The rows of a split that have an image, or a text."""
    columns = _COLUMNS[modality]
    schema = pa.schema([PAIR_SCHEMA.field(column) for column in columns])
    return cached_table(
        f"{pairs.id}-{split}-{modality}-named", schema, _having(pairs, split, columns)
    )


def _having(pairs: Artifact, split: Split, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    for table in iter_pairs(pairs, columns, split):
        first = table[columns[0]]
        there = (
            pc.is_valid(first)
            if columns[0] == "image"
            else pc.greater(pc.list_value_length(first), 0)
        )
        yield from table.filter(there).to_batches()
