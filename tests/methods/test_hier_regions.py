"""Regions, zones and sentences of HIER."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional
from torchvision.ops import roi_align

from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch
from crossray.methods.hier import HierConfig
from crossray.methods.hier.regions import (
    ZONES,
    box_regions,
    grid_regions,
    mask_corners,
    mask_regions,
    region_maps,
    sentence_means,
    zone_structures,
)
from support.tiny import TINY, batch_of


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


def test_box_regions_are_means_over_the_box() -> None:
    """A box's region is what the map shows inside of it, cells in part counted in part."""
    grid = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    boxes = torch.rand(2, 5, 4, dtype=torch.float64)
    boxes[..., 2:] = boxes[..., :2] + (1 - boxes[..., :2]) * boxes[..., 2:].clamp(min=0.05)
    boxes[1, 4] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    boxes[0, 4] = torch.tensor([0.9999, 0.5, 0.9999, 0.5])  # without area, in the last column
    found = box_regions(grid, boxes)
    for b in range(2):
        for r in range(5):
            x0, y0, x1, y1 = boxes[b, r].tolist()
            x0, y0 = min(x0, 0.999), min(y0, 0.999)
            x1, y1 = max(x1, x0 + 0.001), max(y1, y0 + 0.001)
            total = torch.zeros(3, dtype=torch.float64)
            area = 0.0
            for i in range(4):
                for j in range(6):
                    wide = min(x1, (j + 1) / 6) - max(x0, j / 6)
                    high = min(y1, (i + 1) / 4) - max(y0, i / 4)
                    if wide > 0 and high > 0:
                        total += wide * high * grid[b, :, i, j]
                        area += wide * high
            torch.testing.assert_close(found[b, r], total / area, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found[1, 4], grid[1].mean(dim=(1, 2)))
    whole_cells = torch.tensor([[[1 / 6, 0.25, 0.5, 0.75]]], dtype=torch.float64).expand(2, 1, 4)
    pixels = whole_cells[:, 0] * torch.tensor([6.0, 4.0, 6.0, 4.0], dtype=torch.float64)
    torchvision = roi_align(grid, list(pixels[:, None]), (2, 2), sampling_ratio=1, aligned=True)
    torch.testing.assert_close(box_regions(grid, whole_cells)[:, 0], torchvision.mean(dim=(2, 3)))


def boxed_hier() -> HierConfig:
    """HIER with boxes, both directions of level 1."""
    assert isinstance(TINY["hier"], HierConfig)
    return replace(TINY["hier"], regions="boxes", both_directions=True)


def test_cells_side_by_side_tell_left_from_right() -> None:
    """A mean over the map is the same for a finding on either side: the wrong film is found."""
    config = replace(TINY["hier"], image_pooling="cells", levels=("global",), gate=False)
    model = config.build().eval()
    grid = torch.randn(2, model.image_tower.channels, 4, 4)
    halves = (slice(0, 2), slice(2, 4))  # the finest grid of the configuration has 2 x 2 cells
    cells = [[grid[:, :, y, x].mean(dim=(2, 3)) for x in halves] for y in halves]
    side_by_side = torch.stack([cell for row in cells for cell in row], dim=2).flatten(1)
    wanted = functional.normalize(model.image_head(side_by_side), dim=-1)
    torch.testing.assert_close(model.encode_image(ImageBatch(grid_BCYX=grid)), wanted)
    mirrored = model.encode_image(ImageBatch(grid_BCYX=grid.flip(3)))
    assert not torch.allclose(mirrored, wanted, atol=1e-3)
    assert config.map_side(8) == 2
    mean = replace(config, image_pooling="mean").build().eval()
    one, other = (mean.encode_image(ImageBatch(grid_BCYX=g)) for g in (grid, grid.flip(3)))
    torch.testing.assert_close(one, other)


