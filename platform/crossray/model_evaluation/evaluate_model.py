"""What a model's scores, vectors or codes are worth under a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from crossray.codes import binarise, pack
from crossray.core.errors import CrossRayError
from crossray.core.types import Representation
from crossray.data.corpora.corpus import Corpus
from crossray.data.splits.held_out import qualified
from crossray.evaluation import (
    DirectionResult,
    Protocol,
    evaluate_codes,
    evaluate_direction,
    hamming_counts,
    rare_labels,
)
from crossray.evaluation.hamming.lookup_curves import counts_of_others, lookup_curves
from crossray.evaluation.metrics.label_accuracy import with_label_accuracy
from crossray.evaluation.protocols.protocol import IMAGE_TO_IMAGE
from crossray.evaluation.protocols.rules import check_labels
from crossray.methods.contract import Encoder
from crossray.model_evaluation.evaluation_data import Search
from crossray.model_evaluation.example_hits import RankedRow, ranked_by_scores
from crossray.model_evaluation.scoring import (
    Represented,
    ScoreMatrices,
    represent_corpus,
    score_represented,
)
from crossray.model_evaluation.validation import label_matrix
from crossray.models.code_scorer import CodeScorer

Scores = NDArray[np.float32]
Packed = NDArray[np.uint8]
Held = Literal["image", "text", "both"]


@dataclass(frozen=True)
class Judged:
    """The results in the order of the protocol's directions, and what ranks a query's items."""

    results: tuple[DirectionResult, ...]
    ranked: Mapping[str, RankedRow]


@dataclass(frozen=True)
class Side:
    """Queries or a database: study keys, and labels if there are any."""

    keys_N: NDArray[np.int64]
    labels_NC: NDArray[np.bool_] | None

    def take(self, rows: slice) -> Side:
        """Some of them."""
        return Side(self.keys_N[rows], None if self.labels_NC is None else self.labels_NC[rows])


def judge_method(
    method: Encoder,
    search: Search,
    protocol: Protocol,
    rerank: int,
    seed: int,
    device: torch.device | str = "cpu",
    query_labels: Sequence[str] = (),
    held: Held = "image",
) -> Judged:
    """Judge a method, or its codes (`CodeScorer`), on the items of a search.

    `rerank`: candidates a query that get the method's costly scores, where the protocol ranks
    scores of images and texts. `query_labels`: only items that carry one of these ask, and only
    these labels, those that qualify them included, make items relevant; see `check_query_labels`.
    `held`: what stands for an item where images ask for images.
    Raises CrossRayError, before anything is computed, for labels that the protocol cannot judge by.
    """
    corpus = search.corpus
    check_labels(protocol, corpus_labels(corpus))
    check_query_labels(query_labels, corpus, method, protocol)
    if protocol.directions == IMAGE_TO_IMAGE:
        if held != "image" and "images_only" in method.config.capabilities:
            raise method.config.no_text()
        represented = represent_corpus(method, corpus, device=device, texts=held != "image")
        judged = _judge_images(represented, corpus, protocol, seed, held)
        return _with_accuracy(judged, method, represented, corpus, seed)
    if "images_only" in method.config.capabilities:
        raise method.config.no_text()
    represented = represent_corpus(method, corpus, device=device)
    if protocol.ranked_by == "hamming":
        return _judge_codes(represented, search, protocol, seed)
    scores = score_represented(method, represented, rerank)
    results = judge(scores, corpus, protocol, seed, query_labels)
    if isinstance(method, CodeScorer) and not rerank:
        images, texts = _sides(corpus, represented.text_rows_C)
        codes = _packed(represented.images), _packed(represented.texts)
        results = (
            _looked_up(results[0], codes, images, texts, protocol),
            _looked_up(results[1], codes[::-1], texts, images, protocol),
        )
    return Judged(results, ranked_by_scores(scores))


def judge(
    scores: ScoreMatrices,
    corpus: Corpus,
    protocol: Protocol,
    seed: int,
    query_labels: Sequence[str] = (),
) -> tuple[DirectionResult, DirectionResult]:
    """Image to text and text to image under a protocol, on the corpus' own ids and labels.

    `query_labels`: see `judge_method`.
    """
    images, texts = _sides(corpus, scores.text_rows_C, query_labels)
    rare_C = None if images.labels_NC is None else rare_labels(images.labels_NC)

    def direction(scores_QN: Scores, queries: Side, items: Side) -> DirectionResult:
        if query_labels:
            assert queries.labels_NC is not None
            asking = queries.labels_NC.any(axis=1)
            scores_QN = scores_QN[asking]
            queries = Side(queries.keys_N[asking], queries.labels_NC[asking])
        keys, labels = (queries.keys_N, items.keys_N), (queries.labels_NC, items.labels_NC)
        return evaluate_direction(scores_QN, *keys, *labels, protocol, rare_C, seed)

    return (
        direction(scores.image_to_text_NC, images, texts),
        direction(np.ascontiguousarray(scores.text_to_image_NC.T), texts, images),
    )


def check_query_labels(
    query_labels: Sequence[str], corpus: Corpus, method: Encoder, protocol: Protocol
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
            f"no item of the split carries the label {missing[0]!r}, so none can ask for it; the "
            f"labels are {', '.join(sorted(carried)) or 'not given at all'}."
        )


def corpus_labels(corpus: Corpus, among: Sequence[str] = ()) -> NDArray[np.bool_] | None:
    """`labels_NC` over `label_names`; None where none occurs."""
    names = label_names(corpus, among)
    kept = set(names)
    labels_NC = label_matrix([[n for n in row if n in kept] for row in corpus.labels], names)
    return labels_NC if labels_NC.any() else None


def label_names(corpus: Corpus, among: Sequence[str] = ()) -> list[str]:
    """The sorted labels that occur, or those of `among` and what qualifies them."""
    found = {label for row in corpus.labels for label in row}
    if among:
        found &= {*among, *(name for head in among for name in qualified(head, found))}
    return sorted(found)


def _judge_images(
    represented: Represented, corpus: Corpus, protocol: Protocol, seed: int, held: Held
) -> Judged:
    """Images that ask for images, by the cosine of their vectors or codes."""
    hashed = "code" in represented.images[0] and held == "image"
    vectors_ND = _unit(_joined(represented.images, "code" if hashed else "z"))
    database_ND = vectors_ND
    if held != "image":
        texts_ND = _text_means(represented, len(vectors_ND))
        database_ND = texts_ND if held == "text" else _unit(vectors_ND + texts_ND)
    images, _ = _sides(corpus, represented.text_rows_C)
    keys_N, labels_NC = images.keys_N, images.labels_NC
    rare_C = None if labels_NC is None else rare_labels(labels_NC)

    def block(start: int, stop: int) -> Scores:
        scores_BN: Scores = vectors_ND[start:stop] @ database_ND.T
        return scores_BN

    result = evaluate_direction(block, keys_N, keys_N, labels_NC, labels_NC, protocol, rare_C, seed)
    if hashed:
        codes_NY = _packed(represented.images)
        result = _looked_up(result, (codes_NY, codes_NY), images, images, protocol)

    def others(query: int) -> Scores:
        scores_N: Scores = database_ND @ vectors_ND[query]
        scores_N[query] = -np.inf
        return scores_N

    return Judged((result,), {"image_to_image": others})


def _text_means(represented: Represented, items: int) -> Scores:
    """`texts_ND`: the mean direction of each item's texts."""
    z_CD = _unit(_joined(represented.texts, "z"))
    sums_ND = np.zeros((items, z_CD.shape[1]), dtype=np.float32)
    np.add.at(sums_ND, represented.text_rows_C, z_CD)
    return _unit(sums_ND)


