"""Which kind of float index to build, and how much of it a query has to visit.

Small data is searched exactly. Otherwise HNSW comes first, as the fastest, then IVF, then the flat
scan, which takes the least memory and always has recall 1; the first that fits the memory and
reaches the recall is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from crossray.core.errors import CrossRayError
from crossray.index.hits import merge
from crossray.index.kinds import KINDS, Kind
from crossray.index.memory import format_memory
from crossray.index.modality import MODALITIES, Modality
from crossray.index.part import Part
from crossray.index.recall import Trial, recall

SMALL_ROWS = 20_000
Sizes = Mapping[Modality, Sequence[int]]


def resident_bytes(kind: Kind, sizes: Sizes, dim: int, bits: int) -> int:
    """What all parts of so many rows keep in memory: float indexes, codes and row numbers.

    The vectors by which answers are scored are mapped and not counted.
    """
    rows = [count for modality in MODALITIES for count in sizes[modality]]
    return sum(KINDS[kind].size(count, dim) + count * (bits // 8 + 8) for count in rows)


def kinds_to_try(
    kind: Kind | Literal["auto"], sizes: Sizes, dim: int, bits: int, limit: int | None
) -> list[Kind]:
    """The kinds that fit the memory, the fastest first.

    Raises:
        CrossRayError: none fits; says what the smallest needs.
    """
    wanted: list[Kind] = ["hnsw", "ivf", "flat"] if kind == "auto" else [kind]
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
    kind: Kind, parts: Sequence[Part], trial: Trial, target: float
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
