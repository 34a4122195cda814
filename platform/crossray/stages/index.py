"""Build an index: from a `vectors` to an `index` artifact."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.progress import Progress as ProgressBar

from crossray.core.artifacts import Artifact, check_writable, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.inspection import print_stage
from crossray.core.modality import MODALITIES, Modality, direction, other
from crossray.core.store import resolve
from crossray.index.floats import Folders, build_floats, kinds_to_try
from crossray.index.kinds import Advance
from crossray.index.layout import CODES, FLOATS, MAX_SHARDS, REPRESENTATIONS, ROWS, part_folder
from crossray.index.memory import parse_memory
from crossray.index.queries import Queries
from crossray.index.recall import Trial, exact_hits, measure_recall
from crossray.index.rows import write_rows
from crossray.index.settings import Settings
from crossray.index.shard import open_shard
from crossray.index.staging import stage, stage_representations
from crossray.index.vectors import VectorsInfo


@dataclass(frozen=True)
class BuildIndex:
    """Index vectors and codes for search, and measure how well the index finds.

    Attributes:
        vectors: the artifact to read: a name in the store, an absolute path or a URI.
        out: the index artifact.
        shards: parts that are searched side by side; all rows of an item lie in one.
        kind: of the float indexes; `auto` takes the fastest that meets the next two.
        target_recall: the least recall@10 against exact search, measured on sample queries.
        memory: the most that the float indexes, codes and row numbers may take together, as in
            512MiB or 2GiB; None sets no limit.
        seed: of k-means and of the sample.
    """

    vectors: str
    out: str
    shards: int = 1
    kind: Literal["auto", "flat", "ivf", "hnsw"] = "auto"
    target_recall: float = 0.95
    memory: str | None = None
    seed: int = 0

    def run(self) -> Artifact:
        """Build, measure and publish; prints progress and one line."""
        began = time.monotonic()
        self._check()
        check_writable(out := resolve(self.out))
        vectors = VectorsInfo.of(open_artifact(resolve(self.vectors), "vectors"))
        config = self._config(vectors)
        parents = (vectors.artifact, vectors.model, vectors.pairs)
        with create(out, "index", config, parents) as draft, ProgressBar() as bar:
            metrics = self._build(vectors, draft.path, bar)
            draft.notes.extend(vectors.artifact.manifest.notes)
            draft.notes.extend(
                f"recall {name} was not measured: there are no queries or nothing to find"
                for name in map(direction, MODALITIES)
                if name not in metrics["recall@10"]
            )
            draft.metrics.update(metrics, seconds=round(time.monotonic() - began, 1))
        index = open_artifact(out)
        print_stage(index)
        return index

    def _check(self) -> None:
        if not 1 <= self.shards <= MAX_SHARDS:
            raise CrossRayError(f"shards={self.shards} cannot be made; use 1 to {MAX_SHARDS}.")
        if not 0 < self.target_recall <= 1:
            raise CrossRayError(
                f"target_recall={self.target_recall} is no recall; use a number above 0, up to 1."
            )

    def _config(self, vectors: VectorsInfo) -> dict[str, Any]:
        return {
            "shards": self.shards,
            "kind": self.kind,
            "target_recall": self.target_recall,
            "memory": self.memory,
            "seed": self.seed,
            "dim": vectors.dim,
            "bits": vectors.bits,
            "keep": vectors.keep,
        }

    def _build(self, vectors: VectorsInfo, root: Path, bar: ProgressBar) -> dict[str, Any]:
        """Write the payload; gives the metrics."""
        rows = sum(vectors.rows.values())
        task = bar.add_task("index", total=rows)

        def progress(what: str) -> Advance:
            bar.reset(task, total=rows, description=f"index: {what}")
            return lambda done: bar.advance(task, done)

        limit = None if self.memory is None else parse_memory(self.memory)
        assignment = write_rows(vectors, root, self.shards, progress("items"))
        sizes = {
            modality: np.bincount(shard_N, minlength=self.shards).tolist()
            for modality, shard_N in assignment.items()
        }
        kinds = kinds_to_try(self.kind, sizes, vectors.dim, vectors.bits, limit)
        samples = stage(vectors, assignment, root, self.shards, self.seed, progress("vectors"))
        if vectors.keep == "representations":
            stage_representations(vectors, assignment, root, self.shards)
        folders = {
            modality: [part_folder(root, shard, modality) for shard in range(self.shards)]
            for modality in MODALITIES
        }
        trials = _trials(vectors, folders, samples)
        settings = build_floats(folders, kinds, trials, self.target_recall, self.seed, progress)
        settings.save(root)
        shards = [
            open_shard(root, shard, settings, vectors.dim, vectors.bits, vectors.keep)
            for shard in range(self.shards)
        ]
        return _metrics(vectors, root, settings, measure_recall(shards, trials))


def _trials(
    vectors: VectorsInfo, folders: Folders, samples: dict[Modality, Queries]
) -> dict[Modality, Trial]:
    """By the modality that is searched; none where there are no queries or nothing to find."""
    trials = {}
    for target in MODALITIES:
        queries = samples[other(target)]
        if len(queries.vectors_QD) and vectors.rows[target]:
            exact = exact_hits(folders[target], queries.vectors_QD)
            trials[target] = Trial(queries, exact)
    return trials


def _metrics(
    vectors: VectorsInfo, root: Path, settings: Settings, recalls: dict[str, dict[str, float]]
) -> dict[str, Any]:
    files = {name: _bytes(root, name) for name in (FLOATS, CODES, ROWS)}
    resident, mapped = sum(files.values()), _bytes(root, REPRESENTATIONS)
    headline = {
        f"recall@10 {mode} {name.replace('_', ' ')}": values[mode]
        for mode in ("float", "rescore")
        for name, values in recalls.items()
        if mode in values
    }
    return {
        "kind": settings.kind,
        "effort": settings.effort,
        "rows": vectors.rows,
        "items": sum(vectors.rows.values()),
        "recall@10": recalls,
        "bytes": {
            "resident": resident,
            "float": files[FLOATS],
            "codes": files[CODES],
            "representations": mapped,
        },
        "headline": {**headline, "MiB in memory": resident / 2**20},
    }


def _bytes(root: Path, name: str) -> int:
    return sum(file.stat().st_size for file in root.rglob(name))
