"""Representations of a row group on their way to storage, one Arrow file a modality."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

import pyarrow as pa

from crossray.core.store import filesystem
from crossray.index.modality import Modality
from crossray.index.representations import Parts, to_batch


class RepresentationFiles:
    """Files beside a part of the vectors; they have hidden names until the block ends well."""

    def __init__(self, folder: str, part: str) -> None:
        self._system, self._root = filesystem(folder)
        self._part = part
        self._open = ExitStack()
        self._writers: dict[str, pa.RecordBatchWriter] = {}

    def __enter__(self) -> RepresentationFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._open.close()
        if kind is None:
            for name in self._writers:
                self._system.move(f"{self._root}/.{name}", f"{self._root}/{name}")

    def write(self, modality: Modality, rows: Sequence[Parts]) -> None:
        """Append rows; raises `CrossRayError` as `to_batch`."""
        name = representations_name(self._part, modality)
        batch = to_batch(rows)
        if name not in self._writers:
            sink = self._open.enter_context(
                self._system.open_output_stream(f"{self._root}/.{name}")
            )
            self._writers[name] = self._open.enter_context(pa.ipc.new_file(sink, batch.schema))
        self._writers[name].write_batch(batch)


def representations_name(part: str, modality: Modality) -> str:
    """The file with the representations of `part-00007.parquet`'s images: `image-00007.arrow`."""
    return part.replace("part", modality, 1).replace(".parquet", ".arrow")