def test_boxes_stand_in_for_the_grid() -> None:
    """Padding boxes are nobody's, an image without boxes has the whole picture, all is learnt."""
    model, batch = boxed_hier().build(), batch_of(3)
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.2, 0.3, 0.9, 0.8]]).expand(3, 2, 4)
    mask = torch.tensor([[True, True], [True, False], [False, False]])
    image = replace(batch.image, boxes_BR4=boxes, box_mask_BR=mask)
    sum(model.losses(replace(batch, image=image)).values()).backward()
    assert model.region_position.grad.abs().sum() > 0
    model.eval()
    parts = model.represent_image(image)
    assert parts["region_mask"].tolist() == [[True] * 3, [True, True, False], [True, False, False]]
    texts = model.represent_text(batch.text)
    wanted = model.score(parts, texts).image_to_text_BC
    moved = boxes.clone()
    moved[~mask] = torch.tensor([0.7, 0.7, 1.0, 0.9])
    other = model.represent_image(replace(image, boxes_BR4=moved))
    torch.testing.assert_close(model.score(other, texts).image_to_text_BC, wanted)
    alone = replace(image, boxes_BR4=boxes[:, :0], box_mask_BR=mask[:, :0])
    whole = model.score(model.represent_image(alone), texts).image_to_text_BC
    torch.testing.assert_close(whole[2], wanted[2])
    assert not torch.allclose(whole[0], wanted[0])
    assert boxed_hier().map_side(7) == 7


def test_images_without_boxes_are_refused() -> None:
    """Features have no boxes, and a tensor that is missing deep in a model says nothing."""
    model, batch = boxed_hier().build(), batch_of(2)
    with pytest.raises(CrossRayError, match="these images come without"):
        model.represent_image(batch.image)


def test_mask_regions_are_means_over_the_mask() -> None:
    """A cell counts by the share of it that is covered, and its features by nothing else."""
    grid = torch.randn(2, 3, 4, 8, dtype=torch.float64)
    masks = (torch.rand(2, 5, 16, 16) > 0.7).double()
    masks[0, 1] = 0
    found = mask_regions(grid, masks)
    fine = grid.repeat_interleave(4, dim=2).repeat_interleave(2, dim=3)  # a value a cell of masks
    for b in range(2):
        for r in range(5):
            covered = masks[b, r] > 0
            wanted = fine[b][:, covered].mean(dim=1) if covered.any() else torch.zeros(3).double()
            torch.testing.assert_close(found[b, r], wanted)


def test_corners_are_those_of_the_box_around_a_mask() -> None:
    """They tell a region's place."""
    masks = torch.zeros(1, 2, 8, 8)
    masks[0, 0, 2, 1], masks[0, 0, 5, 6] = 1.0, 0.1
    masks[0, 1] = 1
    wanted = torch.tensor([[[1 / 8, 2 / 8, 7 / 8, 6 / 8], [0, 0, 1, 1]]])
    torch.testing.assert_close(mask_corners(masks), wanted)


@pytest.mark.parametrize("of", ["regions", "structures"])
def test_masks_stand_in_for_the_grid_and_the_zones(of: str) -> None:
    """Padding masks are nobody's, an image without masks has the whole picture, all is learnt."""
    config = replace(TINY["hier"], both_directions=True, **{of: "masks"})
    assert isinstance(config, HierConfig)
    assert "masks" in config.capabilities
    assert config.map_side(7) == 7
    model, batch = config.build(), batch_of(3)
    masks = torch.zeros(3, 2, 8, 8)
    masks[0, 0, :4, :4], masks[0, 1, 2:7, 1:6], masks[1, 0, 5:, 5:] = 1, 1, 1
    image = replace(batch.image, masks_BRYX=masks)
    sum(model.losses(replace(batch, image=image)).values()).backward()
    place = model.region_position if of == "regions" else model.structure_name
    assert place.grad.abs().sum() > 0
    model.eval()
    parts = model.represent_image(image)
    real = parts["region_mask" if of == "regions" else "structure_mask"]
    assert real.tolist() == [[True] * 3, [True, True, False], [True, False, False]]
    texts = model.represent_text(batch.text)
    level = "region_word" if of == "regions" else "structure_sentence"
    wanted = model.level_scores(level, parts, texts)
    fewer = model.represent_image(replace(image, masks_BRYX=masks[:, :1]))
    found = model.level_scores(level, fewer, texts)
    torch.testing.assert_close(found[1:], wanted[1:])
    assert not torch.allclose(found[0], wanted[0])


def test_images_without_masks_are_refused() -> None:
    """Features have no masks."""
    config = replace(TINY["hier"], structures="masks")  # type: ignore[call-arg]
    with pytest.raises(CrossRayError, match="these images come without; features have none"):
        config.build().represent_image(batch_of(2).image)
