"""Telling images from texts in the joint space, and making that impossible (GPLDAN, eq. 10, 11)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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