def _unit(vectors_ND: Scores) -> Scores:
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    unit_ND: Scores = vectors_ND / np.maximum(lengths_N1, 1e-12)
    return unit_ND


def _with_accuracy(
    judged: Judged, method: Encoder, represented: Represented, corpus: Corpus, seed: int
) -> Judged:
    """Beside the ranking, how often the labels that a method thinks most probable are right.

    Labels that it was not taught count for nothing.
    """
    names = method.config.label_names
    if "classes" not in represented.images[0]:
        return judged
    known = set(names)
    labels_NC = label_matrix(
        [[label for label in row if label in known] for row in corpus.labels], list(names)
    )
    classes_NC = _joined(represented.images, "classes")
    (result,) = judged.results
    return replace(judged, results=(with_label_accuracy(result, classes_NC, labels_NC, seed),))


def _judge_codes(represented: Represented, search: Search, protocol: Protocol, seed: int) -> Judged:
    """Images and texts that ask for each other, by the Hamming distance of their codes."""
    images, texts = _sides(search.corpus, represented.text_rows_C)
    image_NK, text_CK = (_joined(part, "code") for part in (represented.images, represented.texts))
    image_NY, text_CY = _packed(represented.images), _packed(represented.texts)

    asking, found = _roles(search.queries, np.arange(len(image_NY)))
    text_asking, text_found = _roles(search.queries, represented.text_rows_C)

    def direction(query_QY: Packed, item_NY: Packed, queries: Side, items: Side) -> DirectionResult:
        keys, labels = (queries.keys_N, items.keys_N), (queries.labels_NC, items.labels_NC)
        return evaluate_codes(query_QY, item_NY, *keys, *labels, protocol, seed)

    return Judged(
        (
            direction(
                image_NY[asking], text_CY[text_found], images.take(asking), texts.take(text_found)
            ),
            direction(
                text_CY[text_asking], image_NY[found], texts.take(text_asking), images.take(found)
            ),
        ),
        {
            "image_to_text": lambda query: text_CK[text_found] @ image_NK[asking][query],
            "text_to_image": lambda query: image_NK[found] @ text_CK[text_asking][query],
        },
    )


