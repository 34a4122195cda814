"""Codes against slow, obvious references and FAISS."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossray.codes import binarise, hamming_distances, nearest_codes, pack, unpack
from crossray.core.errors import CrossRayError

LENGTHS = (8, 16, 24, 64, 128)


def codes(rng: np.random.Generator, number: int, length: int) -> np.ndarray:
    """Packed codes of few distinct values, so that distances tie."""
    return pack(rng.random((number, length)) < rng.random((number, 1)).round(1))


def test_zero_is_positive() -> None:
    """An item whose code depends on the sign of nothing must have the same code everywhere."""
    outputs = np.array([[0.0, -0.0, 1e-9, -1e-9, np.inf, -np.inf]])
    assert binarise(outputs).tolist() == [[True, True, True, False, True, False]]


def test_nan_has_no_sign() -> None:
    """A broken model must not become a code that looks like any other."""
    with pytest.raises(CrossRayError, match="row 1"):
        binarise(np.array([[1.0, 2.0], [np.nan, 1.0]]))


def test_packing_comes_back() -> None:
    """Bits in another order after a round trip are other items."""
    bits = np.random.default_rng().random((5, 24)) < 0.5
    assert np.array_equal(unpack(pack(bits)), bits)
    with pytest.raises(CrossRayError, match="12 bits"):
        pack(bits[:, :12])


@given(st.integers(0, 2**32), st.sampled_from(LENGTHS))
def test_distances_are_those_of_the_inner_product(seed: int, length: int) -> None:
    """A distance is (K - b.b') / 2 over codes of +1 and -1."""
    rng = np.random.default_rng(seed)
    queries, database = codes(rng, 3, length), codes(rng, 7, length)
    signs = [2 * unpack(packed).astype(int) - 1 for packed in (queries, database)]
    found = hamming_distances(queries, database)
    assert np.array_equal(found, (length - signs[0] @ signs[1].T) // 2)


@given(st.integers(0, 2**32), st.sampled_from(LENGTHS), st.integers(1, 40))
def test_nearest_is_the_sorted_scan(seed: int, length: int, k: int) -> None:
    """Ties in another order would let two replicas give different answers."""
    rng = np.random.default_rng(seed)
    queries, database = codes(rng, 4, length), codes(rng, 30, length)
    distances, rows = nearest_codes(queries, database, k)
    every = hamming_distances(queries, database)
    for query in range(4):
        wanted = sorted(range(30), key=lambda row: (every[query, row], row))[:k]
        assert rows[query].tolist() == wanted
        assert distances[query].tolist() == every[query, wanted].tolist()


def test_nearest_over_blocks_agrees_with_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan that others are measured against must itself be right."""
    monkeypatch.setattr("crossray.codes.hamming._PAIRS_AT_A_TIME", 5000)
    rng = np.random.default_rng()
    queries, database = codes(rng, 20, 64), codes(rng, 2000, 64)
    index = faiss.IndexBinaryFlat(64)
    index.add(database)
    assert np.array_equal(nearest_codes(queries, database, 10)[0], index.search(queries, 10)[0])


def test_nothing_to_compare() -> None:
    """An empty shard answers with nothing, and a wrong length is told."""
    rng = np.random.default_rng()
    some, none = codes(rng, 3, 16), np.zeros((0, 2), np.uint8)
    assert nearest_codes(some, none, 5)[1].shape == (3, 0)
    assert nearest_codes(none, some, 5)[1].shape == (0, 3)
    with pytest.raises(CrossRayError, match=r"16 bits .* 64 bits"):
        hamming_distances(some, codes(rng, 3, 64))
    with pytest.raises(CrossRayError, match="k=0"):
        nearest_codes(some, some, 0)
