"""Searching shards against brute force."""

from __future__ import annotations

from typing import Any, get_args

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossray.core.errors import CrossRayError
from crossray.index import (
    MAX_CANDIDATES,
    MAX_K,
    MODALITIES,
    Hits,
    Modality,
    Mode,
    Shard,
    merge_candidates,
    mix,
    search,
)
from crossray.index.hits import without_rows
from crossray.index.kinds import IndexKind
from crossray.index.threads import one_thread
from support.bruteforce import code_scores, distances, float_scores, ranked, rescored
from support.vectors import Corpus, Side, make_corpus, make_queries, make_shards, make_side, unit


def expected(
    corpus: Corpus, modality: Modality, queries: Any, k: int, mode: Mode, candidates: int
) -> tuple[list[list[float]], list[list[int]]]:
    """What exact search must answer."""
    vectors, codes = queries
    side = corpus[modality]
    if mode == "float":
        return ranked(float_scores(vectors, side.vectors_ND), k)
    if mode == "binary":
        return ranked(code_scores(codes, side.codes_NY), k)
    return rescored(
        float_scores(vectors, side.vectors_ND), distances(codes, side.codes_NY), candidates, k
    )


def as_lists(hits: Hits) -> tuple[list[list[float]], list[list[int]]]:
    """Comparable with `expected`."""
    assert hits.scores_QK.dtype == np.float32
    assert hits.rows_QK.dtype == np.int64
    return hits.scores_QK.tolist(), hits.rows_QK.tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([0, 1, 2, 50, 150]),
    st.sampled_from([None, 1, 7]),
    st.integers(1, 5),
    st.sampled_from([1, 10, 100, 200]),
    st.sampled_from(get_args(Mode)),
)
def test_any_number_of_shards_answers_like_brute_force(
    seed: int, rows: int, distinct: int | None, shards: int, k: int, mode: Mode
) -> None:
    """An index that is split differently, or holds copies, must not answer differently."""
    rng = np.random.default_rng(seed)
    corpus = make_corpus(rng, rows, 40, distinct=distinct)
    vectors, codes = make_queries(rng, corpus, 5)
    candidates = k + 3
    found = search(make_shards(corpus, shards), "image", vectors, codes, k, mode, candidates)
    assert as_lists(found) == expected(corpus, "image", (vectors, codes), k, mode, candidates)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("distinct", [None, 1, 3, 200])
def test_flat_is_exact_when_ties_exceed_the_slack(distinct: int | None, shards: int) -> None:
    """Many images share one text: which of them a user sees is the rule's choice, not FAISS'."""
    rng = np.random.default_rng()
    corpus = make_corpus(rng, 2000, 300, dim=24, distinct=distinct)
    queries = make_queries(rng, corpus, 33)
    split = make_shards(corpus, shards)
    for k in (1, 17, 500, 1000):
        found = search(split, "image", *queries, k, "float")
        assert as_lists(found) == expected(corpus, "image", queries, k, "float", 0)


def test_flat_is_exact_when_float32_cannot_tell() -> None:
    """Rows whose scores differ by less than FAISS' rounding must still come in the true order."""
    rng = np.random.default_rng()
    base = unit(rng.standard_normal((1, 64)))
    vectors = np.repeat(base, 1500, axis=0)
    # One unit in the last place of small components: scores differ around the eighth digit.
    small = np.argsort(np.abs(base[0]))[:6]
    steps = rng.integers(-1, 2, (1500, 6)).astype(np.int16)
    vectors[:, small] = (vectors[:, small].view(np.int16) + steps).view(np.float16)
    side = Side(
        vectors, np.zeros((1500, 1), np.uint8), [f"{row}" for row in range(1500)], [0] * 1500
    )
    corpus: Corpus = {"image": side, "text": side}
    queries = unit(base + 0.1 * rng.standard_normal((8, 64))).astype(np.float32)
    codes = np.zeros((8, 1), np.uint8)
    for shards in (1, 4):
        found = search(make_shards(corpus, shards), "image", queries, codes, 20, "float")
        assert as_lists(found) == expected(corpus, "image", (queries, codes), 20, "float", 0)


def test_queries_need_not_be_of_unit_length() -> None:
    """A zero, a tiny and a huge query are ranked as exactly as any other."""
    rng = np.random.default_rng()
    corpus = make_corpus(rng, 300, 300)
    vectors, codes = make_queries(rng, corpus, 4)
    scaled = vectors * np.array([[0], [1e-30], [1e-3], [1e15]], np.float32)
    found = search(make_shards(corpus, 2), "text", scaled, codes, 30, "float")
    assert as_lists(found) == expected(corpus, "text", (scaled, codes), 30, "float", 0)


