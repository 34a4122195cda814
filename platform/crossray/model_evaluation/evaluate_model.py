"""What a model's scores, vectors or codes are worth under a protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from crossray import evaluation
from crossray.core.errors import CrossRayError
from crossray.data.corpora.corpus import Corpus
from crossray.evaluation.hamming.lookup import counts_of_others, lookup_curves
from crossray.evaluation.label_accuracy import with_label_accuracy
from crossray.evaluation.protocols.protocol import IMAGE_TO_IMAGE
from crossray.evaluation.protocols.rules import check_labels
from crossray.evaluation.ranked import ScoreBlocks
from crossray.methods.contract import Encoder
from crossray.model_evaluation import scoring
from crossray.model_evaluation.evaluation_data import RetrievalTask
from crossray.model_evaluation.example_hits import RankedRow, ranked_by_scores
from crossray.model_evaluation.retrieval_items import (
    RetrievalItems,
    corpus_labels,
    label_flags,
    label_names,
    retrieval_items,
)
from crossray.models.code_scorer import CodeScorer

Scores = NDArray[np.float32]
Packed = NDArray[np.uint8]
Held = Literal["image", "text", "both"]


@dataclass(frozen=True)
class ModelResult:
    """The results in the order of the protocol's directions, and what ranks a query's items."""

    results: tuple[evaluation.DirectionResult, ...]
    ranked: Mapping[str, RankedRow]


def evaluate_model(
    method: Encoder,
    task: RetrievalTask,
    protocol: evaluation.Protocol,
    rerank: int,
    seed: int,
    device: torch.device | str = "cpu",
    query_labels: Sequence[str] = (),
    held: Held = "image",
) -> ModelResult:
    """Judge a method, or its codes (`CodeScorer`), on a retrieval task.

    `rerank`: candidates a query that get the method's costly scores, where the protocol ranks
    scores of images and texts. `query_labels`: only items that carry one of these are queries, and
    only these labels, with those that qualify them, make items relevant; see `check_query_labels`.
    `held`: what stands for an item where images are queries for images.
    Raises CrossRayError, before anything is computed, for labels that the protocol cannot judge by.
    """
    corpus = task.corpus
    check_labels(protocol, corpus_labels(corpus))
    check_query_labels(query_labels, corpus, method, protocol)
    if protocol.directions == IMAGE_TO_IMAGE:
        if held != "image" and "images_only" in method.config.capabilities:
            raise method.config.no_text()
        represented = scoring.represent_corpus(method, corpus, device=device, texts=held != "image")
        found = _judge_images(represented, corpus, protocol, seed, held)
        return _with_accuracy(found, method, represented, corpus, seed)
    if "images_only" in method.config.capabilities:
        raise method.config.no_text()
    represented = scoring.represent_corpus(method, corpus, device=device)
    if protocol.ranked_by == "hamming":
        return _judge_codes(represented, task, protocol, seed)
    scores = scoring.score_represented(method, represented, rerank)
    results = evaluate_scores(scores, corpus, protocol, seed, query_labels)
    if isinstance(method, CodeScorer) and not rerank:
        images, texts = retrieval_items(corpus, represented.text_rows_C)
        codes = scoring.packed_codes(represented.images), scoring.packed_codes(represented.texts)
        results = (
            _looked_up(results[0], codes, images, texts, protocol),
            _looked_up(results[1], codes[::-1], texts, images, protocol),
        )
    return ModelResult(results, ranked_by_scores(scores))


def evaluate_scores(
    scores: scoring.ScoreMatrices,
    corpus: Corpus,
    protocol: evaluation.Protocol,
    seed: int,
    query_labels: Sequence[str] = (),
) -> tuple[evaluation.DirectionResult, evaluation.DirectionResult]:
    """Image to text and text to image under a protocol, by the ids and labels of the corpus.

    `query_labels`: see `evaluate_model`.
    """
    images, texts = retrieval_items(corpus, scores.text_rows_C, query_labels)
    rare_C = None if images.labels_NC is None else evaluation.rare_labels(images.labels_NC)

    def direction(
        scores_QN: Scores, queries: RetrievalItems, items: RetrievalItems
    ) -> evaluation.DirectionResult:
        if query_labels:
            assert queries.labels_NC is not None
            chosen_Q: NDArray[np.bool_] = np.any(queries.labels_NC, axis=1)
            scores_QN, queries = scores_QN[chosen_Q], queries.take(chosen_Q)
        return _evaluated(scores_QN, queries, items, protocol, seed, rare_C)

    return (
        direction(scores.image_to_text_NC, images, texts),
        direction(np.ascontiguousarray(scores.text_to_image_NC.T), texts, images),
    )


def _evaluated(
    ranked: ArrayLike | ScoreBlocks | evaluation.PackedCodes,
    queries: RetrievalItems,
    items: RetrievalItems,
    protocol: evaluation.Protocol,
    seed: int,
    rare_C: NDArray[np.bool_] | None = None,
) -> evaluation.DirectionResult:
    keys, labels = (queries.keys_N, items.keys_N), (queries.labels_NC, items.labels_NC)
    return evaluation.evaluate_direction(ranked, *keys, *labels, protocol, rare_C, seed)


def check_query_labels(
    query_labels: Sequence[str], corpus: Corpus, method: Encoder, protocol: evaluation.Protocol
) -> None:
    """Refuse queries by labels where codes or images alone are ranked, and labels of no item."""
    if not query_labels:
        return
    ranks_codes = protocol.ranked_by == "hamming" or isinstance(method, CodeScorer)
    if ranks_codes or protocol.directions == IMAGE_TO_IMAGE:
        raise CrossRayError(
            "queries are chosen by labels where scores of images and texts are ranked; leave "
            "query-labels out, or choose a protocol and a model that do so."
        )
    carried = set(label_names(corpus))
    if missing := sorted(set(query_labels) - carried):
        raise CrossRayError(
            f"no item of the split carries the label {missing[0]!r}, so none can be a query; the "
            f"labels are {', '.join(sorted(carried)) or 'not given at all'}."
        )


def _judge_images(
    represented: scoring.Represented,
    corpus: Corpus,
    protocol: evaluation.Protocol,
    seed: int,
    held: Held,
) -> ModelResult:
    """Images as queries for images, by the cosine of their vectors or codes."""
    hashed = "code" in represented.images[0] and held == "image"
    vectors_ND = _unit(scoring.joined_part(represented.images, "code" if hashed else "z"))
    database_ND = vectors_ND
    if held != "image":
        texts_ND = _text_means(represented, len(vectors_ND))
        database_ND = texts_ND if held == "text" else _unit(vectors_ND + texts_ND)
    images, _ = retrieval_items(corpus, represented.text_rows_C)
    rare_C = None if images.labels_NC is None else evaluation.rare_labels(images.labels_NC)

    def block(start: int, stop: int) -> Scores:
        scores_BN: Scores = vectors_ND[start:stop] @ database_ND.T
        return scores_BN

    result = _evaluated(block, images, images, protocol, seed, rare_C)
    if hashed:
        codes_NY = scoring.packed_codes(represented.images)
        result = _looked_up(result, (codes_NY, codes_NY), images, images, protocol)

    def others(query: int) -> Scores:
        scores_N: Scores = database_ND @ vectors_ND[query]
        scores_N[query] = -np.inf
        return scores_N

    return ModelResult((result,), {"image_to_image": others})


def _text_means(represented: scoring.Represented, items: int) -> Scores:
    """`texts_ND`: the mean direction of each item's texts."""
    z_CD = _unit(scoring.joined_part(represented.texts, "z"))
    sums_ND = np.zeros((items, z_CD.shape[1]), dtype=np.float32)
    np.add.at(sums_ND, represented.text_rows_C, z_CD)
    return _unit(sums_ND)


