"""Margin ranking against the hardest negatives of the batch (VSE++, Faghri et al. 2018, eq. 6)."""

import torch
from torch import Tensor


def top_negatives(scores_QC: Tensor, same_QC: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The scores of each query's `count` highest-scoring negatives, and which of them are real.

    Args:
        scores_QC: scores, larger is better.
        same_QC: bool, True where the candidate shows the query's study (never a negative).
        count: at most this many a query; fewer when the batch has fewer negatives.

    Returns:
        `negatives_QM` with M = min(count, C), and `real_QM`, False where a query has fewer than M.
    """
    masked = scores_QC.masked_fill(same_QC, float("-inf"))
    negatives_QM = masked.topk(min(count, scores_QC.shape[1]), dim=1).values
    real_QM = torch.isfinite(negatives_QM)
    return negatives_QM.masked_fill(~real_QM, 0.0), real_QM


def ranking_loss(scores_QC: Tensor, same_QC: Tensor, margin: float, count: int) -> Tensor:
    r"""One direction of the margin ranking loss over the `count` hardest negatives.

    $$L = \frac1Q \sum_q \frac1{|N_q|} \sum_{n \in N_q} [m - s_{qq} + s_{qn}]_+$$

    `N_q` holds the query's `count` hardest negatives; a query without negatives adds 0.
    Candidate q belongs to query q. Returns a scalar >= 0.
    """
    negatives_QM, real_QM = top_negatives(scores_QC, same_QC, count)
    violation_QM = (margin - scores_QC.diagonal()[:, None] + negatives_QM).clamp(min=0) * real_QM
    return (violation_QM.sum(dim=1) / real_QM.sum(dim=1).clamp(min=1)).mean()


def bidirectional_ranking_loss(
    image_to_text_BB: Tensor, text_to_image_BB: Tensor, same_BB: Tensor, margin: float, count: int
) -> Tensor:
    """`ranking_loss` of both directions, summed.

    Args:
        image_to_text_BB: scores of image queries (rows) against texts (columns).
        text_to_image_BB: scores of text queries (rows) against images (columns).
        same_BB: bool, symmetric, True where row and column show the same study.
        margin: m of the formula, in units of the score.
        count: hardest negatives a query.
    """
    return ranking_loss(image_to_text_BB, same_BB, margin, count) + ranking_loss(
        text_to_image_BB, same_BB, margin, count
    )
