"""The learned level weights of HIER."""

from __future__ import annotations

import math

import pytest
import torch

from crossray.methods.hier.losses import log_variances, uncertainty_weighted


def test_initial_weights() -> None:
    """The paper starts from 0.4, 0.3, 0.3."""
    weights = torch.exp(-log_variances((0.4, 0.3, 0.3)))
    torch.testing.assert_close(weights, torch.tensor([0.4, 0.3, 0.3]), atol=1e-7, rtol=0)


def test_weights_stay_positive_under_a_large_learning_rate() -> None:
    """A weight that collapses switches a level off for good."""
    s = log_variances((0.4, 0.3, 0.3)).requires_grad_()
    optimiser = torch.optim.SGD([s], lr=1.0)
    losses = torch.tensor([5.0, 0.5, 0.01])
    for _ in range(100):
        optimiser.zero_grad()
        uncertainty_weighted(losses, s).sum().backward()
        optimiser.step()
    assert (torch.exp(-s) > 0).all()
    assert torch.isfinite(s).all()


@pytest.mark.parametrize("loss", [0.05, 0.4, 3.0])
def test_stationary_point_is_the_logarithm_of_the_loss(loss: float) -> None:
    """Anywhere else the weights would drift although the losses stand still."""
    s = torch.tensor(math.log(loss), dtype=torch.float64, requires_grad=True)
    uncertainty_weighted(torch.tensor(loss, dtype=torch.float64), s).backward()
    assert s.grad.item() == pytest.approx(0.0, abs=1e-12)
