"""Recall of an index against exact search on the same vectors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crossray.core.modality import Modality, direction
from crossray.index.arrays import Floats, Rows, map_array
from crossray.index.hits import Hits, merge
from crossray.index.kinds import build_index
from crossray.index.layout import ROWS, VECTORS
from crossray.index.part import Part, row_numbers
from crossray.index.proposals import nearest
from crossray.index.queries import Queries, modes_of
from crossray.index.search import search
from crossray.index.shard import Shard

K = 10


class Trial(NamedTuple):
    """Queries and their exact answer."""

    queries: Queries
    exact: Hits


def exact_hits(folders: Sequence[Path], queries_QD: Floats, k: int = K) -> Hits:
    """The exact answer over parts; one of them at a time has a flat index in memory."""
    hits = []
    for folder in folders:
        vectors_ND = map_array(folder / VECTORS)
        flat = build_index("flat", vectors_ND, seed=0, advance=lambda rows: None)
        found = nearest(flat, None, vectors_ND, queries_QD, k)
        numbers_QK = row_numbers(map_array(folder / ROWS), found.rows_QK)
        hits.append(Hits(found.scores_QK, numbers_QK))
    return merge(hits, k)


def recall(parts: Sequence[Part], queries_QD: Floats, rows_QK: Rows, exact: Hits) -> float:
    r"""The share of the exact answer that an answer reaches, mean over queries.

    $\frac{1}{|Q|} \sum_q |\{r \in A_q : s(q, r) \ge s_q\}| / K$, with $s_q$ the score of the
    K-th exact hit, or of the last where there are fewer. Rows of equal score are equally right:
    many items can share one text, and no index knows which of them the tie rule names.
    """
    scores_QK = np.max([part.scores(queries_QD, rows_QK) for part in parts], axis=0)
    reached_Q = np.where(exact.scores_QK > -np.inf, exact.scores_QK, np.inf).min(axis=1)
    right_Q = (scores_QK >= reached_Q[:, None]).sum(axis=1)
    return float(np.mean(right_Q / (exact.rows_QK >= 0).sum(axis=1)))


def measure_recall(
    shards: Sequence[Shard], trials: Mapping[Modality, Trial]
) -> dict[str, dict[str, float]]:
    """Recall by direction and mode, over all shards."""
    measured: dict[str, dict[str, float]] = {}
    for modality, (queries, exact) in trials.items():
        parts = [shard.parts[modality] for shard in shards]
        measured[direction(modality)] = {
            mode: recall(
                parts,
                queries.vectors_QD,
                search(shards, modality, *queries, K, mode).rows_QK,
                exact,
            )
            for mode in modes_of(shards[0].bits)
        }
    return measured