def _roles(queries: int | None, row_N: NDArray[np.int64]) -> tuple[slice, slice]:
    """Who asks and who is found among images or texts, given the item rows that they belong to."""
    if queries is None:
        return slice(None), slice(None)
    asking = int(np.searchsorted(row_N, queries))
    return slice(asking), slice(asking, None)


def _looked_up(
    result: DirectionResult,
    codes: tuple[Packed, Packed],
    queries: Side,
    items: Side,
    protocol: Protocol,
) -> DirectionResult:
    """The result with the curves of hash lookup, if any labels are in common."""
    if queries.labels_NC is None or items.labels_NC is None:
        return result
    counts = hamming_counts(*codes, queries.labels_NC, items.labels_NC)
    judged_Q: NDArray[np.bool_] = np.any(queries.labels_NC, axis=1)
    if protocol.leave_one_out:
        counts = counts_of_others(counts, judged_Q)
    if protocol.empty == "skip":
        judged_Q = judged_Q & (counts.relevant_Q > 0)
    if not judged_Q.any():
        return result
    return replace(result, lookup=lookup_curves(counts, judged_Q))


def _sides(
    corpus: Corpus, text_rows_C: NDArray[np.int64], labels: Sequence[str] = ()
) -> tuple[Side, Side]:
    """Images and texts, with all labels or some."""
    keys_N, labels_NC = corpus.keys_N.numpy(), corpus_labels(corpus, labels)
    own = None if labels_NC is None else labels_NC[text_rows_C]
    return Side(keys_N, labels_NC), Side(keys_N[text_rows_C], own)


def _packed(blocks: list[Representation]) -> NDArray[np.uint8]:
    return pack(binarise(_joined(blocks, "code")))


def _joined(blocks: list[Representation], name: str) -> NDArray[np.float32]:
    return torch.cat([block[name].float().cpu() for block in blocks]).numpy()
