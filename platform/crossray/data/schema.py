"""The pair schema: one row an item, Parquet, the first artifact of every lineage.

`texts` has two readings. With empty `sections` every text is a separate caption, any of which
describes the image. With `sections` the texts are the sentences of one document in reading order,
and each section names the half-open range `texts[start:stop]`. `meta["study_id"]`, where present,
names the study: rows with equal `study_id` show the same study.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crossray.core.artifacts import Artifact
from crossray.core.store import filesystem
from crossray.data.image_file import ImageFile
from crossray.data.split import Split

_SECTION = pa.struct({"name": pa.string(), "start": pa.int32(), "stop": pa.int32()})
_BOX = pa.struct(
    {
        "label": pa.string(),
        "x0": pa.float32(),
        "y0": pa.float32(),
        "x1": pa.float32(),
        "y1": pa.float32(),
    }
)

_MASK = pa.struct({"name": pa.string(), "png": pa.binary()})


def _list(value: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", value))


PAIR_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("group_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("image", pa.binary()),
        pa.field("texts", _list(pa.string()), nullable=False),
        pa.field("sections", _list(_SECTION), nullable=False),
        pa.field("labels", _list(pa.string()), nullable=False),
        pa.field("boxes", _list(_BOX), nullable=False),
        pa.field("masks", _list(_MASK), nullable=False),
        pa.field("meta", pa.map_(pa.string(), pa.string()), nullable=False),
    ]
)

REJECTED_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string()),
        pa.field("where", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
REJECTED_FILE = "rejected.parquet"


class Section(TypedDict):
    """A named range of sentences, `texts[start:stop]`."""

    name: str
    start: int
    stop: int


class Box(TypedDict):
    """A labelled box in fractions of the image's width (x) and height (y), in [0, 1]."""

    label: str
    x0: float
    y0: float
    x1: float
    y1: float


class Mask(TypedDict):
    """Where a named structure is: a picture of the image's size, white where it is.

    An importer gives any encoded picture or a file; the artifact holds a PNG of one bit a pixel.
    """

    name: str
    png: bytes | ImageFile


class PairRow(TypedDict, total=False):
    """One item as an importer gives it; everything but `item_id` may be left out.

    A missing `group_id` is the item itself, a missing `split` is assigned from the group.
    """

    item_id: str
    group_id: str | None
    split: str | None
    image: bytes | ImageFile | None
    texts: Sequence[str]
    sections: Sequence[Section]
    labels: Sequence[str]
    boxes: Sequence[Box]
    masks: Sequence[Mask]
    meta: dict[str, str]


def text_entries(texts: Sequence[str], sections: Sequence[Section]) -> list[list[str]]:
    """The texts that describe an item, each as its sentences.

    A document (with sections) is one text; without sections every caption is a separate text.
    """
    return [list(texts)] if sections else [[text] for text in texts]


def iter_pairs(
    artifact: Artifact, columns: Sequence[str] | None = None, split: Split | None = None
) -> Iterator[pa.Table]:
    """Stream a pairs artifact, one row group at a time, in the order it was ingested.

    `columns` are names of `PAIR_SCHEMA` (default: all); `split` keeps only that split's rows.
    No table is empty. Pairs from before masks were stored have none.
    """
    wanted = list(columns) if columns is not None else PAIR_SCHEMA.names
    system, root = filesystem(artifact.uri)
    for name in sorted(artifact.manifest.payload):
        if not name.startswith("part-"):
            continue
        with system.open_input_file(f"{root}/{name}") as stream:
            file = pq.ParquetFile(stream)
            for group in range(file.num_row_groups):
                if split is None:
                    yield _columns(file, group, wanted)
                    continue
                mask = pc.equal(file.read_row_group(group, columns=["split"])["split"], split)
                if pc.any(mask).as_py():
                    yield _columns(file, group, wanted).filter(mask)


def _columns(file: pq.ParquetFile, group: int, wanted: Sequence[str]) -> pa.Table:
    there = [name for name in wanted if name in file.schema_arrow.names]
    table = file.read_row_group(group, columns=there)
    if "masks" in wanted and "masks" not in there:
        none = pa.array([[]] * len(table), PAIR_SCHEMA.field("masks").type)
        table = table.append_column(PAIR_SCHEMA.field("masks"), none)
    return table.select(wanted)


def row_groups(artifact: Artifact) -> list[dict[str, Any]]:
    """What `read_row_group` takes, for every row group of a pairs artifact, in order."""
    system, root = filesystem(artifact.uri)
    units = []
    for name in sorted(artifact.manifest.payload):
        if name.startswith("part-"):
            with system.open_input_file(f"{root}/{name}") as stream:
                count = pq.ParquetFile(stream).num_row_groups
            units += [{"part": name, "group": group} for group in range(count)]
    return units


def read_row_group(artifact: Artifact, unit: dict[str, Any], columns: Sequence[str]) -> pa.Table:
    """The rows of one of `row_groups`."""
    system, root = filesystem(artifact.uri)
    with system.open_input_file(f"{root}/{unit['part']}") as stream:
        return pq.ParquetFile(stream).read_row_group(unit["group"], columns=list(columns))
