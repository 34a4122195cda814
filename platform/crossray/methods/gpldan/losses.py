"""Losses of GPLDAN: the graph pattern, and telling images from texts.

All distances inside a mini-batch agree with those of the inputs ("Graph Pattern Loss Based
Diversified Attention Network for Cross-Modal Retrieval", equations 4 to 9), and a classifier of
modalities is made to fail (equations 10 and 11). Row i of every matrix belongs with row i of every
other; distances are `l_p`, one minus a cosine.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Deviation = Literal["absolute", "squared"]


class PairDistances(NamedTuple):
    """`l_p` between all images and texts (rows: images), among images, and among texts."""

    image_text_BB: Tensor
    image_image_BB: Tensor
    text_text_BB: Tensor


def cosine_distances(x_BC: Tensor) -> Tensor:
    r"""Equation 5 for all pairs of rows: $d_{cos}(a, b) = 1 - a \cdot b / (|a| |b|)$.

    The printed middle expression, $(1 - a \cdot b) / (|a| |b|)$, is a misprint of it.

    Returns:
        `distances_BB` in [0, 2], with a diagonal of zeros.
    """
    unit_BC = functional.normalize(x_BC, dim=-1)
    distances_BB = (1 - unit_BC @ unit_BC.T).clamp(min=0)
    return distances_BB * _others(distances_BB)


def original_distances(image_BC: Tensor, text_BD: Tensor) -> Tensor:
    r"""Equation 6: $d_{ori}(i,j) = \sqrt{d_{cos}(u_i,u_j) d_{cos}(c_i,c_j)}$ over $d_{mean}$.

    $d_{mean}$ is the mean over all $i \neq j$ of the batch. The square root gets 1e-12 inside,
    without which its gradient at zero is infinite.

    Args:
        image_BC: what the method is given of images, u.
        text_BD: what it is given of the texts of the same rows, c.

    Returns:
        `target_BB` >= 0, symmetric, with a diagonal of zeros and a mean of 1 elsewhere.
    """
    product_BB = cosine_distances(image_BC) * cosine_distances(text_BD)
    original_BB = torch.sqrt(product_BB + 1e-12) * _others(product_BB)
    return original_BB / _mean_of_others(original_BB).clamp(min=1e-12)


def paired_distance_loss(image_text_BB: Tensor) -> Tensor:
    r"""Equation 4: $L_{pdl} = \frac1n \sum_i l_p(v_i, t_i)$; a scalar in [0, 2]."""
    return image_text_BB.diagonal().mean()


def unpaired_distances(distances_BB: Tensor, target_BB: Tensor, deviation: Deviation) -> Tensor:
    r"""Equation 6: $l_{unp}(x_i, Y) = \frac1n \sum_{j \neq i} | l_p(x_i, y_j) - d_{ij} |$.

    Printed without the absolute value, under which the target has no gradient and every pair is
    pulled together. `squared` takes the square in its place.

    Returns:
        `loss_B` >= 0.
    """
    off_BB = distances_BB - target_BB
    off_BB = off_BB.abs() if deviation == "absolute" else off_BB.square()
    return (off_BB * _others(off_BB)).sum(dim=1) / len(off_BB)


def unpaired_distance_loss(
    distances: PairDistances, target_BB: Tensor, deviation: Deviation = "absolute"
) -> Tensor:
    r"""Equation 7: $L_{udp} = \frac1n \sum_i [l_{unp}(v_i,T) + l_{unp}(v_i,V) + l_{unp}(t_i,T)]$.

    The sum over a batch is symmetric, so $l_{unp}(t_i, V)$ would count the first term twice.
    Returns a scalar >= 0.
    """
    parts = [unpaired_distances(part_BB, target_BB, deviation) for part_BB in distances]
    return torch.stack(parts).sum(dim=0).mean()


def mutual_distance_loss(distances: PairDistances) -> Tensor:
    r"""Equation 8, $L_{mdp}$: the three distances of a pair of rows are equal.

    $$L_{mdp} = \frac1{n(n-1)} \sum_{i \neq j} |l_p(v_i,t_j) - l_p(v_i,v_j)|
      + |l_p(v_i,t_j) - l_p(t_i,t_j)| + |l_p(v_i,v_j) - l_p(t_i,t_j)|$$

    Returns a scalar >= 0.
    """
    across_BB, images_BB, texts_BB = distances
    off_BB = (
        (across_BB - images_BB).abs() + (across_BB - texts_BB).abs() + (images_BB - texts_BB).abs()
    )
    return _mean_of_others(off_BB)


def graph_pattern_loss(
    distances: PairDistances,
    target_BB: Tensor,
    alpha: float,
    beta: float,
    deviation: Deviation = "absolute",
) -> dict[str, Tensor]:
    r"""Equation 9: $L_{gpl} = L_{pdl} + \alpha L_{udp} + \beta L_{mdp}$, its weighted terms.

    A term of weight 0 is left out.
    """
    terms = {"paired": paired_distance_loss(distances.image_text_BB)}
    if alpha:
        terms["unpaired"] = alpha * unpaired_distance_loss(distances, target_BB, deviation)
    if beta:
        terms["mutual"] = beta * mutual_distance_loss(distances)
    return terms


def _others(matrix_BB: Tensor) -> Tensor:
    """1 where i is not j."""
    return 1 - torch.eye(len(matrix_BB), dtype=matrix_BB.dtype, device=matrix_BB.device)


def _mean_of_others(matrix_BB: Tensor) -> Tensor:
    """The mean over i not j; 0 for a single row."""
    count = len(matrix_BB)
    return (matrix_BB * _others(matrix_BB)).sum() / max(1, count * (count - 1))


def modality_loss(image_logits_B: Tensor, text_logits_B: Tensor) -> Tensor:
    r"""Equation 10: $L_D = CE(D(v_i), image) + CE(D(t_i), text)$, each a mean over the batch.

    With $D(x)$ the sigmoid of a logit, the probability of an image, the printed cross-entropy of a
    one-hot label is binary cross-entropy. Returns a scalar >= 0, in nats; 2 ln 2 for a coin.
    """
    return _cross_entropy(image_logits_B, 1.0) + _cross_entropy(text_logits_B, 0.0)


def deception_loss(image_logits_B: Tensor, text_logits_B: Tensor) -> Tensor:
    r"""Equation 11, the bracket: $CE(D(v_i), text) + CE(D(t_i), image)$, labels exchanged.

    Returns a scalar >= 0, in nats; its weight, lambda, is the caller's.
    """
    return _cross_entropy(image_logits_B, 0.0) + _cross_entropy(text_logits_B, 1.0)


def _cross_entropy(logits_B: Tensor, label: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits_B, torch.full_like(logits_B, label))
