"""Vectors and codes of made-up items, as arrays, as shards in memory and as an artifact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.modality import MODALITIES, Modality
from crossray.index import kinds
from crossray.index.layout import shard_of
from crossray.index.part import Part
from crossray.index.representations import Parts, to_batch, writing
from crossray.index.shard import Shard
from crossray.stages.index import BuildIndex


@dataclass(frozen=True)
class Side:
    """One modality: row i has `vectors_ND[i]`, `codes_NY[i]`, `item_ids[i]` and `numbers[i]`."""

    vectors_ND: np.ndarray
    codes_NY: np.ndarray
    item_ids: list[str]
    numbers: list[int]


Corpus = dict[Modality, Side]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of unit length as float16."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def make_side(
    rng: np.random.Generator, rows: int, dim: int, bits: int, distinct: int | None = None
) -> Side:
    """Clustered rows; with `distinct`, copies of so many different ones, so that scores tie."""
    number = rows if distinct is None else distinct
    centres = rng.standard_normal((20, dim))
    vectors = centres[rng.integers(20, size=number)] + 0.5 * rng.standard_normal((number, dim))
    codes = rng.integers(0, 256, (number, bits // 8), np.uint8)
    chosen = np.arange(rows) if distinct is None else rng.integers(number, size=rows)
    item_ids = [f"item-{row // 2}-é" for row in range(rows)]
    return Side(unit(vectors)[chosen], codes[chosen], item_ids, [row % 2 for row in range(rows)])


def make_corpus(
    rng: np.random.Generator,
    images: int = 60,
    texts: int = 90,
    dim: int = 16,
    bits: int = 16,
    distinct: int | None = None,
) -> Corpus:
    """Both modalities."""
    return {
        "image": make_side(rng, images, dim, bits, distinct and min(distinct, images)),
        "text": make_side(rng, texts, dim, bits, distinct and min(distinct, texts)),
    }


def make_queries(
    rng: np.random.Generator, corpus: Corpus, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Query vectors, some of them stored ones, and codes."""
    side = corpus["text"]
    dim, width = side.vectors_ND.shape[1], side.codes_NY.shape[1]
    vectors = rng.standard_normal((number, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors.astype(np.float32)
    stored = min(number // 2, len(side.vectors_ND))
    queries[:stored] = side.vectors_ND[:stored]
    return queries, rng.integers(0, 256, (number, width), np.uint8)


def make_shards(
    corpus: Corpus, shards: int, kind: kinds.IndexKind = "flat", effort: int = 8
) -> list[Shard]:
    """The shards of a corpus, in memory."""

    def part(side: Side, shard: int) -> Part:
        own = [row for row, item in enumerate(side.item_ids) if shard_of(item, shards) == shard]
        rows = np.array(own, np.int64)
        codes = None
        if bits := 8 * side.codes_NY.shape[1]:
            codes = faiss.IndexBinaryFlat(bits)
            codes.add(side.codes_NY[rows])
        vectors = side.vectors_ND[rows]
        return Part(
            vectors, rows, kinds.build_index(kind, vectors, 0, lambda done: None), codes, effort
        )

    some = corpus["image"]
    return [
        Shard(
            shard,
            some.vectors_ND.shape[1],
            8 * some.codes_NY.shape[1],
            {modality: part(side, shard) for modality, side in corpus.items()},
        )
        for shard in range(shards)
    ]


def interleaved(corpus: Corpus) -> pa.Table:
    """Rows of both modalities in turn, as a model that embeds pairs would write them."""
    order = sorted(
        (row, modality) for modality, side in corpus.items() for row in range(len(side.item_ids))
    )
    sides = [(corpus[modality], row, modality) for row, modality in order]
    width = corpus["image"].codes_NY.shape[1]
    dim = corpus["image"].vectors_ND.shape[1]
    flat = [side.vectors_ND[row] for side, row, _ in sides]
    values = np.concatenate([np.zeros(0, np.float16), *flat])
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float16()), dim)
    codes = [side.codes_NY[row].tobytes() for side, row, _ in sides]
    table = pa.table(
        {
            "item_id": pa.array([side.item_ids[row] for side, row, _ in sides], pa.string()),
            "modality": pa.array([modality for *_, modality in sides], pa.string()),
            "number": pa.array([side.numbers[row] for side, row, _ in sides], pa.int32()),
            "split": pa.array(["test"] * len(sides), pa.string()),
            "vector": vectors,
        }
    )
    return table.append_column("code", pa.array(codes, pa.binary(width))) if width else table


def publish_vectors(
    folder: Path,
    corpus: Corpus,
    name: str = "vectors",
    table: pa.Table | None = None,
    files: int = 2,
    metrics: dict[str, Any] | None = None,
    representations: dict[Modality, list[Parts]] | None = None,
) -> Artifact:
    """A `vectors` artifact in several files, with a model and a `pairs` parent.

    The model is a `student` where there are codes, else a `teacher`.
    """
    pairs = _publish_parent(folder, "pairs", ())
    side = corpus["image"]
    bits = 8 * side.codes_NY.shape[1]
    model = _publish_parent(folder, "student" if bits else "teacher", (pairs,))
    config = {"dim": side.vectors_ND.shape[1], "bits": bits, "batch": 4}
    if representations is not None:
        config["keep"] = "representations"
    table = interleaved(corpus) if table is None else table
    with create(str(folder / name), "vectors", config, (model, pairs)) as draft:
        for modality, rows in (representations or {}).items():
            _write_representations(draft.path, modality, rows)
        step = -(-len(table) // files) or 1
        for part in range(files):
            own = table.slice(part * step, step)
            pq.write_table(own, draft.path / f"part-{part:05d}.parquet", row_group_size=37)
        draft.metrics["rows"] = {
            modality: len(corpus[modality].item_ids) for modality in MODALITIES
        }
        draft.metrics.update(metrics or {})
        draft.notes.append("made up")
    return open_artifact(str(folder / name))


def _write_representations(folder: Path, modality: Modality, rows: list[Parts]) -> None:
    """In two files of several batches."""
    half = len(rows) // 2
    for number, own in enumerate((rows[:half], rows[half:])):
        if own:
            batches = [to_batch(own[start : start + 7]) for start in range(0, len(own), 7)]
            with writing(folder / f"{modality}-{number:05d}.arrow", batches[0].schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)


def _publish_parent(folder: Path, kind: Any, parents: tuple[Artifact, ...]) -> Artifact:
    uri = folder / kind
    if not uri.exists():
        with create(str(uri), kind, {}, parents) as draft:
            (draft.path / "payload").write_text(kind)
    return open_artifact(str(uri))


def build_index(folder: Path, corpus: Corpus, name: str = "index", **options: Any) -> Artifact:
    """An index of a corpus, its vectors published first where they are not."""
    if not (folder / "vectors").exists():
        publish_vectors(folder, corpus)
    return BuildIndex(str(folder / "vectors"), str(folder / name), **options).run()
