"""Projection heads."""

from __future__ import annotations

import torch
from torch.nn.functional import batch_norm, gelu

from crossray.encoders.heads import PartProjection, projection_head


def test_head_against_its_formula() -> None:
    """A head that normalises or drops its non-linearity changes every dual encoder's space."""
    head = projection_head(6, 10, 4, dropout=0.5)
    first, last = head[0], head[-1]
    features_BD = torch.randn(5, 6)
    expected = gelu(features_BD @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(head.eval()(features_BD), expected)
    assert head.eval()(features_BD).shape == (5, 4)


def test_hidden_layer_is_normalised_on_demand() -> None:
    """Without it the five hardest negatives push all embeddings into one point."""
    head, features_BD = projection_head(6, 10, 4, batch_norm=True), torch.randn(5, 6)
    hidden_BH = batch_norm(features_BD @ head[0].weight.T, None, None, training=True)
    torch.testing.assert_close(head(features_BD), head[-1](gelu(hidden_BH)))


def test_dropout_acts_in_training_only() -> None:
    """Dropout that stays on makes served vectors random; one that is off regularises nothing."""
    head, features_BD = projection_head(6, 64, 4, dropout=0.5), torch.randn(5, 6)
    assert not torch.equal(head.train()(features_BD), head(features_BD))
    assert torch.equal(head.eval()(features_BD), head(features_BD))


def test_parts_are_projected_and_normalised() -> None:
    """Words left out by the mask must not move those that are in."""
    project, parts_BPC = PartProjection(6, 4, dropout=0.5), torch.randn(3, 5, 6)
    mask_BP = torch.rand(3, 5) < 0.7
    project.dropout.eval()
    wanted = batch_norm(parts_BPC[mask_BP] @ project.linear.weight.T, None, None, training=True)
    torch.testing.assert_close(project(parts_BPC, mask_BP)[mask_BP], wanted)
    project.dropout.train()
    assert not torch.equal(project(parts_BPC), project(parts_BPC))
