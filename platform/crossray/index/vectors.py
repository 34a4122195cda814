"""Reading a `vectors` artifact in blocks of bounded size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from crossray.core.artifacts import Artifact, Kind, Parent
from crossray.core.errors import CrossRayError
from crossray.core.modality import MODALITIES, Modality
from crossray.index.arrays import Codes, Halves
from crossray.index.exact import LONGEST
from crossray.index.representations import Keep, reading

_ROWS_AT_A_TIME = 8192
MODELS: tuple[Kind, ...] = ("teacher", "student")


@dataclass(frozen=True)
class VectorsInfo:
    """The sizes and parents of a `vectors` artifact.

    `dim` is the length of an embedding, `bits` that of a code, 0 where there are none, `rows` the
    vectors of each modality; `model` made them from `pairs`. `keep`: what is stored of every item.
    """

    artifact: Artifact
    dim: int
    bits: int
    rows: dict[Modality, int]
    model: Parent
    pairs: Parent
    keep: Keep

    @classmethod
    def of(cls, artifact: Artifact) -> "VectorsInfo":
        """Raises `CrossRayError` when the manifest does not say what an index needs."""
        manifest = artifact.manifest
        try:
            dim, bits = int(manifest.config["dim"]), int(manifest.config["bits"])
            rows: dict[Modality, int] = {m: int(manifest.metrics["rows"][m]) for m in MODALITIES}
        except (KeyError, TypeError, ValueError):
            raise CrossRayError(
                f"the manifest of {artifact.uri} does not say its dimension, bits and rows; "
                "make the vectors again."
            ) from None
        if dim < 1 or bits < 0 or bits % 8:
            raise CrossRayError(
                f"{artifact.uri} holds vectors of {dim} dimensions and codes of {bits} bits, which "
                "cannot be indexed; make vectors of 1 or more and codes of a multiple of 8."
            )
        model, pairs = _parent(artifact, *MODELS), _parent(artifact, "pairs")
        return cls(artifact, dim, bits, rows, model, pairs, manifest.config.get("keep", "vectors"))

    @property
    def columns(self) -> list[str]:
        """What an index copies: the embedding, and the code if there is one."""
        return ["vector", "code"] if self.bits else ["vector"]

    def blocks(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Rows of some columns, in order; raises `CrossRayError` for columns of other types."""
        schema = self._schema()
        for name in sorted(self.artifact.manifest.payload):
            if not name.startswith("part-"):
                continue
            with pq.ParquetFile(self.artifact.local() / name) as file:
                for column in columns:
                    self._check_column(name, file.schema_arrow, schema.field(column))
                for block in file.iter_batches(_ROWS_AT_A_TIME, columns=list(columns)):
                    if any(array.null_count for array in block.columns):
                        raise CrossRayError(
                            f"{name} of {self.artifact.uri} holds nulls; make the vectors again."
                        )
                    yield block

    def representations(self, modality: Modality) -> Iterator[pa.RecordBatch]:
        """The representations of a modality, in the order of its vectors."""
        for name in sorted(self.artifact.manifest.payload):
            if name.startswith(f"{modality}-"):
                yield from reading(self.artifact.local() / name)

    def _schema(self) -> pa.Schema:
        return pa.schema(
            {
                "item_id": pa.string(),
                "modality": pa.string(),
                "number": pa.int32(),
                "split": pa.string(),
                "vector": pa.list_(pa.float16(), self.dim),
                **({"code": pa.binary(self.bits // 8)} if self.bits else {}),
            }
        )

    def _check_column(self, name: str, found: pa.Schema, wanted: pa.Field) -> None:
        kind = found.field(wanted.name).type if wanted.name in found.names else "missing"
        if kind != wanted.type:
            raise CrossRayError(
                f"the column {wanted.name!r} in {name} of {self.artifact.uri} is {kind}, but "
                f"{wanted.type} was expected; make the vectors again."
            )


def of_modality(block: pa.RecordBatch, modality: Modality) -> NDArray[np.bool_]:
    """Which rows of a block are of a modality; the block has the column `modality`."""
    mask: NDArray[np.bool_] = pc.equal(block["modality"], modality).to_numpy(zero_copy_only=False)
    return mask


def vectors_of(block: pa.RecordBatch) -> Halves:
    """`vectors_ND` of a block with the columns `item_id` and `vector`.

    Raises:
        CrossRayError: a vector that is not finite or not of unit length, naming its item.
    """
    column = block["vector"]
    vectors_ND: Halves = column.flatten().to_numpy().reshape(len(block), column.type.list_size)
    lengths_N = np.linalg.norm(vectors_ND.astype(np.float32), axis=1)
    bad_N = ~(np.abs(lengths_N - 1) < LONGEST - 1)
    if bad_N.any():
        bad = int(bad_N.argmax())
        raise CrossRayError(
            f"a vector of the item {block['item_id'][bad].as_py()!r} has length "
            f"{lengths_N[bad]:.4g}, not 1; check the model that made it."
        )
    return vectors_ND


def codes_of(block: pa.RecordBatch) -> Codes:
    """`codes_NY` of a block; of no bytes where it lacks the column `code`."""
    if "code" not in block.schema.names:
        return np.zeros((len(block), 0), np.uint8)
    column = block["code"]
    width = column.type.byte_width
    data = np.frombuffer(column.buffers()[1], np.uint8)
    return data[column.offset * width :][: len(block) * width].reshape(len(block), width)


def _parent(artifact: Artifact, *kinds: Kind) -> Parent:
    for parent in artifact.manifest.parents:
        if parent.kind in kinds:
            return parent
    raise CrossRayError(
        f"{artifact.uri} does not say which {' or '.join(kinds)} it was made from; "
        "make the vectors again."
    )
