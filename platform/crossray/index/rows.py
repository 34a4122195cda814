"""Which item and which of its texts each row of an index is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.core.modality import MODALITIES, Modality, check_modality
from crossray.index.layout import damaged, require_index, rows_file, shard_of
from crossray.index.vectors import VectorsInfo, of_modality

ROWS_SCHEMA = pa.schema({"item_id": pa.string(), "number": pa.int32(), "split": pa.string()})
Assignment = dict[Modality, NDArray[np.uint16]]


def load_rows(artifact: Artifact, modality: Modality) -> pa.Table:
    """`item_id`, `number` and `split` by row number, mapped into memory, not read.

    One chunk, so that `take` with the rows of some hits copies these rows only.

    Raises:
        CrossRayError: not an index, an unknown modality, or a file that is missing or damaged.
    """
    require_index(artifact)
    check_modality(modality)
    path = rows_file(artifact.local(), modality)
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowInvalid):
        raise damaged(artifact, f"the table of {modality} rows") from None


def write_rows(
    vectors: VectorsInfo, root: Path, shards: int, advance: Callable[[int], None]
) -> Assignment:
    """Write the tables of both modalities; gives the shard of every row.

    Raises:
        CrossRayError: a row of neither modality, or other numbers of rows than the manifest says.
    """
    found: dict[Modality, list[pa.RecordBatch]] = {modality: [] for modality in MODALITIES}
    shards_of: dict[Modality, list[int]] = {modality: [] for modality in MODALITIES}
    for block in vectors.blocks(["modality", *ROWS_SCHEMA.names]):
        masks = {modality: of_modality(block, modality) for modality in MODALITIES}
        neither = ~np.logical_or(*masks.values())
        if neither.any():
            strange = block["modality"][int(neither.argmax())].as_py()
            raise CrossRayError(
                f"{vectors.artifact.uri} holds rows of modality {strange!r}, which is neither "
                "'image' nor 'text'; make the vectors again."
            )
        for modality, mask in masks.items():
            rows = block.select(ROWS_SCHEMA.names).filter(pa.array(mask)).cast(ROWS_SCHEMA)
            found[modality].append(rows)
            shards_of[modality] += [shard_of(item, shards) for item in rows["item_id"].to_pylist()]
        advance(len(block))
    for modality, batches in found.items():
        table = pa.Table.from_batches(batches, ROWS_SCHEMA).combine_chunks()
        if len(table) != vectors.rows[modality]:
            raise CrossRayError(
                f"{vectors.artifact.uri} says that it has {vectors.rows[modality]} {modality} "
                f"vectors but holds {len(table)}; make the vectors again."
            )
        path = str(rows_file(root, modality))
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, ROWS_SCHEMA) as writer:
            writer.write_table(table)
    return {modality: np.array(numbers, np.uint16) for modality, numbers in shards_of.items()}
