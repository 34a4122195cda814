"""Heat maps: where in an image a score comes from, by its gradient or by occlusion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, Representation
from crossray.encoders.weights import NO_TOWER
from crossray.explain.occlusion import occlusion_maps
from crossray.methods.contract import Encoder

Cam = Literal["grad-cam", "hires-cam", "occlusion"]


def grad_cam(grid_BCYX: Tensor, gradient_BCYX: Tensor) -> Tensor:
    r"""`maps_BYX`, Grad-CAM (Selvaraju et al. 2017, equations 1 and 2).

    $$\alpha_c = \frac1{YX} \sum_{yx} \frac{\partial s}{\partial A^c_{yx}}, \qquad
      L = \mathrm{ReLU}\Big(\sum_c \alpha_c A^c\Big)$$

    Args:
        grid_BCYX: the feature map A.
        gradient_BCYX: of the score s with respect to it.
    """
    weight_BC = gradient_BCYX.mean(dim=(2, 3))
    return torch.einsum("bc,bcyx->byx", weight_BC, grid_BCYX).relu()


def hires_cam(grid_BCYX: Tensor, gradient_BCYX: Tensor) -> Tensor:
    r"""`maps_BYX`, HiResCAM (Draelos and Carin 2020) under Grad-CAM's ReLU.

    $$L = \mathrm{ReLU}\Big(\sum_c \frac{\partial s}{\partial A^c} \odot A^c\Big)$$

    Unlike Grad-CAM it keeps the place of the gradient, which matters where a score looks at some
    cells more than at others. The two agree for a score of the mean over the cells.
    """
    return (gradient_BCYX * grid_BCYX).sum(dim=1).relu()


_CAMS = {"grad-cam": grad_cam, "hires-cam": hires_cam}


def heat_maps(
    method: Encoder,
    image: ImageBatch,
    score: Callable[[Representation], Tensor],
    cam: Cam,
    level: int | None = None,
    background_CYX: Tensor | None = None,
) -> Tensor:
    """`maps_BYX`: where in each image its score comes from, at least 0, in the score's units.

    Args:
        method: in evaluation mode, so that no image depends on another.
        image: pixels.
        score: `scores_B` of what the method makes of the images, with gradient.
        cam: the kind of map.
        level: of the image tower, see `ImageTower.traced`; None for the tower's last map.
        background_CYX: of occlusion, see `occlusion_maps`.

    Raises:
        CrossRayError: the tower has no such level, or the model no tower; a level for occlusion,
            which reads none.
    """
    if cam not in get_args(Cam):
        raise CrossRayError(f"there is no map {cam!r}; choose one of {', '.join(get_args(Cam))}.")
    if method.image_tower.trunk is None:
        raise CrossRayError(NO_TOWER)
    if cam == "occlusion":
        if level is not None:
            raise CrossRayError(
                f"occlusion changes the picture itself and reads no level {level} of the tower; "
                "leave the level out, or choose another map."
            )
        assert image.pixels_BCYX is not None
        return occlusion_maps(method, image.pixels_BCYX, score, background_CYX)
    if level is None:
        with torch.no_grad():
            grid_BCYX = method.image_grid(image)
        features = grid_BCYX = grid_BCYX.detach().requires_grad_()
    else:
        assert image.pixels_BCYX is not None
        traced = method.image_tower.traced(image.pixels_BCYX, level)
        grid_BCYX, features = traced.grid_BCYX, traced.level
    with torch.enable_grad():
        scores_B = score(method.represent_image(ImageBatch(grid_BCYX=grid_BCYX)))
        (gradient,) = torch.autograd.grad(scores_B.sum(), features)
    if level is None:
        return _CAMS[cam](features.detach(), gradient)
    as_grid = method.image_tower.as_grid
    return _CAMS[cam](as_grid(features.detach()), as_grid(gradient))


def upsampled(maps_BYX: Tensor, side: int) -> Tensor:
    """`maps_BYX` of `side` rows and columns, bilinear, cells kept in their place."""
    size = [side, side]
    larger_B1YX = torch.nn.functional.interpolate(maps_BYX[:, None], size, mode="bilinear")
    return larger_B1YX[:, 0]
