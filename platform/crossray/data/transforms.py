"""From an encoded image to the tensor that a tower reads.

torchvision is imported where it is used: it loads torch's compiler, which takes seconds, and many
processes only read the configuration.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from crossray.core.config import Config
from crossray.core.errors import CrossRayError

Channels = tuple[float, float, float]
Fit = Literal["crop", "squash"]

MAX_PIXELS = 100_000_000
_MARGIN = 8  # of the shorter side: what is kept of the longer one before it is resized
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
# Pillow's modes of one wide channel; its "I" is what a 16-bit PNG or TIFF may be widened to.
_WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")


@dataclass(frozen=True)
class AugmentConfig(Config):
    """Mild augmentation, each draw uniform in its range.

    Attributes:
        min_scale: the crop's smallest share of the area that evaluation sees, in (0, 1].
        aspect: the crop's aspect ratio is stretched by at most this factor, 1 or more.
        rotation: degrees to either side, 0 to 180.
        brightness: the factor lies in 1 +- this, in [0, 1).
        contrast: the factor lies in 1 +- this, in [0, 1).
        flip: probability of a mirror image; 0 because left and right carry medical meaning.
        sentences: the smallest share of a text's sentences that is shown, in [0, 1], one sentence
            at least, drawn again every epoch; 1 for all. Pairs only: features have complete texts.
    """

    min_scale: float = 0.8
    aspect: float = 1.1
    rotation: float = 5.0
    brightness: float = 0.1
    contrast: float = 0.1
    flip: float = 0.0
    sentences: float = 1.0

    def __post_init__(self) -> None:
        allowed = {
            "min_scale": 0 < self.min_scale <= 1,
            "aspect": self.aspect >= 1,
            "rotation": 0 <= self.rotation <= 180,
            "brightness": 0 <= self.brightness < 1,
            "contrast": 0 <= self.contrast < 1,
            "flip": 0 <= self.flip <= 1,
            "sentences": 0 <= self.sentences <= 1,
        }
        for name, good in allowed.items():
            if not good:
                raise CrossRayError(
                    f"the augmentation's {name} is {getattr(self, name)}, out of its range; "
                    "see AugmentConfig for what is allowed."
                )


def decode_image(data: bytes) -> Tensor:
    """An encoded image as uint8 RGB, shape CYX.

    The EXIF orientation is applied, grey is repeated over the channels, 16 bits are scaled to 8,
    and what is transparent becomes white. Raises `CrossRayError` for anything that is not a
    complete image, and above `MAX_PIXELS`.
    """
    return _decode(data).expand(3, -1, -1).contiguous()


def _decode(data: bytes) -> Tensor:
    """`decode_image`, but one channel for a grey image: all that follows costs a third."""
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            _check_size(image)
            pixels = np.array(_to_8_bits(ImageOps.exif_transpose(image)))
    except CrossRayError:
        raise
    # Pillow's decoders raise almost anything for broken bytes.
    except Exception as error:
        raise CrossRayError(
            f"an image cannot be decoded ({type(error).__name__}: {str(error).rstrip('.')}); "
            "give a complete JPEG, PNG, WebP, BMP, GIF or TIFF file."
        ) from None
    grey_or_rgb_YXC = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return torch.from_numpy(grey_or_rgb_YXC).permute(2, 0, 1).contiguous()


def evaluation_transform(
    image_size: int, mean: Channels, std: Channels, fit: Fit = "crop"
) -> Callable[[bytes], Tensor]:
    """The transform of evaluation and serving: encoded image to normalised pixels_CYX, float32.

    `crop` resizes the shorter side to `image_size` and cuts the centre; `squash` resizes both
    sides, so that nothing is cut off and the aspect ratio is lost. The result can be pickled.
    """
    return partial(_evaluate, image_size=image_size, mean=mean, std=std, fit=fit)


def training_transform(
    image_size: int,
    mean: Channels,
    std: Channels,
    augment: AugmentConfig,
    seed: int,
    fit: Fit = "crop",
) -> Callable[[bytes, int, int], Tensor]:
    """The transform of training: `(data, epoch, index)` to normalised pixels_CYX, float32.

    `index` is the item's number in the data set. The augmentation is a pure function of seed,
    epoch and index, so neither resuming nor the number of loader processes changes it.
    The result can be pickled.
    """
    return partial(
        _train, image_size=image_size, mean=mean, std=std, augment=augment, seed=seed, fit=fit
    )


def _evaluate(data: bytes, image_size: int, mean: Channels, std: Channels, fit: Fit) -> Tensor:
    from torchvision.transforms.v2 import functional

    image_CYX = evaluation_view(_decode(data), image_size, fit)
    return _normalise(functional.to_dtype(image_CYX, torch.float32, scale=True), mean, std)


def evaluation_view(image_CYX: Tensor, image_size: int, fit: Fit = "crop") -> Tensor:
    """What evaluation and serving see of an image: its central square, or all of it squashed.

    What is far from the square is cut off before anything is resized, so that memory is bounded
    by the image and by `image_size`, whatever the image's aspect.
    """
    from torchvision.transforms.v2 import functional

    if fit == "squash":
        return _resized(image_CYX, [image_size, image_size])
    view_CYX = _resized(_near_the_square(image_CYX), [image_size])
    square_CYX: Tensor = functional.center_crop(view_CYX, [image_size, image_size])
    return square_CYX


def _near_the_square(image_CYX: Tensor) -> Tensor:
    """The middle of the longer side, at most about `_MARGIN` times the shorter one.

    That holds all that the resize filter reaches from the central square: a shorter side to both
    sides of it at most. The middle stays where it is, to the pixel.
    """
    height, width = image_CYX.shape[1:]
    most = _MARGIN * min(height, width)
    top, left = (max(0, side - most) // 2 for side in (height, width))
    return image_CYX[:, top : height - top, left : width - left]


def _resized(image_CYX: Tensor, size: list[int]) -> Tensor:
    """The image with the shorter side, or both sides, of a size.

    A side that shrinks is resized before one that grows; at once, the wider image would be made
    with all of the rows.
    """
    from torchvision.transforms.v2 import InterpolationMode, functional

    resize = partial(functional.resize, interpolation=InterpolationMode.BILINEAR, antialias=True)
    height, width = image_CYX.shape[1:]
    if len(size) == 2 and size[0] < height and size[1] > width:
        image_CYX = resize(image_CYX, [size[0], width])
    resized_CYX: Tensor = resize(image_CYX, size)
    return resized_CYX


def small_square(image: Image.Image, side: int, resample: Image.Resampling) -> Image.Image:
    """All of an open image in `side` x `side`; a side that shrinks is resized before one grows."""
    if image.width < side < image.height:
        image = image.resize((image.width, side), resample)
    return image.resize((side, side), resample)


def _train(
    data: bytes,
    epoch: int,
    index: int,
    *,
    image_size: int,
    mean: Channels,
    std: Channels,
    augment: AugmentConfig,
    seed: int,
    fit: Fit,
) -> Tensor:
    from torchvision.transforms.v2 import functional

    draws = training_draws(seed, epoch, index)
    image_CYX = cropped(_decode(data), image_size, augment, draws, fit)
    pixels_CYX = functional.to_dtype(image_CYX, torch.float32, scale=True)
    if augment.rotation:
        pixels_CYX = rotated(pixels_CYX.expand(3, -1, -1), augment, draws, mean)
    brightness, contrast = (2 * draw - 1 for draw in draws[5:7])
    pixels_CYX = functional.adjust_brightness(pixels_CYX, 1 + brightness * augment.brightness)
    pixels_CYX = functional.adjust_contrast(pixels_CYX, 1 + contrast * augment.contrast)
    if draws[7] < augment.flip:
        pixels_CYX = functional.horizontal_flip(pixels_CYX)
    return _normalise(pixels_CYX, mean, std)


def cropped(
    image_CYX: Tensor, image_size: int, augment: AugmentConfig, draws: list[float], fit: Fit
) -> Tensor:
    """The crop of an image that `training_draws` drew, `image_size` a side."""
    shape = (image_CYX.shape[1], image_CYX.shape[2])
    top, left, rows, columns = crop_box(shape, augment, fit, draws[:4])
    crop_CYX = image_CYX[:, top : top + rows, left : left + columns]
    return _resized(crop_CYX, [image_size, image_size])


def rotated(
    pixels_CYX: Tensor, augment: AugmentConfig, draws: list[float], fill: Sequence[float]
) -> Tensor:
    """Float pixels turned by the angle that was drawn; corners get `fill`, a value a channel."""
    from torchvision.transforms.v2 import InterpolationMode, functional

    angle = (2 * draws[4] - 1) * augment.rotation
    turned_CYX: Tensor = functional.rotate(
        pixels_CYX, angle, interpolation=InterpolationMode.BILINEAR, fill=list(fill)
    )
    return turned_CYX


def _normalise(pixels_CYX: Tensor, mean: Channels, std: Channels) -> Tensor:
    from torchvision.transforms.v2 import functional

    rgb_CYX = pixels_CYX.expand(3, -1, -1)
    normalised_CYX: Tensor = functional.normalize(rgb_CYX, list(mean), list(std))
    return normalised_CYX


def training_draws(seed: int, epoch: int, index: int) -> list[float]:
    """The eight uniform draws of an augmentation: four of the crop, angle, light, contrast, flip.

    Every draw is taken for every configuration, so that switching one off changes no other.
    """
    draws: list[float] = np.random.default_rng((seed, epoch, index)).random(8).tolist()
    return draws


def crop_box(
    shape: tuple[int, int], augment: AugmentConfig, fit: Fit, draws: list[float]
) -> tuple[int, int, int, int]:
    """Top, left, rows and columns of the crop.

    Its scale and aspect are relative to the largest square for `crop`, to the image for `squash`.
    """
    height, width = shape
    square = min(height, width)
    base = (square, square) if fit == "crop" else (height, width)
    scale = math.sqrt(augment.min_scale + draws[0] * (1 - augment.min_scale))
    stretch = math.sqrt(augment.aspect) ** (2 * draws[1] - 1)
    rows = min(height, max(1, round(base[0] * scale / stretch)))
    columns = min(width, max(1, round(base[1] * scale * stretch)))
    top, left = round(draws[2] * (height - rows)), round(draws[3] * (width - columns))
    return top, left, rows, columns


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise CrossRayError(
            f"an image of {image.width} x {image.height} pixels is above the limit of "
            f"{MAX_PIXELS} pixels; scale it down first."
        )


def to_rgb(image: Image.Image) -> Image.Image:
    """An open image in 8-bit RGB: 16 bits are scaled, what is transparent becomes white."""
    return _to_8_bits(image).convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """`to_rgb`, but for grey images, which stay as narrow as they are."""
    if image.mode in _WIDE_MODES:
        wide = np.asarray(image).astype(np.float32).clip(0, 65535)
        return Image.fromarray((wide / 257).round().astype(np.uint8))
    if image.mode == "F":
        raise CrossRayError(
            "an image has floating-point pixels of unknown range; convert it to 8 or 16 bits."
        )
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "L" else image.convert("RGB")
