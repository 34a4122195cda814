"""Losses of HIER: pretext tasks of stage 1, and the learned weights of stage 2.

Momentum contrast (MoCo, He et al. 2020) and bootstrapping without negatives (BYOL, Grill et al.
2020), whose keys and targets come from an encoder that follows slowly and takes no gradient;
reconstruction of hidden pixels (Pathak et al. 2016, eq. 1, with the absolute difference); rotation
prediction (Gidaris et al. 2018, eq. 3); masked tokens and the order of two segments; weights of
several losses that stay positive (Kendall et al. 2018, eq. 10).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def queue_info_nce(
    query_BD: Tensor, key_BD: Tensor, queue_ND: Tensor, temperature: float
) -> Tensor:
    r"""InfoNCE of each query's key against the keys of a queue (MoCo, eq. 1).

    $$L_{nce} = -\frac1B \sum_b \log \frac{e^{q_b k_b / t}}
    {e^{q_b k_b / t} + \sum_{k^-} e^{q_b k^- / t}}$$

    Args:
        query_BD: unit length.
        key_BD: the keys of the same images, unit length.
        queue_ND: the negatives, unit length.
        temperature: t of the formula.

    Returns:
        A scalar >= 0, in nats.
    """
    own_B1 = (query_BD * key_BD.detach()).sum(dim=1, keepdim=True)
    logits_BN = torch.cat([own_B1, query_BD @ queue_ND.detach().T], dim=1) / temperature
    target_B = torch.zeros(len(logits_BN), dtype=torch.long, device=logits_BN.device)
    return functional.cross_entropy(logits_BN, target_B)


def enqueued(queue_ND: Tensor, key_BD: Tensor) -> Tensor:
    """The queue with new keys behind it and as many of the oldest gone: first in, first out."""
    return torch.cat([queue_ND, key_BD.detach()])[-len(queue_ND) :]


def byol_loss(predicted_BD: Tensor, target_BD: Tensor) -> Tensor:
    r"""One direction of BYOL (eq. 2).

    $$L_{byol} = 2 - 2 \cos\big(p_\theta(z_\theta(v_1)), \mathrm{sg}(z_\xi(v_2))\big)$$

    averaged over the batch: from 0 for equal directions to 4 for opposite ones.
    """
    cosine_B = functional.cosine_similarity(predicted_BD, target_BD.detach(), dim=1, eps=1e-12)
    return (2 - 2 * cosine_B).mean()


def rising_momentum(first: float, progress: float) -> float:
    r"""The momentum of BYOL's target after a share `progress` of training.

    Grill et al. 2020, section 3.3.

    $$\mu = 1 - (1 - \mu_0) \frac{\cos(\pi k / K) + 1}{2}$$
    """
    return 1 - (1 - first) * (math.cos(math.pi * progress) + 1) / 2


def inpainting_losses(pixels_BCYX: Tensor, painted_BCYX: Tensor, hidden_BYX: Tensor) -> Tensor:
    r"""Mean absolute difference of each image's hidden pixels; visible ones do not count.

    $$L_{inp} = \frac{\lVert M \odot (x - g(f((1 - M) \odot x))) \rVert_1}{\max(1, |M|)}$$

    with `|M|` the hidden values, of all channels.

    Args:
        pixels_BCYX: the images as they are.
        painted_BCYX: what the decoder made of their visible pixels.
        hidden_BYX: bool, True at hidden pixels.

    Returns:
        `losses_B`, >= 0, in units of a pixel; 0 for an image with nothing hidden.
    """
    hidden_B1YX = hidden_BYX[:, None].to(pixels_BCYX.dtype)
    difference_B = ((pixels_BCYX - painted_BCYX).abs() * hidden_B1YX).sum(dim=(1, 2, 3))
    count_B = hidden_B1YX.sum(dim=(1, 2, 3)) * pixels_BCYX.shape[1]
    return difference_B / count_B.clamp(min=1)


def masked_token_losses(logits_MV: Tensor, target_M: Tensor) -> Tensor:
    r"""Cross-entropy of each of M masked tokens (Devlin et al. 2019, section 3.1).

    $$\ell_m = \mathrm{CE}\big(h_{mlm}(s_m), w_m\big)$$

    Args:
        logits_MV: over the vocabulary.
        target_M: long, the tokens that stood there.

    Returns:
        `losses_M`, >= 0, in nats; their mean is `L_mlm`.
    """
    return functional.cross_entropy(logits_MV, target_M, reduction="none")


def sentence_order_losses(logit_B: Tensor, ordered_B: Tensor) -> Tensor:
    r"""Binary cross-entropy of "in their order" for the segments of B texts (Lan et al. 2020).

    $$\ell_b = \mathrm{BCE}\big(h_{sop}(\mathrm{CLS}_b), [\text{in order}]\big)$$

    Args:
        logit_B: positive where the segments are thought to be in their order.
        ordered_B: long, 1 in order, 0 swapped, -1 without an order: such texts add 0.

    Returns:
        `losses_B`, >= 0, in nats; their sum over the number of texts with an order is `L_sop`.
    """
    losses_B = functional.binary_cross_entropy_with_logits(
        logit_B, ordered_B.clamp(min=0).to(logit_B.dtype), reduction="none"
    )
    return losses_B * (ordered_B >= 0)


def rotation_loss(logits_B4: Tensor, turns_B: Tensor) -> Tensor:
    r"""Cross-entropy of the quarter turns by which each image was turned.

    $$L_{rot} = \frac1B \sum_b \mathrm{CE}\big(h_{rot}(f(R_{r_b} x_b)), r_b\big)$$

    Args:
        logits_B4: of 0, 1, 2 and 3 quarter turns.
        turns_B: long, the turns that were made.

    Returns:
        A scalar >= 0, in nats.
    """
    return functional.cross_entropy(logits_B4, turns_B)


def log_variances(weights: Sequence[float]) -> Tensor:
    """The parameters `s_i = -ln(weight_i)` whose weights `exp(-s_i)` start at `weights`."""
    return torch.tensor([-math.log(weight) for weight in weights])


def uncertainty_weighted(loss: Tensor, log_variance: Tensor) -> Tensor:
    """`exp(-s) L + s`, minimal in s at `s = ln L`: the weight stays positive and finite.

    Minimising `sum_i w_i L_i` over free weights would drive them to minus infinity (or, with a
    softmax, onto the smallest loss); the added `s` prevents it.
    """
    return torch.exp(-log_variance) * loss + log_variance
