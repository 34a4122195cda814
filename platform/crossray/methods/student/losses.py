"""What makes real outputs good binary codes."""

from __future__ import annotations

from torch import Tensor


def quantisation_loss(outputs_BK: Tensor) -> Tensor:
    r"""How far the outputs are from -1 and +1.

    $$\frac1{BK} \sum_{b,k} (|h_{bk}| - 1)^2$$

    Zhu et al. 2016 (Deep Hashing Network), eq. 6, squared. Returns a scalar in [0, 1] for outputs
    in [-1, 1].
    """
    return (outputs_BK.abs() - 1).square().mean()


def bit_balance_loss(outputs_BK: Tensor) -> Tensor:
    r"""How far each bit is from being +1 for half of the items.

    $$\frac1K \sum_k \Big( \frac1B \sum_b h_{bk} \Big)^2$$

    Weiss et al. 2009 (Spectral Hashing), the balance constraint of eq. 3. Returns a scalar >= 0.
    """
    return outputs_BK.mean(dim=0).square().mean()