def _unit(vectors_ND: Scores) -> Scores:
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    unit_ND: Scores = vectors_ND / np.maximum(lengths_N1, 1e-12)
    return unit_ND


def _with_accuracy(
    found: ModelResult, method: Encoder, represented: scoring.Represented, corpus: Corpus, seed: int
) -> ModelResult:
    """Next to the ranking, how often the labels that a method thinks most probable are right.

    Labels that it was not taught count for nothing.
    """
    if "classes" not in represented.images[0]:
        return found
    labels_NC = label_flags(corpus.labels, method.config.label_names)
    classes_NC = scoring.joined_part(represented.images, "classes")
    (result,) = found.results
    return replace(found, results=(with_label_accuracy(result, classes_NC, labels_NC, seed),))


def _judge_codes(
    represented: scoring.Represented, task: RetrievalTask, protocol: evaluation.Protocol, seed: int
) -> ModelResult:
    """Images as queries for texts and the reverse, by the Hamming distance of their codes."""
    images, texts = retrieval_items(task.corpus, represented.text_rows_C)
    image_NK, text_CK = (
        scoring.joined_part(part, "code") for part in (represented.images, represented.texts)
    )
    image_NY, text_CY = (
        scoring.packed_codes(represented.images),
        scoring.packed_codes(represented.texts),
    )
    image_queries, found = _roles(task.queries, np.arange(len(image_NY)))
    text_queries, text_found = _roles(task.queries, represented.text_rows_C)
    to_text = evaluation.PackedCodes(image_NY[image_queries], text_CY[text_found])
    to_image = evaluation.PackedCodes(text_CY[text_queries], image_NY[found])
    return ModelResult(
        (
            _evaluated(to_text, images.take(image_queries), texts.take(text_found), protocol, seed),
            _evaluated(to_image, texts.take(text_queries), images.take(found), protocol, seed),
        ),
        {
            "image_to_text": lambda query: text_CK[text_found] @ image_NK[image_queries][query],
            "text_to_image": lambda query: image_NK[found] @ text_CK[text_queries][query],
        },
    )


def _roles(queries: int | None, row_N: NDArray[np.int64]) -> tuple[slice, slice]:
    """The rows of queries and of database items among images or texts of the item rows `row_N`."""
    if queries is None:
        return slice(None), slice(None)
    image_queries = int(np.searchsorted(row_N, queries))
    return slice(image_queries), slice(image_queries, None)


def _looked_up(
    result: evaluation.DirectionResult,
    codes: tuple[Packed, Packed],
    queries: RetrievalItems,
    items: RetrievalItems,
    protocol: evaluation.Protocol,
) -> evaluation.DirectionResult:
    """The result with the curves of hash lookup, if any labels are in common."""
    if queries.labels_NC is None or items.labels_NC is None:
        return result
    counts = evaluation.hamming_counts(*codes, queries.labels_NC, items.labels_NC)
    judged_Q: NDArray[np.bool_] = np.any(queries.labels_NC, axis=1)
    if protocol.leave_one_out:
        counts = counts_of_others(counts, judged_Q)
    if protocol.empty == "skip":
        judged_Q = judged_Q & (counts.relevant_Q > 0)
    if not judged_Q.any():
        return result
    return replace(result, lookup=lookup_curves(counts, judged_Q))
