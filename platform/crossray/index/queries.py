"""Queries, modes and limits of a search."""

from typing import Literal, NamedTuple

import numpy as np

from crossray.core.errors import CrossRayError
from crossray.index.arrays import Codes, Floats

Mode = Literal["float", "binary", "rescore"]
MODES: tuple[Mode, ...] = ("float", "binary", "rescore")
MAX_K = 1000
MAX_CANDIDATES = 10 * MAX_K


class SearchOptions(NamedTuple):
    """What a search is to give; it goes from a request to every shard as it is.

    `candidates`: how many codes the mode `rescore` looks at, None for the number of
    `candidates_for`.
    """

    k: int
    mode: Mode
    candidates: int | None = None


class Queries(NamedTuple):
    """Embeddings and packed codes, of no bytes where there are none, of the same queries."""

    vectors_QD: Floats
    codes_QY: Codes


def check_queries(vectors_QD: Floats, codes_QY: Codes, dim: int, bits: int) -> Queries:
    """The queries, contiguous.

    Raises:
        CrossRayError: they do not fit an index of `dim` dimensions and `bits` bits, their numbers
            differ, or an embedding holds NaN or numbers that are not finite or too large to square.
    """
    vectors_QD = np.ascontiguousarray(vectors_QD, np.float32)
    if vectors_QD.ndim != 2 or vectors_QD.shape[1] != dim:
        raise CrossRayError(
            f"query embeddings of shape {list(vectors_QD.shape)} do not fit this index, which has "
            f"{dim} dimensions; pass [queries, {dim}] from the model that made it."
        )
    codes_QY = np.ascontiguousarray(codes_QY)
    if codes_QY.ndim != 2 or codes_QY.dtype != np.uint8 or codes_QY.shape[1] * 8 != bits:
        raise CrossRayError(
            f"query codes of shape {list(codes_QY.shape)} and type {codes_QY.dtype} do not fit "
            f"this index, which has {bits} bits; pass uint8 [queries, {bits // 8}] from the "
            "model that made it."
        )
    if len(vectors_QD) != len(codes_QY):
        raise CrossRayError(
            f"there are {len(vectors_QD)} query embeddings and {len(codes_QY)} query codes; "
            "pass one code an embedding."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        bad_Q = ~np.isfinite((vectors_QD * vectors_QD).sum(axis=1))
    if bad_Q.any():
        raise CrossRayError(
            f"query {int(bad_Q.argmax())} holds NaN or a number that is not finite; "
            "check the model or the input that made it."
        )
    return Queries(vectors_QD, codes_QY)


def check_k(k: int) -> None:
    """Raises `CrossRayError` unless 1 <= k <= `MAX_K`."""
    if not 1 <= k <= MAX_K:
        raise CrossRayError(f"k={k} answers cannot be given; ask for 1 to {MAX_K}.")


def modes_of(bits: int) -> tuple[Mode, ...]:
    """How vectors with codes of so many bits can be searched; without codes by `float` alone."""
    return MODES if bits else ("float",)


def check_mode(mode: str, bits: int) -> None:
    """Raises `CrossRayError` for an unknown mode, and for one that needs codes where are none."""
    if mode not in MODES:
        raise CrossRayError(f"{mode!r} is not a search mode; use one of {', '.join(MODES)}.")
    if mode not in modes_of(bits):
        raise CrossRayError(
            f"the mode {mode!r} compares codes and this index holds none, since its model makes "
            "none; use the mode 'float', or index the vectors of a student."
        )


def candidates_for(k: int, candidates: int | None) -> int:
    """How many codes a rescoring search looks at: by default ten an answer, 100 at least.

    Raises:
        CrossRayError: fewer candidates than answers, or more than `MAX_CANDIDATES`.
    """
    if candidates is None:
        return max(10 * k, 100)
    if not k <= candidates <= MAX_CANDIDATES:
        raise CrossRayError(
            f"candidates={candidates} cannot be rescored for k={k} answers; "
            f"use {k} to {MAX_CANDIDATES}."
        )
    return candidates
