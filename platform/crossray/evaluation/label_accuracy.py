"""Acc-K of predicted labels: is one of the K most probable labels right?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.evaluate import DirectionResult, with_metrics
from crossray.evaluation.metrics.arrays import Floats, as_bools
from crossray.evaluation.metrics.ranking import Ties
from crossray.evaluation.metrics.recall_at_k import recall_at_k
from crossray.evaluation.significance.bootstrap import RESAMPLES

CUTOFFS = (1, 5)


def label_accuracy(
    probabilities_NC: ArrayLike, labels_NC: ArrayLike, k: int, ties: Ties = "stable"
) -> Floats:
    r"""Acc-K; one value an image.

    $$Acc_K(i) = \Big[\sum_{r \le K} y_{i, c_r} \ge 1\Big]$$

    $c_1, c_2, \dots$ are the labels by falling probability. It is `recall_at_k` of labels; an image
    without labels is NaN. Both arguments are [N, C], the labels boolean; returns float64 [N].
    Raises CrossRayError as `recall_at_k` does.
    """
    labelled_NC = as_bools("the images' labels", labels_NC)
    hits_N = recall_at_k(probabilities_NC, labelled_NC, k, ties)
    return np.where(labelled_NC.any(axis=1), hits_N, np.nan)


def with_label_accuracy(
    result: DirectionResult,
    probabilities_NC: ArrayLike,
    labels_NC: ArrayLike,
    seed: int = 0,
    cutoffs: Sequence[int] = CUTOFFS,
    resamples: int = RESAMPLES,
) -> DirectionResult:
    """The result of image queries, with `Acc-K` of what a model predicts for each of them.

    Cut-offs above the number of labels are left out, and so is everything where no image has a
    label. Chance is a random order of the labels.
    """
    labelled_NC = as_bools("the images' labels", labels_NC)
    if not labelled_NC.any():
        return result
    kept = [k for k in cutoffs if k <= labelled_NC.shape[1]]
    values = {f"Acc-{k}": label_accuracy(probabilities_NC, labelled_NC, k) for k in kept}
    even_NC = np.zeros(labelled_NC.shape)
    chance = {f"Acc-{k}": label_accuracy(even_NC, labelled_NC, k, "expected") for k in kept}
    return with_metrics(result, values, chance, seed, resamples)
