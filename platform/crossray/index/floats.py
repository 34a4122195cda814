"""Building the float indexes of all parts, in the first kind that is good enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import faiss

from crossray.core.errors import CrossRayError
from crossray.index.arrays import Halves, map_array
from crossray.index.choose import tune
from crossray.index.kinds import KINDS, Advance, Kind, build
from crossray.index.layout import FLOATS, VECTORS
from crossray.index.modality import Modality, direction
from crossray.index.part import open_part
from crossray.index.recall import Trial
from crossray.index.settings import Settings

Folders = Mapping[Modality, Sequence[Path]]


def build_floats(
    folders: Folders,
    kinds: Sequence[Kind],
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


def write_floats(folders: Sequence[Path], kind: Kind, seed: int, advance: Advance) -> None:
    """Build the parts side by side, one a thread, as many as OpenMP is allowed.

    Each part is built by one thread, so that its bytes do not depend on their number.
    """

    def write(folder: Path, vectors_ND: Halves) -> None:
        index = build(kind, vectors_ND, seed, advance)
        (folder / FLOATS).unlink(missing_ok=True)
        faiss.write_index(index, str(folder / FLOATS))

    # In this thread: numpy parses the header of a file, and two threads of Python 3.11 that parse
    # at once may end in a SystemError (python/cpython#106905).
    vectors = [map_array(folder / VECTORS) for folder in folders]
    with ThreadPoolExecutor(faiss.omp_get_max_threads()) as pool:
        list(pool.map(write, folders, vectors))
