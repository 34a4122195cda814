"""Embed items: from a `student` and a `pairs` to a `vectors` artifact, with Ray Data."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray
import ray.data
import torch
from pyarrow import fs
from rich.progress import Progress as ProgressBar

from crossray.core.artifacts import Artifact, check_writable, create, open_artifact
from crossray.core.inspection import print_summary
from crossray.core.store import filesystem, resolve, store_root
from crossray.data.cluster import ensure_ray, quiet
from crossray.data.schema import read_row_group, row_groups, text_entries
from crossray.data.splits import Split
from crossray.distill.encoder import Encoded, StudentEncoder

AT_A_TIME = 32
_COLUMNS = ["item_id", "split", "image", "texts", "sections"]


def vector_schema(dim: int, bits: int) -> pa.Schema:
    """The rows of a `vectors` artifact: one an image and one a text, in the order of the items."""
    return pa.schema(
        [
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("modality", pa.string(), nullable=False),
            pa.field("number", pa.int32(), nullable=False),
            pa.field("split", pa.string(), nullable=False),
            pa.field("vector", pa.list_(pa.float16(), dim), nullable=False),
            pa.field("code", pa.binary(bits // 8), nullable=False),
        ]
    )


@dataclass(frozen=True)
class Embed:
    """Encode every image and every text once, as float16 vectors and packed codes.

    An interrupted run goes on where it stood.

    Attributes:
        model: the student artifact: a name in the store, an absolute path or a URI.
        pairs: the artifact whose items are embedded.
        out: the vectors artifact.
        split: embed this split only.
        actors: processes that encode.
        use_gpu: give each of them a GPU.
    """

    model: str
    pairs: str
    out: str
    split: Split | None = None
    actors: int = 2
    use_gpu: bool = False

    def run(self) -> Artifact:
        """Embed and publish; prints progress and one table."""
        began = time.monotonic()
        check_writable(out := resolve(self.out))
        student = open_artifact(resolve(self.model), "student")
        pairs = open_artifact(resolve(self.pairs), "pairs")
        config = {**self._shape(student), "split": self.split}
        identity = json.dumps([student.id, pairs.id, config, out]).encode()
        folder = f"{store_root()}/runs/embed-{hashlib.sha256(identity).hexdigest()[:12]}"
        ensure_ray()
        self._embed_missing(student, pairs, folder)
        system, root = filesystem(folder)
        with create(out, "vectors", config, (student, pairs)) as draft:
            for number in range(len(row_groups(pairs))):
                source, target = f"{root}/{_name(number)}", str(draft.path / _name(number))
                fs.copy_files(source, target, source_filesystem=system)
            draft.notes.extend(pairs.manifest.notes)
            rows = _count(draft.path)
            draft.metrics.update(
                rows=rows,
                items=sum(rows.values()),
                seconds=round(time.monotonic() - began, 1),
            )
        system.delete_dir(root)
        vectors = open_artifact(out)
        print_summary(vectors)
        return vectors

    def _shape(self, student: Artifact) -> dict[str, int]:
        method = student.manifest.config["method"]
        return {"dim": method["embedding"], "bits": method["bits"]}

    def _embed_missing(self, student: Artifact, pairs: Artifact, folder: str) -> None:
        """Write one Parquet file a row group of the pairs; those that are there are left alone."""
        system, root = filesystem(folder)
        system.create_dir(root, recursive=True)
        there = {entry.base_name for entry in system.get_file_info(fs.FileSelector(root))}
        named = [(_name(number), unit) for number, unit in enumerate(row_groups(pairs))]
        units = [
            {"name": name, "unit": json.dumps(unit)} for name, unit in named if name not in there
        ]
        with ProgressBar() as bar:
            task = bar.add_task("embed", total=len(named), completed=len(named) - len(units))
            if not units:
                return
            dataset: ray.data.Dataset = ray.data.from_items(units, override_num_blocks=len(units))
            quiet(dataset.context)
            dataset = dataset.map_batches(
                Embedder,
                fn_constructor_args=(student.uri, pairs.uri, folder, self.split, self.use_gpu),
                batch_format="pyarrow",
                batch_size=None,
                compute=ray.data.ActorPoolStrategy(size=self.actors),
                num_cpus=1,
                num_gpus=1 if self.use_gpu else None,
            )
            for done in dataset.iter_batches(batch_format="pyarrow", batch_size=None):
                bar.update(task, advance=len(done))


class Embedder:
    """A Ray Data actor: a student over row groups, each written to a file of its own."""

    def __init__(
        self, student: str, pairs: str, folder: str, split: Split | None, use_gpu: bool
    ) -> None:
        if not use_gpu:
            torch.set_num_threads(1)
        self.encoder = StudentEncoder(open_artifact(student), "cuda" if use_gpu else "cpu")
        self.pairs = open_artifact(pairs)
        self.folder, self.split = folder, split
        self.schema = vector_schema(self.encoder.dim, self.encoder.bits)

    def __call__(self, units: pa.Table) -> pa.Table:
        """The names of the files, after they were written."""
        system, root = filesystem(self.folder)
        for name, unit in zip(*(units[c].to_pylist() for c in ("name", "unit")), strict=True):
            table = read_row_group(self.pairs, json.loads(unit), _COLUMNS)
            if self.split is not None:
                table = table.filter(pc.equal(table["split"], self.split))
            blocks = [table.slice(at, AT_A_TIME) for at in range(0, len(table), AT_A_TIME)]
            parts = [self._rows(block.to_pylist()) for block in blocks]
            rows = pa.concat_tables([self.schema.empty_table(), *parts])
            with system.open_output_stream(f"{root}/.{name}") as sink:
                pq.write_table(rows, sink)
            system.move(f"{root}/.{name}", f"{root}/{name}")
        return units.select(["name"])

    def _rows(self, items: Sequence[dict[str, Any]]) -> pa.Table:
        """The images' rows and then the texts' of some items."""
        pictured = [item for item in items if item["image"] is not None]
        worded = [
            (item, number, text)
            for item in items
            for number, text in enumerate(text_entries(item["texts"], item["sections"]))
        ]
        parts = []
        if pictured:
            encoded = self.encoder.images([item["image"] for item in pictured])
            parts.append(self._table("image", [(item, 0) for item in pictured], encoded))
        if worded:
            encoded = self.encoder.texts([text for _, _, text in worded])
            keys = [(item, number) for item, number, _ in worded]
            parts.append(self._table("text", keys, encoded))
        return pa.concat_tables(parts) if parts else self.schema.empty_table()

    def _table(
        self, modality: str, keys: Sequence[tuple[dict[str, Any], int]], encoded: Encoded
    ) -> pa.Table:
        vectors = pa.array(encoded.z_BD.astype(np.float16).ravel())
        codes = [code.tobytes() for code in encoded.codes_BY]
        return pa.table(
            [
                [item["item_id"] for item, _ in keys],
                [modality] * len(keys),
                pa.array([number for _, number in keys], pa.int32()),
                [item["split"] for item, _ in keys],
                pa.FixedSizeListArray.from_arrays(vectors, self.encoder.dim),
                pa.array(codes, self.schema.field("code").type),
            ],
            schema=self.schema,
        )


def _name(number: int) -> str:
    return f"part-{number:05d}.parquet"


def _count(folder: Path) -> dict[str, int]:
    """How many images and texts the files hold."""
    rows = {"image": 0, "text": 0}
    for path in sorted(folder.glob("part-*.parquet")):
        counts = pc.value_counts(pq.read_table(path, columns=["modality"])["modality"])
        for entry in counts.to_pylist():
            rows[entry["values"]] += entry["counts"]
    return rows
