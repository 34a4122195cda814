"""Maps of what a score loses when places are hidden, against a loop over pixels."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, Representation
from crossray.explain.heat_maps import heat_maps
from crossray.explain.occlusion import SQUARES, blurred, occlusion_maps
from support.tiny import TINY, batch_of


def pixels_as_model() -> Any:
    """A method that represents an image by its pixels."""
    return SimpleNamespace(represent_image=lambda images: {"z": images.pixels_BCYX})


def by_loop(pixels: Tensor, behind: Tensor, score: Callable[[Tensor], Tensor]) -> Tensor:
    """Square by square and pixel by pixel."""
    batch, _, side, _ = pixels.shape
    square = side // SQUARES
    starts = sorted({*range(0, side - square + 1, square // 2), side - square})
    total, count = torch.zeros(batch, side, side), torch.zeros(side, side)
    for top in starts:
        for left in starts:
            changed = pixels.clone()
            for y in range(top, top + square):
                for x in range(left, left + square):
                    changed[:, :, y, x] = behind[:, :, y, x]
                    count[y, x] += 1
            lost = score(pixels) - score(changed)
            total[:, top : top + square, left : left + square] += lost[:, None, None]
    return (total / count).clamp(min=0)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("side", [28, 31])
def test_maps_equal_a_loop(side: int, given: bool) -> None:
    """A place that is looked at more often than another must not look more important."""
    pixels = torch.randn(2, 3, side, side)
    weight = torch.randn(3, side, side)
    score = lambda images: (images["z"] * weight).sum(dim=(1, 2, 3))  # noqa: E731
    background = torch.randn(3, side, side) if given else None
    behind = blurred(pixels, side // SQUARES - 1) if background is None else background[None]
    found = occlusion_maps(pixels_as_model(), pixels, score, background)
    expected = by_loop(pixels, behind, lambda images: (images * weight).sum(dim=(1, 2, 3)))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_blur_is_a_mean_of_the_neighbourhood() -> None:
    """An edge of its own would be what the score loses, or gains."""
    image = torch.randn(1, 1, 9, 9)
    soft = blurred(image, 2)
    torch.testing.assert_close(soft[0, 0, 4, 4], image[0, 0, 2:7, 2:7].mean())
    torch.testing.assert_close(blurred(torch.ones(1, 1, 9, 9), 2), torch.ones(1, 1, 9, 9))


def test_a_score_of_one_place_is_found_there() -> None:
    """That is all a heat map is for."""
    pixels = torch.zeros(1, 3, 56, 56)
    pixels[:, :, 40, 12] = 1.0
    seen = lambda images: images["z"][:, 0, 40, 12]  # noqa: E731
    heat = occlusion_maps(pixels_as_model(), pixels, seen)[0]
    assert heat[40, 12] == heat.max() > 0
    heat[33:48, 5:20] = 0
    assert not heat.any()


def test_a_shadow_is_found_by_what_lies_behind_it() -> None:
    """A blur of a wide and even shadow is the same shadow, and loses only what its edges lose."""
    pixels = torch.zeros(1, 3, 56, 56)
    pixels[:, :, 12:52, 12:52] = 1.0
    mean = lambda images: images["z"].mean(dim=(1, 2, 3))  # noqa: E731
    model, middle = pixels_as_model(), (slice(28, 36), slice(28, 36))
    blurred_YX = occlusion_maps(model, pixels, mean)[0]
    replaced_YX = occlusion_maps(model, pixels, mean, torch.zeros(3, 56, 56))[0]
    assert blurred_YX[middle].max() < 1e-6 < replaced_YX[middle].min()
    assert replaced_YX[:8].max() == 0


def test_every_method_is_explained_by_occlusion() -> None:
    """And it reads no level, which would be ignored without a word."""
    method, batch = TINY["hier"].build().eval(), batch_of(2)

    def score(images: Representation) -> Tensor:
        return images["z"][:, 0]

    maps_BYX = heat_maps(method, batch.image, score, "occlusion")
    side = method.config.image.image_size
    assert maps_BYX.shape == (2, side, side)
    assert isinstance(batch.image, ImageBatch)
    with pytest.raises(CrossRayError, match="reads no level 1"):
        heat_maps(method, batch.image, score, "occlusion", 1)
