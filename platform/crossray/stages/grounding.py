"""Grounded average precision of a model: its ranking and its heat maps, against the boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.data.corpora.corpus import PairCorpus
from crossray.data.schema import iter_pairs
from crossray.data.split import Split
from crossray.evaluation import IOU_THRESHOLDS, grounded_average_precision
from crossray.evaluation.evaluate import DirectionResult, with_metrics
from crossray.evaluation.metrics.arrays import Bools, Floats
from crossray.evaluation.metrics.ranking import Ties
from crossray.explain.attended_boxes import BoxedText, attended_overlaps
from crossray.explain.explainer import Explainer
from crossray.model_evaluation.evaluate_model import ModelResult
from crossray.model_evaluation.example_hits import RankedRow


def with_grounding(
    found: ModelResult,
    corpus: PairCorpus,
    model: Artifact,
    pairs: Artifact,
    split: Split,
    seed: int,
) -> ModelResult:
    """The results with `grounded_mAP@T` of the overlaps T of `IOU_THRESHOLDS`, both directions.

    Relevant is the paired item. It counts where the heat map of the image with its text, the only
    one that is made of a text, attends a box of the image. Chance keeps the heat maps and orders
    the items at random. Raises CrossRayError for a split without a box that the model sees.
    """
    boxes = {
        row["item_id"]: row["boxes"]
        for table in iter_pairs(pairs, ("item_id", "boxes"), split)
        for row in table.to_pylist()
    }

    def cases() -> Iterator[BoxedText]:
        for row, item in enumerate(corpus.item_ids):
            for number in range(corpus.text_count(row)):
                yield BoxedText(corpus.picture(row), corpus.text(row, number), boxes[item])

    if not any(boxes.values()):
        raise CrossRayError(
            f"the {split} split of {pairs.uri} has no boxes to ground by; give pairs with boxes, "
            "such as the phantom's, or leave grounded out."
        )
    iou_C = np.array(list(attended_overlaps(Explainer(model), cases())))
    rows_C = np.repeat(
        np.arange(len(corpus)), [corpus.text_count(row) for row in range(len(corpus))]
    )
    own_NC = np.arange(len(corpus))[:, None] == rows_C
    iou_NC = np.where(own_NC, iou_C, np.nan)
    to_text, to_image = found.results
    ranked = found.ranked
    grounded = (
        _grounded(to_text, own_NC, iou_NC, ranked["image_to_text"], seed),
        _grounded(to_image, own_NC.T, iou_NC.T, ranked["text_to_image"], seed),
    )
    return replace(found, results=grounded)


def _grounded(
    result: DirectionResult, relevant_QN: Bools, iou_QN: Floats, ranked: RankedRow, seed: int
) -> DirectionResult:
    scores_QN = np.stack([ranked(query) for query in range(len(relevant_QN))])

    def values(scores_QN: NDArray[np.float32], ties: Ties) -> dict[str, Floats]:
        return {
            f"grounded_mAP@{threshold}": grounded_average_precision(
                scores_QN, relevant_QN, iou_QN, threshold, ties
            )
            for threshold in IOU_THRESHOLDS
        }

    chance = values(np.zeros_like(scores_QN), "expected")
    return with_metrics(result, values(scores_QN, "stable"), chance, seed)