@pytest.mark.parametrize("number", [1, 2, 40])
def test_binary_ties_come_in_the_order_of_rows(number: int) -> None:
    """Codes of 8 bits tie by the hundred; two replicas must show the same ones."""
    rng = np.random.default_rng()
    codes = rng.integers(0, 256, (5000, 1), np.uint8)
    side = Side(unit(rng.standard_normal((5000, 2))), codes, [f"{row}" for row in range(5000)], [])
    corpus: Corpus = {"image": side, "text": side}
    vectors, query_codes = make_queries(rng, corpus, number)
    table = code_scores(query_codes, codes)
    order = np.lexsort((np.broadcast_to(np.arange(5000), table.shape), -table), axis=-1)
    for shards in (1, 4):
        split = make_shards(corpus, shards)
        for k in (1, 2, 16, 33, 100, 200, 1000):
            found = search(split, "image", vectors, query_codes, k, "binary")
            assert np.array_equal(found.rows_QK, order[:, :k])
            assert np.array_equal(found.scores_QK, np.take_along_axis(table, order[:, :k], axis=1))


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
@pytest.mark.parametrize("mode", get_args(Mode))
def test_an_answer_does_not_depend_on_the_queries_beside_it(kind: IndexKind, mode: Mode) -> None:
    """Requests are batched as they arrive; the same request must get the same answer."""
    rng = np.random.default_rng()
    corpus = make_corpus(rng, 1500, 1500, dim=32)
    queries = make_queries(rng, corpus, 70)
    shards = make_shards(corpus, 1, kind)
    together = search(shards, "text", *queries, 20, mode)
    for query in range(70):
        own = slice(query, query + 1)
        alone = search(shards, "text", queries[0][own], queries[1][own], 20, mode)
        assert np.array_equal(alone.rows_QK, together.rows_QK[own])
        assert np.array_equal(alone.scores_QK, together.scores_QK[own])


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
@pytest.mark.parametrize("rows", [0, 1, 2, 77, 78, 1000])
def test_approximate_scores_are_exact_and_in_order(kind: IndexKind, rows: int) -> None:
    """What an approximate index finds must carry the score that an exact one would show."""
    rng = np.random.default_rng()
    corpus = make_corpus(rng, rows, 60, distinct=None if rows < 100 else 400)
    vectors, codes = make_queries(rng, corpus, 6)
    for shards in (1, 3):
        found = search(make_shards(corpus, shards, kind), "image", vectors, codes, 50, "float")
        table = float_scores(vectors, corpus["image"].vectors_ND)
        for query in range(6):
            some = found.rows_QK[query] >= 0
            own = found.rows_QK[query][some]
            assert len(set(own.tolist())) == len(own) >= min(1, rows)
            assert not (~some).any() or (np.flatnonzero(~some) >= len(own)).all()
            assert (found.scores_QK[query][~some] == -np.inf).all()
            assert np.array_equal(found.scores_QK[query][some], table[query, own])
            wanted = sorted(own.tolist(), key=lambda row: (-table[query, row], row))
            assert own.tolist() == wanted


def test_a_thorough_ivf_is_brute_force() -> None:
    """Visiting every list must find every row: none may be lost between lists."""
    rng = np.random.default_rng()
    corpus = make_corpus(rng, 800, 10)
    queries = make_queries(rng, corpus, 20)
    found = search(make_shards(corpus, 2, "ivf", effort=1000), "image", *queries, 25, "float")
    assert as_lists(found) == expected(corpus, "image", queries, 25, "float", 0)


def test_rescoring_by_hand_is_the_rescoring_of_search() -> None:
    """A deployment a shard merges what shards send it; it must answer like one process."""
    rng = np.random.default_rng()
    corpus = make_corpus(rng, 400, 20, distinct=50)
    queries = make_queries(rng, corpus, 9)
    one, four = make_shards(corpus, 1), make_shards(corpus, 4)
    sent = [shard.candidates("image", *queries, 60) for shard in four]
    merged = as_lists(merge_candidates(sent, 60, 10))
    assert merged == expected(corpus, "image", queries, 10, "rescore", 60)
    assert merged == as_lists(search(four, "image", *queries, 10, "rescore", 60))
    assert merged == as_lists(one[0].search("image", *queries, 10, "rescore", 60))


def test_default_candidates() -> None:
    """Ten candidates an answer, but a hundred at least."""
    rng = np.random.default_rng()
    corpus = make_corpus(rng, 700, 20)
    queries = make_queries(rng, corpus, 5)
    shards = make_shards(corpus, 2)
    for k, candidates in ((1, 100), (10, 100), (30, 300)):
        found = search(shards, "image", *queries, k, "rescore")
        assert as_lists(found) == expected(corpus, "image", queries, k, "rescore", candidates)


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_mixed_hits_come_in_turn(seed: int, k: int) -> None:
    """A search of both modalities shows one of them only, or an order that chance decides."""
    rng = np.random.default_rng(seed)

    def hits(width: int, gap: float) -> Hits:
        scores = gap - np.sort(-rng.integers(0, 4, (3, width)).astype(np.float32), axis=1)
        rows = rng.permutation(20)[None, :width].repeat(3, axis=0)
        scores[1:, 2:], rows[1:, 2:] = -np.inf, -1
        return Hits(scores, rows)

    images, texts = hits(5, 0.0), hits(4, 100.0)
    mixed = mix(images, texts, k)
    for query in range(3):
        fused = sorted(
            (-1 / (60 + rank), modality, score, row)
            for modality, part in enumerate((images, texts))
            for rank, (score, row) in enumerate(
                zip(part.scores_QK[query], part.rows_QK[query], strict=True), start=1
            )
            if row >= 0
        )
        wanted = [(score, modality, row) for _, modality, score, row in fused]
        wanted = (wanted + [(-np.inf, -1, -1)] * k)[:k]
        arrays = (mixed.scores_QK[query], mixed.modalities_QK[query], mixed.rows_QK[query])
        assert list(zip(*(array.tolist() for array in arrays), strict=True)) == wanted


