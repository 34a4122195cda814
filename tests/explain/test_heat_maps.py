"""Class activation maps against loops over the printed equations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, Representation
from crossray.encoders.image import given_images
from crossray.encoders.text import given_texts
from crossray.explain.explainer import matched_scores, repeated
from crossray.explain.heat_maps import Cam, grad_cam, heat_maps, hires_cam, upsampled
from crossray.methods.cca import CcaConfig
from crossray.methods.config import MethodConfig
from crossray.methods.contract import Encoder
from support.tiny import STUDENT, TINY, batch_of

MODELS = {name: config for name, config in TINY.items() if "images_only" not in config.capabilities}
MODELS["student"] = STUDENT


def cam_loop(grid: Tensor, gradient: Tensor, cam: Cam) -> Tensor:
    """Equations 1 and 2 cell by cell; HiResCAM weighs a cell by its own gradient."""
    batch, channels, rows, columns = grid.shape
    maps = torch.zeros(batch, rows, columns, dtype=grid.dtype)
    for b in range(batch):
        for y in range(rows):
            for x in range(columns):
                for c in range(channels):
                    weight = gradient[b, c, y, x]
                    if cam == "grad-cam":
                        weight = sum(v for line in gradient[b, c] for v in line) / (rows * columns)
                    maps[b, y, x] += weight * grid[b, c, y, x]
                maps[b, y, x] = max(maps[b, y, x], 0)
    return maps


@pytest.mark.parametrize(("cam", "function"), [("grad-cam", grad_cam), ("hires-cam", hires_cam)])
def test_maps_equal_the_printed_equations(cam: Cam, function: Callable[..., Tensor]) -> None:
    """A heat map that is another sum shows a place that the score does not come from."""
    grid, gradient = torch.randn(2, 2, 3, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(function(grid, gradient), cam_loop(grid, gradient, cam))


def explained(name: str) -> tuple[Encoder, ImageBatch, Callable[[Representation], Tensor]]:
    """A method with three images and the scores that three texts give them."""
    torch.manual_seed(0)
    method, batch = MODELS[name].build().eval(), batch_of(3)
    with torch.no_grad():
        for parameter in method.parameters():  # HIER's gate starts at zero
            parameter += 0.05 * torch.randn_like(parameter)
        texts = method.represent_text(batch.text)
    return method, batch.image, lambda images: matched_scores(method, images, texts, "score")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("level", [None, 1])
def test_gradients_are_those_of_small_changes_of_the_map(name: str, level: int | None) -> None:
    """The map must explain the score that the user was told, whatever the method and the level."""
    method, image, score = explained(name)
    maps_BYX = heat_maps(method, image, score, "hires-cam", level)
    assert maps_BYX.shape[0] == 3
    assert (maps_BYX >= 0).all()
    if level is not None:
        assert maps_BYX.shape[1] > method.image_tower.side
        return
    grid = method.image_grid(image).detach().double()
    method.double()
    with torch.no_grad():
        texts = method.represent_text(batch_of(3).text)

    def score_of(images: Representation) -> Tensor:
        return matched_scores(method, images, texts, "score")

    def at(changed: Tensor) -> Tensor:
        return score_of(method.represent_image(ImageBatch(grid_BCYX=changed)))

    ours = heat_maps(method, ImageBatch(grid_BCYX=grid), score_of, "hires-cam")
    with torch.no_grad():
        for y, x in ((0, 0), (1, 0)):
            step = torch.zeros_like(grid)
            step[:, :, y, x] = 1e-5 * grid[:, :, y, x]
            slope = (at(grid + step) - at(grid - step)) / 2e-5
            torch.testing.assert_close(ours[:, y, x], slope.relu(), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("level", [None, 1])
def test_a_map_does_not_depend_on_the_batch(name: str, level: int | None) -> None:
    """A film must be explained in a table of films as it is alone."""
    method, image, _ = explained(name)
    with torch.no_grad():
        text = method.represent_text(batch_of(1).text)
    pixels = image.pixels_BCYX
    assert pixels is not None

    def score(images: Representation) -> Tensor:
        return matched_scores(method, images, repeated(text, len(images["z"])), "score")

    for cam in ("grad-cam", "hires-cam"):
        whole = heat_maps(method, image, score, cam, level)
        alone = heat_maps(method, ImageBatch(pixels[1:2]), score, cam, level)
        torch.testing.assert_close(alone[0], whole[1], atol=1e-6, rtol=1e-3)


def test_both_maps_agree_for_a_score_of_the_mean_cell() -> None:
    """CLIP pools all cells alike: there is no place of the gradient to keep."""
    method, image, score = explained("clip")
    maps = [heat_maps(method, image, score, cam) for cam in ("grad-cam", "hires-cam")]
    torch.testing.assert_close(*maps)
    assert maps[0].max() > 0


def test_what_has_no_map_is_refused() -> None:
    """Vectors of a feature set have no place, and a level must be one of the tower's."""
    config: MethodConfig = CcaConfig(image=given_images(4), text=given_texts(3), embedding=2)
    score = lambda images: images["z"].sum(dim=1)  # noqa: E731
    with pytest.raises(CrossRayError, match="no towers"):
        heat_maps(config.build().eval(), ImageBatch(grid_BCYX=torch.ones(1, 4, 1, 1)), score,
                  "grad-cam")  # fmt: skip
    method, image, score = explained("clip")
    with pytest.raises(CrossRayError, match="no level 40"):
        heat_maps(method, image, score, "grad-cam", 40)
    with pytest.raises(CrossRayError, match="no map 'x'"):
        heat_maps(method, image, score, "x")  # type: ignore[arg-type]


def test_refined_scores_are_explained() -> None:
    """HIER's second level is part of its score, so of its map."""
    method, image, _ = explained("hier")
    batch = batch_of(3)
    with torch.no_grad():
        images, texts = method.represent_image(image), method.represent_text(batch.text)
        scores = matched_scores(method, images, texts, "score")
        rows = torch.arange(3)
        added = method.refine(images, texts, torch.stack([rows, rows], dim=1))
        plain = method.score(images, texts).text_to_image_BC.diagonal()
    assert added is not None
    torch.testing.assert_close(scores, plain + added.text_to_image_BC)
    cosine = matched_scores(method, images, texts, "cosine")
    torch.testing.assert_close(cosine, (images["z"] @ texts["z"].T).diagonal())


def test_cells_stay_in_their_place() -> None:
    """A shifted map accuses the wrong structure."""
    cells = torch.zeros(1, 4, 4)
    cells[0, 1, 2] = 1
    fine = upsampled(cells, 16)[0]
    weight = fine / fine.sum()
    rows = (weight.sum(dim=1) * (torch.arange(16) + 0.5)).sum() / 4
    columns = (weight.sum(dim=0) * (torch.arange(16) + 0.5)).sum() / 4
    assert (float(rows), float(columns)) == pytest.approx((1.5, 2.5), abs=0.01)
