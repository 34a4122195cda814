"""Reconstruction of hidden pixels (Pathak et al. 2016, eq. 1, with the absolute difference)."""

from __future__ import annotations

from torch import Tensor


def inpainting_losses(pixels_BCYX: Tensor, painted_BCYX: Tensor, hidden_BYX: Tensor) -> Tensor:
    r"""Mean absolute difference of each image's hidden pixels; visible ones do not count.

    $$L_{inp} = \frac{\lVert M \odot (x - g(f((1 - M) \odot x))) \rVert_1}{\max(1, |M|)}$$

    with `|M|` the hidden values, of all channels.

    Args:
        pixels_BCYX: the images as they are.
        painted_BCYX: what the decoder made of their visible pixels.
        hidden_BYX: bool, True at hidden pixels.

    Returns:
        `losses_B`, >= 0, in units of a pixel; 0 for an image with nothing hidden.
    """
    hidden_B1YX = hidden_BYX[:, None].to(pixels_BCYX.dtype)
    difference_B = ((pixels_BCYX - painted_BCYX).abs() * hidden_B1YX).sum(dim=(1, 2, 3))
    count_B = hidden_B1YX.sum(dim=(1, 2, 3)) * pixels_BCYX.shape[1]
    return difference_B / count_B.clamp(min=1)
