"""Projection heads."""

from __future__ import annotations

import torch
from torch.nn.functional import gelu

from crossray.encoders.heads import projection_head


def test_head_against_its_formula() -> None:
    """A head that normalises or drops its non-linearity changes every dual encoder's space."""
    head = projection_head(6, 10, 4, dropout=0.5)
    first, last = head[0], head[-1]
    features_BD = torch.randn(5, 6)
    expected = gelu(features_BD @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(head.eval()(features_BD), expected)
    assert head.eval()(features_BD).shape == (5, 4)


def test_dropout_acts_in_training_only() -> None:
    """Dropout that stays on makes served vectors random; one that is off regularises nothing."""
    head, features_BD = projection_head(6, 64, 4, dropout=0.5), torch.randn(5, 6)
    assert not torch.equal(head.train()(features_BD), head(features_BD))
    assert torch.equal(head.eval()(features_BD), head(features_BD))
