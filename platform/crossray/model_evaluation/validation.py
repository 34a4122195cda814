"""Retrieval quality on the validation split while training."""

from collections.abc import Iterator

import numpy as np
import torch

from crossray.core.distributed import broadcast_object, rank
from crossray.data.corpora.corpus import Corpus
from crossray.evaluation import PackedCodes, Protocol, metric_values
from crossray.evaluation.protocols import validation
from crossray.evaluation.protocols.protocol import CROSS_MODAL
from crossray.methods.contract import Encoder
from crossray.model_evaluation import scoring
from crossray.model_evaluation.retrieval_items import RetrievalItems, retrieval_items

Quality = dict[str, dict[str, float]]


def validate(
    method: Encoder,
    corpus: Corpus,
    items: int,
    rerank: int,
    device: torch.device | str,
    dtype: torch.dtype,
    select_by: str = validation.LAST,
) -> Quality:
    """The metrics of `validation_protocol` by direction, and `select_by` where it is another.

    Looks at the first `items` validation items; every process calls it and gets the same answer.
    Raises CrossRayError for a metric of codes by distance where the method makes none.
    """
    image_search = "image_search" in method.config.capabilities
    represented = scoring.represent_corpus(
        method, corpus, items, device, dtype, texts=not image_search
    )
    scores = None if image_search else scoring.score_represented(method, represented, rerank)
    if rank() != 0:
        shared: Quality = broadcast_object(None)
        return shared
    shared = broadcast_object(_quality(represented, scores, corpus, select_by))
    return shared


def _quality(
    represented: scoring.Represented,
    scores: scoring.ScoreMatrices | None,
    corpus: Corpus,
    select_by: str,
) -> Quality:
    count = sum(len(block["z"]) for block in represented.images)
    images, texts = retrieval_items(corpus, represented.text_rows_C, items=count)
    protocol = validation.validation_protocol(
        select_by, scores is None, images.labels_NC is not None
    )
    if protocol is None:
        return {}
    if scores is None:
        z_ND = scoring.joined_part(represented.images, "z")
        return {"image_to_image": _values(z_ND @ z_ND.T, images, images, protocol)}
    quality: Quality = {
        "image_to_text": _values(scores.image_to_text_NC, images, texts, protocol),
        "text_to_image": _values(
            np.ascontiguousarray(scores.text_to_image_NC.T), texts, images, protocol
        ),
    }
    if of_codes := validation.codes_protocol(select_by):
        for direction, values in _of_codes(represented, images, texts, of_codes):
            quality[direction] |= {
                f"{validation.HAMMING}{name}": value for name, value in values.items()
            }
    return quality


def _of_codes(
    represented: scoring.Represented,
    images: RetrievalItems,
    texts: RetrievalItems,
    protocol: Protocol,
) -> Iterator[tuple[str, dict[str, float]]]:
    """The metrics of the codes by direction."""
    image_NY, text_CY = (
        scoring.packed_codes(represented.images),
        scoring.packed_codes(represented.texts),
    )
    searches = (
        (PackedCodes(image_NY, text_CY), images, texts),
        (PackedCodes(text_CY, image_NY), texts, images),
    )
    for direction, (codes, queries, items) in zip(CROSS_MODAL, searches, strict=True):
        yield direction, _values(codes, queries, items, protocol)


def _values(
    ranked: np.ndarray | PackedCodes,
    queries: RetrievalItems,
    items: RetrievalItems,
    protocol: Protocol,
) -> dict[str, float]:
    return metric_values(
        ranked, queries.keys_N, items.keys_N, queries.labels_NC, items.labels_NC, protocol
    )
