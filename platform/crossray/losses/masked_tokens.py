"""Prediction of masked tokens and of the order of two segments."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


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
