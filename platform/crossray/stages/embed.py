"""Embed items: from a model and a `pairs` to a `vectors` artifact, with Ray Data."""

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray.data
import torch
from pyarrow import fs
from rich.progress import Progress as ProgressBar

from crossray.cluster.placement import role_selector
from crossray.cluster.room import ALONE, Need, wait_for_room
from crossray.cluster.start import ensure_ray, quiet
from crossray.core.artifacts import Artifact, check_writable, create, open_artifact
from crossray.core.inspection import print_stage
from crossray.core.modality import Modality
from crossray.core.store import filesystem, resolve, store_root
from crossray.data.schema import read_row_group, row_groups, text_entries
from crossray.data.split import Split
from crossray.index.representations import Keep, Parts, to_batch
from crossray.index.vectors import MODELS
from crossray.models.artifact import method_from_dict, require_towers
from crossray.models.encoder import Encoded, ModelEncoder

AT_A_TIME = 32
_COLUMNS = ["item_id", "split", "image", "texts", "sections"]


def vector_schema(dim: int, bits: int) -> pa.Schema:
    """The rows of a `vectors` artifact: one an image and one a text, in the order of the items.

    Without bits there is no column `code`.
    """
    fields = [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("number", pa.int32(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.float16(), dim), nullable=False),
    ]
    if bits:
        fields.append(pa.field("code", pa.binary(bits // 8), nullable=False))
    return pa.schema(fields)


@dataclass(frozen=True)
class Embed:
    """Encode every image and every text once, as float16 vectors and, of a hashing model, codes.

    Of a method of images alone, the images only.

    An interrupted run continues where it stopped.

    Attributes:
        model: a teacher or student artifact: a name in the store, an absolute path or a URI.
        pairs: the artifact whose items are embedded.
        out: the vectors artifact.
        split: embed this split only.
        keep: `representations` also keeps what the model's re-ranking score needs to know of every
            item, by which `search --rerank` orders its best hits again.
        actors: processes that encode.
        use_gpu: give each of them a GPU.
    """

    model: str
    pairs: str
    out: str
    split: Split | None = None
    keep: Keep = "vectors"
    actors: int = 2
    use_gpu: bool = False

    def run(self) -> Artifact:
        """Embed and publish; prints progress and one line."""
        began = time.monotonic()
        check_writable(out := resolve(self.out))
        model = open_artifact(resolve(self.model), MODELS)
        pairs = open_artifact(resolve(self.pairs), "pairs")
        config = {**self._shape(model), "split": self.split, "keep": self.keep}
        identity = json.dumps([model.id, pairs.id, config, out]).encode()
        folder = f"{store_root()}/runs/embed-{hashlib.sha256(identity).hexdigest()[:12]}"
        ensure_ray()
        self._embed_missing(model, pairs, folder)
        system, root = filesystem(folder)
        with create(out, "vectors", config, (model, pairs)) as draft:
            for name in self._files(system, root):
                fs.copy_files(f"{root}/{name}", str(draft.path / name), source_filesystem=system)
            draft.notes.extend(pairs.manifest.notes)
            rows = _count(draft.path)
            draft.metrics.update(
                rows=rows,
                items=sum(rows.values()),
                seconds=round(time.monotonic() - began, 1),
            )
        system.delete_dir(root)
        vectors = open_artifact(out)
        print_stage(vectors)
        return vectors

    def _shape(self, model: Artifact) -> dict[str, int]:
        method = method_from_dict(model.manifest.config["method"], model.uri)
        require_towers(method, model)
        images_only = "images_only" in method.capabilities
        dim = ModelEncoder(model).dim if images_only else method.embedding
        return {"dim": dim, "bits": method.code_bits}

    def _files(self, system: fs.FileSystem, root: str) -> list[str]:
        """The complete files of a folder."""
        names = (entry.base_name for entry in system.get_file_info(fs.FileSelector(root)))
        return [name for name in names if not name.startswith(".")]

    def _embed_missing(self, model: Artifact, pairs: Artifact, folder: str) -> None:
        """Write one Parquet file a row group of the pairs; those that are there are left alone."""
        system, root = filesystem(folder)
        system.create_dir(root, recursive=True)
        there = set(self._files(system, root))
        named = [(_name(number), unit) for number, unit in enumerate(row_groups(pairs))]
        units = [
            {"name": name, "unit": json.dumps(unit)} for name, unit in named if name not in there
        ]
        with ProgressBar() as bar:
            task = bar.add_task("embed", total=len(named), completed=len(named) - len(units))
            if not units:
                return
            gpu = {"GPU": 1.0} if self.use_gpu else {}
            wait_for_room(Need(1, {"CPU": 1.0, **gpu}, "serve", ALONE))
            dataset: ray.data.Dataset = ray.data.from_items(units, override_num_blocks=len(units))
            quiet(dataset.context)
            dataset = dataset.map_batches(
                Embedder,
                fn_constructor_args=(model.uri, pairs.uri, folder, self.split, self.use_gpu),
                fn_constructor_kwargs={"keep": self.keep},
                batch_format="pyarrow",
                batch_size=None,
                compute=ray.data.ActorPoolStrategy(size=min(self.actors, len(units))),
                num_cpus=1,
                num_gpus=1 if self.use_gpu else None,
                label_selector=role_selector("serve"),
            )
            for done in dataset.iter_batches(batch_format="pyarrow", batch_size=None):
                bar.update(task, advance=len(done))


class Embedder:
    """A Ray Data actor: a model over row groups, each written to a separate file.

    Representations go to one more file a modality, written first.
    """

    def __init__(
        self,
        model: str,
        pairs: str,
        folder: str,
        split: Split | None,
        use_gpu: bool,
        keep: Keep = "vectors",
    ) -> None:
        if not use_gpu:
            torch.set_num_threads(1)
        self.encoder = ModelEncoder(open_artifact(model), "cuda" if use_gpu else "cpu")
        self.pairs = open_artifact(pairs)
        self.folder, self.split = folder, split
        self.represents = keep == "representations"
        self.schema = vector_schema(self.encoder.dim, self.encoder.bits)

    def __call__(self, units: pa.Table) -> pa.Table:
        """The names of the files, after they were written."""
        system, root = filesystem(self.folder)
        for name, unit in zip(*(units[c].to_pylist() for c in ("name", "unit")), strict=True):
            table = read_row_group(self.pairs, json.loads(unit), _COLUMNS)
            if self.split is not None:
                table = table.filter(pc.equal(table["split"], self.split))
            blocks = [table.slice(at, AT_A_TIME) for at in range(0, len(table), AT_A_TIME)]
            with RepresentationFiles(self.folder, name) as files:
                parts = [self._rows(block.to_pylist(), files) for block in blocks]
            rows = pa.concat_tables([self.schema.empty_table(), *parts])
            with system.open_output_stream(f"{root}/.{name}") as sink:
                pq.write_table(rows, sink)
            system.move(f"{root}/.{name}", f"{root}/{name}")
        return units.select(["name"])

    def _rows(self, items: Sequence[dict[str, Any]], files: "RepresentationFiles") -> pa.Table:
        """The images' rows and then the texts' of some items; writes their representations."""
        pictured = [item for item in items if item["image"] is not None]
        worded = [
            (item, number, text)
            for item in (items if self.encoder.reads_texts else ())
            for number, text in enumerate(text_entries(item["texts"], item["sections"]))
        ]
        parts = []
        if pictured:
            encoded = self.encoder.images([item["image"] for item in pictured], self.represents)
            parts.append(self._table("image", [(item, 0) for item in pictured], encoded))
            if encoded.parts is not None:
                files.write("image", encoded.parts)
        if worded:
            encoded = self.encoder.texts([text for _, _, text in worded], self.represents)
            keys = [(item, number) for item, number, _ in worded]
            parts.append(self._table("text", keys, encoded))
            if encoded.parts is not None:
                files.write("text", encoded.parts)
        return pa.concat_tables(parts) if parts else self.schema.empty_table()

    def _table(
        self, modality: Modality, keys: Sequence[tuple[dict[str, Any], int]], encoded: Encoded
    ) -> pa.Table:
        vectors = pa.array(encoded.z_BD.astype(np.float16).ravel())
        columns = [
            [item["item_id"] for item, _ in keys],
            [modality] * len(keys),
            pa.array([number for _, number in keys], pa.int32()),
            [item["split"] for item, _ in keys],
            pa.FixedSizeListArray.from_arrays(vectors, self.encoder.dim),
        ]
        if self.encoder.bits:
            codes = [code.tobytes() for code in encoded.codes_BY]
            columns.append(pa.array(codes, self.schema.field("code").type))
        return pa.table(columns, schema=self.schema)


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


class RepresentationFiles:
    """Files for a part of the vectors; they have hidden names until the block ends well."""

    def __init__(self, folder: str, part: str) -> None:
        self._system, self._root = filesystem(folder)
        self._part = part
        self._open = ExitStack()
        self._writers: dict[str, pa.RecordBatchWriter] = {}

    def __enter__(self) -> "RepresentationFiles":
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
