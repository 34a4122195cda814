"""What pretext tasks put on top of a tower, and what is thrown away after stage 1."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class InpaintingDecoder(nn.Module):
    """A feature map to pixels: two convolutions and a rearrangement of channels into pixels.

    The last step is sub-pixel convolution (Shi et al. 2016, section 3.2); where the map's side does
    not divide the image's, the picture is resized.
    """

    def __init__(self, channels: int, width: int, side: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        factor = -(-image_size // side)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=1),
            nn.GELU(),
            nn.Conv2d(width, 3 * factor * factor, kernel_size=3, padding=1),
            nn.PixelShuffle(factor),
        )

    def forward(self, grid_BCYX: Tensor) -> Tensor:
        """`pixels_BCYX`, normalised as the input of the tower is."""
        pixels_BCYX: Tensor = self.layers(grid_BCYX)
        if pixels_BCYX.shape[-1] == self.image_size:
            return pixels_BCYX
        return functional.interpolate(pixels_BCYX, (self.image_size, self.image_size), mode="area")


def token_head(width: int, vocab_size: int) -> nn.Sequential:
    """States of masked tokens to logits over the vocabulary (BERT's head, its table not shared)."""
    return nn.Sequential(
        nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, vocab_size)
    )