def test_rows_that_are_left_out() -> None:
    """The item that was asked with would be its own first hit, or leave a hole in the answer."""
    hits = Hits(np.array([[4.0, 3.0, 2.0, -np.inf]], np.float32), np.array([[7, 2, 9, -1]]))
    found = without_rows(hits, np.array([7]), 2)
    assert found.rows_QK.tolist() == [[2, 9]]
    found = without_rows(hits, np.array([2, 9]), 3)
    assert found.rows_QK.tolist() == [[7, -1, -1]]
    assert found.scores_QK.tolist() == [[4.0, -np.inf, -np.inf]]


@pytest.mark.parametrize("mode", get_args(Mode))
def test_no_queries_and_empty_shards(mode: Mode) -> None:
    """A modality without rows answers with padding; no query gets no answer."""
    rng = np.random.default_rng()
    corpus = make_corpus(rng, 0, 3)
    shards = make_shards(corpus, 4)
    queries = make_queries(rng, corpus, 2)
    found = search(shards, "image", *queries, 5, mode)
    assert found.rows_QK.tolist() == [[-1] * 5] * 2
    assert (found.scores_QK == -np.inf).all()
    none = search(shards, "text", queries[0][:0], queries[1][:0], 5, mode)
    assert none.rows_QK.shape == none.scores_QK.shape == (0, 5)


def test_faiss_keeps_its_threads() -> None:
    """A search must not slow down what else uses FAISS in the process."""
    faiss.omp_set_num_threads(3)
    try:
        with one_thread():
            assert faiss.omp_get_max_threads() == 1
        rng = np.random.default_rng()
        corpus = make_corpus(rng)
        search(make_shards(corpus, 2), "text", *make_queries(rng, corpus, 2), 3, "rescore")
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(1)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "dimension": ({"vectors": np.zeros((2, 9), np.float32)}, r"\[2, 9\].* 16 dimensions"),
    "one vector": ({"vectors": np.zeros(16, np.float32)}, r"\[16\].* 16 dimensions"),
    "code length": ({"codes": np.zeros((2, 3), np.uint8)}, r"\[2, 3\].* 16 bits"),
    "code type": ({"codes": np.zeros((2, 2), np.int64)}, "int64"),
    "numbers": ({"codes": np.zeros((3, 2), np.uint8)}, "2 query embeddings and 3 query codes"),
    "NaN": ({"vectors": np.array([[0.0] * 16, [np.nan] * 16])}, "query 1 holds NaN"),
    "infinity": ({"vectors": np.array([[np.inf] + [0.0] * 15] * 2)}, "query 0"),
    "overflow": ({"vectors": np.full((2, 16), 1e30)}, "query 0"),
    "k of 0": ({"k": 0}, f"k=0 .* 1 to {MAX_K}"),
    "k too large": ({"k": MAX_K + 1}, f"k={MAX_K + 1}"),
    "modality": ({"modality": "sound"}, "'sound' .* 'image' or 'text'"),
    "mode": ({"mode": "exact"}, "'exact' .* float, binary, rescore"),
    "few candidates": ({"mode": "rescore", "candidates": 4}, "candidates=4 .* k=5"),
    "many candidates": ({"mode": "rescore", "candidates": MAX_CANDIDATES + 1}, "candidates="),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("shards", [1, 2])
def test_refuses_what_cannot_be_asked(case: str, shards: int) -> None:
    """A client's mistake must come back as a sentence, not as a wrong answer or a crash."""
    changed, message = BAD[case]
    rng = np.random.default_rng()
    split: list[Shard] = make_shards(make_corpus(rng), shards)
    asked = {
        "modality": "image",
        "vectors": np.zeros((2, 16), np.float32),
        "codes": np.zeros((2, 2), np.uint8),
        "k": 5,
        "mode": "float",
        "candidates": None,
    } | changed
    with pytest.raises(CrossRayError, match=message):
        search(split, *asked.values())
    with pytest.raises(CrossRayError, match=message):
        split[0].search(*asked.values())


def test_sides_are_searched_separately() -> None:
    """Asking for images must never return a text."""
    rng = np.random.default_rng()
    corpus: Corpus = {m: make_side(rng, 30, 16, 16) for m in MODALITIES}
    queries = make_queries(rng, corpus, 4)
    for modality in MODALITIES:
        found = search(make_shards(corpus, 2), modality, *queries, 7, "float")
        assert as_lists(found) == expected(corpus, modality, queries, 7, "float", 0)
