"""Retrieval quality on the validation split while training."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from crossray.core.distributed import broadcast_object, rank
from crossray.data.corpora.corpus import Corpus
from crossray.evaluation import average_precision, mean_over_queries, recall_at_k
from crossray.evaluation.metrics.leave_one_out import own_columns, without_own
from crossray.evaluation.metrics.relevance import pair, share_label
from crossray.methods.contract import Encoder
from crossray.model_evaluation.scoring import represent_corpus, score_corpus

Quality = dict[str, dict[str, float]]


def validate(
    method: Encoder,
    corpus: Corpus,
    items: int,
    rerank: int,
    device: torch.device | str,
    dtype: torch.dtype,
) -> Quality:
    """`R@10` (own study) and, where there are labels, `mAP@all` and `mAP@50[found]`, both ways.

    Methods for image search are asked by images for images: `mAP@10[found]` by labels in common.
    Looks at the first `items` validation items; every process calls it and gets the same answer.
    """
    if "image_search" in method.config.capabilities:
        return _image_search(method, corpus, items, device, dtype)
    scores = score_corpus(method, corpus, rerank, items, device, dtype)
    if rank() != 0:
        shared: Quality = broadcast_object(None)
        return shared
    count = len(scores.image_to_text_NC)
    keys_N = corpus.keys_N[:count].numpy()
    labels_NC = label_matrix(corpus.labels[:count])
    rows = scores.text_rows_C
    own_NC = pair(keys_N, keys_N[rows])
    labelled_NC = share_label(labels_NC, labels_NC[rows]) if labels_NC.any() else None
    quality = {}
    for name, matrix, turn in (
        ("image_to_text", scores.image_to_text_NC, lambda x: x),
        ("text_to_image", scores.text_to_image_NC, np.transpose),
    ):
        scores_QN = np.ascontiguousarray(turn(matrix))
        own = recall_at_k(scores_QN, np.ascontiguousarray(turn(own_NC)), 10)
        quality[name] = {"R@10": mean_over_queries(own, empty="skip")}
        if labelled_NC is not None:
            relevant_QN = np.ascontiguousarray(turn(labelled_NC))
            for metric, precision in (
                ("mAP@all", average_precision(scores_QN, relevant_QN)),
                ("mAP@50[found]", average_precision(scores_QN, relevant_QN, 50, "found")),
            ):
                quality[name][metric] = mean_over_queries(precision, empty="skip")
    shared = broadcast_object(quality)
    return shared


def _image_search(
    method: Encoder, corpus: Corpus, items: int, device: torch.device | str, dtype: torch.dtype
) -> Quality:
    """Of images that ask for images by cosine, each taken out of the database while it asks."""
    represented = represent_corpus(method, corpus, items, device, dtype, texts=False)
    if rank() != 0:
        shared: Quality = broadcast_object(None)
        return shared
    z_ND = torch.cat([block["z"].float().cpu() for block in represented.images]).numpy()
    labels_NC = label_matrix(corpus.labels[: len(z_ND)])
    quality: Quality = {}
    if labels_NC.any():
        own_N = own_columns(slice(0, len(z_ND)))
        precision_N = average_precision(
            without_own(z_ND @ z_ND.T, own_N),
            without_own(share_label(labels_NC, labels_NC), own_N),
            cutoff=10,
            denominator="found",
        )
        found = mean_over_queries(precision_N, empty="skip")
        quality = {"image_to_image": {"mAP@10[found]": found}}
    shared = broadcast_object(quality)
    return shared


def label_matrix(labels: list[list[str]], vocabulary: list[str] | None = None) -> NDArray[np.bool_]:
    """`labels_NC`: bool over `vocabulary`, by default the sorted labels that occur."""
    names = sorted({label for row in labels for label in row}) if vocabulary is None else vocabulary
    column = {name: number for number, name in enumerate(names)}
    matrix = np.zeros((len(labels), len(names)), dtype=bool)
    for row, own in enumerate(labels):
        matrix[row, [column[label] for label in own]] = True
    return matrix
