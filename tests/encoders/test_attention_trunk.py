"""ATH's small network as an image tower."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from crossray.encoders.attention_trunk import AttentionTrunk, ResidualBlock, SpatialAttention
from crossray.encoders.image import ImageTower, ImageTowerConfig

HALF = (0.5, 0.5, 0.5)


def test_attention_weighs_cells_by_their_mean_and_maximum() -> None:
    """A weight a channel, or a softmax over the cells, is another network."""
    torch.manual_seed(0)
    attention, x_BCYX = SpatialAttention(), torch.randn(2, 5, 4, 6)
    padded = functional.pad(torch.stack([x_BCYX.mean(1), x_BCYX.amax(1)], dim=1), (1, 1, 1, 1))
    found = attention(x_BCYX)
    for image in range(2):
        for y in range(4):
            for x in range(6):
                window = padded[image, :, y : y + 3, x : x + 3]
                weight = torch.sigmoid((attention.conv.weight[0] * window).sum())
                torch.testing.assert_close(found[image, :, y, x], x_BCYX[image, :, y, x] * weight)


def test_a_block_adds_its_two_paths() -> None:
    """Without the shortcut the last block, of one channel, starves."""
    block, x_BCYX = ResidualBlock(3, 4, 2).eval(), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        block.conv2.weight.zero_()
        expected = functional.relu(block.norm3(block.shortcut(x_BCYX)))
        torch.testing.assert_close(block(x_BCYX), expected)
        assert expected.shape == (2, 4, 4, 4)


@pytest.mark.parametrize(("size", "features"), [(256, 64), (64, 4)])
def test_features_are_the_cells_of_the_last_map(size: int, features: int) -> None:
    """Averaged, as other towers' maps are, they would be one number."""
    config = ImageTowerConfig(name="ath", image_size=size, mean=HALF, std=HALF)
    tower = ImageTower(config).eval()
    assert isinstance(tower.trunk, AttentionTrunk)
    assert (tower.channels, tower.side) == (features, 1)
    assert tower(torch.randn(2, 3, size, size)).shape == (2, features, 1, 1)
    assert all(p.requires_grad for p in tower.parameters())
