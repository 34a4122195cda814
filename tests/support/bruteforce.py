"""Exact search the slow and obvious way: score everything, sort everything."""

from __future__ import annotations

import numpy as np

Answer = tuple[list[list[float]], list[list[int]]]


def float_scores(queries_QD: np.ndarray, vectors_ND: np.ndarray) -> np.ndarray:
    """Inner products, computed in float64 and rounded to float32."""
    return (queries_QD.astype(np.float64) @ vectors_ND.astype(np.float64).T).astype(np.float32)


def distances(queries_QY: np.ndarray, codes_NY: np.ndarray) -> np.ndarray:
    """Bits in which codes differ."""
    bits = [np.unpackbits(codes, axis=1) for codes in (queries_QY, codes_NY)]
    return (bits[0][:, None] != bits[1][None]).sum(axis=2)


def code_scores(queries_QY: np.ndarray, codes_NY: np.ndarray) -> np.ndarray:
    """1 - 2 h / K."""
    return (1 - 2 * distances(queries_QY, codes_NY) / (8 * codes_NY.shape[1])).astype(np.float32)


def ranked(scores_QN: np.ndarray, k: int) -> Answer:
    """Scores and rows by (-score, row), padded to k with -inf and -1."""
    scores, rows = [], []
    for scores_N in scores_QN.tolist():
        order = sorted(range(len(scores_N)), key=lambda row: (-scores_N[row], row))[:k]
        missing = k - len(order)
        scores.append([scores_N[row] for row in order] + [-np.inf] * missing)
        rows.append(order + [-1] * missing)
    return scores, rows


def rescored(scores_QN: np.ndarray, distances_QN: np.ndarray, candidates: int, k: int) -> Answer:
    """The nearest by (distance, row), ranked by score."""
    allowed = np.full(scores_QN.shape, -np.inf, np.float32)
    for query, distances_N in enumerate(distances_QN.tolist()):
        order = sorted(range(len(distances_N)), key=lambda row: (distances_N[row], row))
        near = order[:candidates]
        allowed[query, near] = scores_QN[query, near]
    scores, rows = ranked(allowed, k)
    for own_scores, own_rows in zip(scores, rows, strict=True):
        own_rows[:] = [
            row if score > -np.inf else -1 for score, row in zip(own_scores, own_rows, strict=True)
        ]
    return scores, rows
