"""Momentum contrast (MoCo, He et al. 2020) and bootstrapping without negatives (BYOL, Grill 2020).

Keys and targets come from an encoder that follows slowly; no gradient reaches it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def queue_info_nce(
    query_BD: Tensor, key_BD: Tensor, queue_ND: Tensor, temperature: float
) -> Tensor:
    r"""InfoNCE of each query's own key against the keys of a queue (MoCo, eq. 1).

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
