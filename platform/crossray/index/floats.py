"""Float indexes of all parts: which kind is built, and how much of it a query visits.

Small data is searched exactly. Otherwise HNSW comes first, as the fastest, then IVF, then the flat
scan, which takes the least memory and always has recall 1; the first that fits the memory and
reaches the recall is taken.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Literal

import faiss

from crossray.core.errors import CrossRayError
from crossray.core.modality import MODALITIES, Modality, direction
from crossray.index.arrays import Halves, map_array
from crossray.index.hits import merge
from crossray.index.kinds import KINDS, Advance, IndexKind, build_index
from crossray.index.layout import FLOATS, VECTORS
from crossray.index.memory import format_memory
from crossray.index.part import Part, open_part
from crossray.index.recall import Trial, recall
from crossray.index.settings import Settings

SMALL_ROWS = 20_000
Sizes = Mapping[Modality, Sequence[int]]
Folders = Mapping[Modality, Sequence[Path]]


def resident_bytes(kind: IndexKind, sizes: Sizes, dim: int, bits: int) -> int:
    """What all parts of so many rows keep in memory: float indexes, codes and row numbers.

    The vectors by which answers are scored are mapped and not counted.
    """
    rows = [count for modality in MODALITIES for count in sizes[modality]]
    return sum(KINDS[kind].size(count, dim) + count * (bits // 8 + 8) for count in rows)


def kinds_to_try(
    kind: IndexKind | Literal["auto"], sizes: Sizes, dim: int, bits: int, limit: int | None
) -> list[IndexKind]:
    """The kinds that fit the memory, the fastest first.

    Raises:
        CrossRayError: none fits; says what the smallest needs.
    """
    wanted: list[IndexKind] = ["hnsw", "ivf", "flat"] if kind == "auto" else [kind]
    if kind == "auto" and max(sum(sizes[modality]) for modality in MODALITIES) <= SMALL_ROWS:
        wanted = ["flat"]
    needs = {name: resident_bytes(name, sizes, dim, bits) for name in wanted}
    fitting = [name for name in wanted if limit is None or needs[name] <= limit]
    if not fitting:
        smallest = min(wanted, key=lambda name: needs[name])
        raise CrossRayError(
            f"no index fits {format_memory(limit or 0)}: the smallest of {', '.join(wanted)}, "
            f"{smallest}, needs {needs[smallest]:,} bytes; allow more memory or index less."
        )
    return fitting


def tune(
    kind: IndexKind, parts: Sequence[Part], trial: Trial, target: float
) -> tuple[int | None, float]:
    """The least effort with which a kind reaches the recall, and the recall reached.

    Where none does, the most and what it reaches.
    """
    queries_QD, exact = trial.queries.vectors_QD, trial.exact
    k = exact.rows_QK.shape[1]
    effort, reached = KINDS[kind].usual_effort, 0.0
    for effort in KINDS[kind].efforts or (None,):
        tried = [replace(part, effort=effort) for part in parts]
        hits = merge([part.nearest(queries_QD, k) for part in tried], k)
        reached = recall(parts, queries_QD, hits.rows_QK, exact)
        if reached >= target:
            break
    return effort, reached


def build_floats(
    folders: Folders,
    kinds: Sequence[IndexKind],
    trials: Mapping[Modality, Trial],
    target: float,
    seed: int,
    progress: Callable[[str], Advance],
) -> Settings:
    """Write the float index of every part and say how to search it.

    The kinds are tried in turn until one reaches the target recall for every trial.

    Raises:
        CrossRayError: none does; says how far the last one came.
    """
    shortfall = ""
    for kind in kinds:
        write_floats([*chain(*folders.values())], kind, seed, progress(f"{kind} indexes"))
        effort: dict[Modality, int | None] = dict.fromkeys(folders, KINDS[kind].usual_effort)
        shortfall = ""
        for modality, trial in trials.items():
            parts = [open_part(folder, None, bits=0) for folder in folders[modality]]
            effort[modality], reached = tune(kind, parts, trial, target)
            if reached < target:
                shortfall = f"{kind} reaches recall {reached:.4f} {direction(modality)}"
                break
        if not shortfall:
            return Settings(kind, effort)
    raise CrossRayError(
        f"{shortfall}, not the wanted {target}; lower the target recall or build a flat index."
    )


def write_floats(folders: Sequence[Path], kind: IndexKind, seed: int, advance: Advance) -> None:
    """Build the parts side by side, one a thread, as many as OpenMP is allowed.

    Each part is built by one thread, so that its bytes do not depend on their number.
    """

    def write(folder: Path, vectors_ND: Halves) -> None:
        index = build_index(kind, vectors_ND, seed, advance)
        (folder / FLOATS).unlink(missing_ok=True)
        faiss.write_index(index, str(folder / FLOATS))

    # In this thread: numpy parses the header of a file, and two threads of Python 3.11 that parse
    # at once may end in a SystemError (python/cpython#106905).
    vectors = [map_array(folder / VECTORS) for folder in folders]
    with ThreadPoolExecutor(faiss.omp_get_max_threads()) as pool:
        list(pool.map(write, folders, vectors))
