"""SCDA's mask, box and descriptor."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from crossray.core.errors import CrossRayError
from crossray.encoders.image import ImageTower, ImageTowerConfig
from crossray.encoders.scda import (
    above_mean,
    activation_map,
    bounding_box,
    crop_to_object,
    descriptor,
    largest_component,
    object_mask,
)

CONFIG = ImageTowerConfig(name="resnet10t", image_size=64)


def mask_of(*rows: str) -> Tensor:
    """A mask drawn with # and dots."""
    return torch.tensor([[cell == "#" for cell in row] for row in rows])


def components(mask_YX: Tensor) -> list[set[tuple[int, int]]]:
    """Components by flooding, in reading order."""
    left = {(int(y), int(x)) for y, x in mask_YX.nonzero()}
    found = []
    for start in sorted(left):
        if start not in left:
            continue
        flood, edge = set(), [start]
        while edge:
            y, x = edge.pop()
            if (y, x) in left:
                left.remove((y, x))
                flood.add((y, x))
                edge += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        found.append(flood)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_largest_component_is_that_of_flooding(seed: int) -> None:
    """Another component would crop to something else than the object."""
    generator = torch.Generator().manual_seed(seed)
    mask_YX = torch.rand(7, 9, generator=generator) < 0.4
    expected = max(components(mask_YX), key=len)
    assert {(int(y), int(x)) for y, x in largest_component(mask_YX).nonzero()} == expected


def test_corners_do_not_connect_and_the_larger_blob_wins() -> None:
    """Two things that touch at a corner are two things."""
    mask_YX = mask_of("##...", "#....", ".###.", ".##..")
    assert torch.equal(largest_component(mask_YX), mask_of(".....", ".....", ".###.", ".##.."))


def test_the_threshold_is_strict_and_a_constant_map_is_the_whole_image() -> None:
    """A film in which nothing stands out must not be cropped at random."""
    assert not above_mean(torch.full((3, 3), 2.0)).any()
    assert above_mean(torch.tensor([[0.0, 1.0, 2.0]])).tolist() == [[False, False, True]]
    grid_CYX = torch.ones(4, 5, 5)
    assert object_mask(grid_CYX).all()
    assert bounding_box(object_mask(grid_CYX), 60, 40) == (0, 60, 0, 40)
    pixels_BCYX = torch.rand(1, 3, 60, 40)
    torch.testing.assert_close(crop_to_object(pixels_BCYX, grid_CYX[None]), pixels_BCYX)


def test_descriptor_averages_over_the_selected_cells() -> None:
    """Dividing by all cells would make small objects dark; a public version does so."""
    grid_CYX = torch.arange(18.0).view(2, 3, 3)
    mask_YX = mask_of("#..", "#..", "...")
    assert descriptor(grid_CYX, mask_YX).tolist() == [1.5, 10.5, 3.0, 12.0]
    assert activation_map(grid_CYX)[0].tolist() == [9.0, 11.0, 13.0]


@pytest.mark.parametrize(("height", "width"), [(28, 28), (224, 224), (50, 31), (7, 9)])
def test_box_is_that_of_the_enlarged_mask(height: int, width: int) -> None:
    """A box off by a cell cuts the object."""
    generator = torch.Generator().manual_seed(height)
    for _ in range(10):
        mask_YX = torch.rand(7, 7, generator=generator) < 0.1
        mask_YX[2, 3] = True
        large_YX = torch.nn.functional.interpolate(
            mask_YX[None, None].float(), (height, width), mode="nearest"
        )[0, 0].bool()
        rows, columns = large_YX.any(dim=1).nonzero(), large_YX.any(dim=0).nonzero()
        expected = (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
        assert bounding_box(mask_YX, height, width) == expected


def test_crop_shows_the_object() -> None:
    """The second tower would look at another part of the film."""
    pixels_BCYX, grid_BCYX = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 4, 4)
    pixels_BCYX[:, :, 4:12, 8:16] = 1.0
    grid_BCYX[:, :, 1:3, 2:4] = 5.0
    torch.testing.assert_close(crop_to_object(pixels_BCYX, grid_BCYX), torch.ones(1, 1, 16, 16))


def test_a_tower_looks_at_what_its_localiser_finds() -> None:
    """The crop of training must be that of serving: it is part of the tower."""
    torch.manual_seed(0)
    tower = ImageTower(replace(CONFIG, localiser="vgg11")).eval()
    assert tower.localiser is not None
    assert not any(p.requires_grad for p in tower.localiser.parameters())
    pixels_BCYX = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        found_BCYX = tower(pixels_BCYX)
        cropped_BCYX = crop_to_object(pixels_BCYX, tower.localiser(pixels_BCYX))
        tower.localiser = None
        torch.testing.assert_close(found_BCYX, tower(cropped_BCYX))
        assert not torch.allclose(found_BCYX, tower(pixels_BCYX))


def test_a_localiser_that_timm_lacks_is_refused() -> None:
    """A typing error would otherwise crop by noise."""
    with pytest.raises(CrossRayError, match="vgg61"):
        ImageTower(replace(CONFIG, localiser="vgg61"))
