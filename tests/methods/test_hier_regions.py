"""Regions, zones and sentences of HIER."""

from __future__ import annotations

import pytest
import torch

from crossray.methods.hier.regions import (
    ZONES,
    grid_regions,
    region_maps,
    sentence_means,
    zone_structures,
)


def test_grid_regions_are_cell_means() -> None:
    """A region that mixes cells would attend the wrong place."""
    grid = torch.randn(2, 3, 8, 8)
    regions = grid_regions(grid, (2, 4))
    assert regions.shape == (2, 4 + 16, 3)
    torch.testing.assert_close(regions[:, 1], grid[:, :, :4, 4:].mean(dim=(2, 3)))
    torch.testing.assert_close(regions[:, 4 + 5], grid[:, :, 2:4, 2:4].mean(dim=(2, 3)))


@pytest.mark.parametrize("side", [3, 4, 7])
def test_weights_of_regions_land_on_the_cells_that_they_average(side: int) -> None:
    """A word's map would show another place than the one that its mixture of regions comes from."""
    sides = (2, 4)
    grid = torch.randn(2, 3, side, side, dtype=torch.float64)
    weights = torch.rand(2, 5, 4 + 16, dtype=torch.float64)
    maps = region_maps(weights, sides, side)
    mixture = weights @ grid_regions(grid, sides)
    torch.testing.assert_close(torch.einsum("bwyx,bcyx->bwc", maps, grid), mixture)
    torch.testing.assert_close(maps.sum(dim=(2, 3)), weights.sum(dim=2))
    assert (maps >= 0).all()


def test_zones_cover_the_map_once() -> None:
    """Every cell belongs to one zone, and left is on the left of the picture."""
    grid = torch.arange(16.0).view(1, 1, 4, 4)
    zones = dict(zip(ZONES, zone_structures(grid)[0, :, 0].tolist(), strict=True))
    assert zones == {
        "left upper": 0.0,
        "left middle": 6.0,
        "left lower": 12.0,
        "centre": 7.5,
        "right upper": 3.0,
        "right middle": 9.0,
        "right lower": 15.0,
    }


def test_sentence_means_skip_specials_and_padding() -> None:
    """A sentence is the mean of its own tokens."""
    states = torch.randn(2, 5, 3)
    sentence = torch.tensor([[-1, 0, 0, 1, -1], [-1, 0, -1, -1, -1]])
    means, mask = sentence_means(states, sentence)
    torch.testing.assert_close(means[0, 0], states[0, 1:3].mean(dim=0))
    torch.testing.assert_close(means[0, 1], states[0, 3])
    torch.testing.assert_close(means[1, 0], states[1, 1])
    assert mask.tolist() == [[True, True], [True, False]]
