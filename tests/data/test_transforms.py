"""From encoded images to pixels."""

from __future__ import annotations

import pickle
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from crossray.core.config import from_dict
from crossray.core.errors import CrossRayError
from crossray.data import transforms
from crossray.data.transforms import (
    AugmentConfig,
    decode,
    evaluation_transform,
    training_transform,
)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NONE = AugmentConfig(min_scale=1, aspect=1, rotation=0, brightness=0, contrast=0)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The image as the bytes of a file."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(height: int = 60, width: int = 80) -> bytes:
    """A smooth random picture, as PNG."""
    values = np.random.default_rng().integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    return encode(Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC))


def test_colours_come_back_exactly() -> None:
    """Swapped channels or axes would feed every tower a picture it never saw."""
    values = np.random.default_rng().integers(0, 256, (5, 7, 3), np.uint8)
    decoded = decode(encode(Image.fromarray(values)))
    assert decoded.dtype == torch.uint8
    assert np.array_equal(decoded.permute(1, 2, 0).numpy(), values)


def test_grey_of_8_and_16_bits() -> None:
    """Radiographs are 16-bit greys: clipped instead of scaled, they come out white."""
    narrow = np.random.default_rng().integers(0, 256, (4, 6), np.uint8)
    expected = np.broadcast_to(narrow, (3, 4, 6))
    assert np.array_equal(decode(encode(Image.fromarray(narrow))), expected)
    wide = narrow.astype(np.uint16) * 257
    assert np.array_equal(decode(encode(Image.fromarray(wide))), expected)


def test_transparency_becomes_white() -> None:
    """What nobody sees in the picture must not be seen by the model either."""
    clear = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    clear.putpixel((1, 0), (10, 20, 30, 255))
    assert decode(encode(clear))[:, 0].T.tolist() == [[255, 255, 255], [10, 20, 30]]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([9, 9, 9])
    assert decode(encode(palette, transparency=0)).flatten().tolist() == [255] * 3


def test_exif_orientation_is_applied() -> None:
    """A phone's portrait picture must not lie on its side."""
    image = Image.new("RGB", (16, 8), "black")
    image.paste("white", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode(encode(image, "JPEG", exif=exif, quality=95))
    assert turned.shape == (3, 16, 8)
    assert turned[:, :8].float().mean() > 240
    assert turned[:, 8:].float().mean() < 15


def test_broken_and_huge_images_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad file among a million must name its fault; a decompression bomb must not go off."""
    whole = photo()
    for data in (b"", b"not an image", whole[: len(whole) // 2], whole[:40]):
        with pytest.raises(CrossRayError, match="cannot be decoded"):
            decode(data)
    floats = encode(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF")
    with pytest.raises(CrossRayError, match="floating-point"):
        decode(floats)
    monkeypatch.setattr(transforms, "MAX_PIXELS", 100)
    with pytest.raises(CrossRayError, match="80 x 60 pixels"):
        decode(whole)


def test_evaluation_crop_against_pillow() -> None:
    """Serving and evaluation must see the shorter side resized and the centre cut."""
    data = photo(60, 80)
    pixels = evaluation_transform(30, MEAN, STD)(data)
    image = Image.open(BytesIO(data)).resize((40, 30), Image.Resampling.BILINEAR)
    reference = np.asarray(image.crop((5, 0, 35, 30)), np.float32) / 255
    restored = pixels.permute(1, 2, 0).numpy() * np.array(STD) + np.array(MEAN)
    assert pixels.dtype == torch.float32
    assert pixels.shape == (3, 30, 30)
    assert np.abs(restored - reference).max() <= 1.01 / 255


def test_evaluation_squash_keeps_the_borders() -> None:
    """With squash, a finding at the edge of a wide film stays in the picture."""
    image = Image.new("RGB", (90, 30), "black")
    image.paste("white", (0, 0, 30, 30))
    data = encode(image)
    crop = evaluation_transform(30, (0, 0, 0), (1, 1, 1))(data)
    squash = evaluation_transform(30, (0, 0, 0), (1, 1, 1), fit="squash")(data)
    assert crop.max() < 0.01
    assert squash[:, :, :9].min() > 0.99
    assert squash[:, :, 11:].max() < 0.01


@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_augmentation_is_a_pure_function(fit: transforms.Fit) -> None:
    """Resuming a run, or other loader processes, must give the very same training images."""
    data, other = photo(), photo(100, 40)
    transform = training_transform(32, MEAN, STD, AugmentConfig(flip=0.5), seed=7, fit=fit)
    first = transform(data, 2, 5)
    torch.manual_seed(123)
    transform(other, 2, 6)
    resumed = pickle.loads(pickle.dumps(transform))
    assert torch.equal(resumed(data, 2, 5), first)
    assert first.shape == (3, 32, 32)
    assert first.dtype == torch.float32
    different = training_transform(32, MEAN, STD, AugmentConfig(flip=0.5), seed=8, fit=fit)
    for changed in (transform(data, 3, 5), transform(data, 2, 6), different(data, 2, 5)):
        assert not torch.equal(changed, first)


@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_no_augmentation_is_evaluation(fit: transforms.Fit) -> None:
    """All augmentation off, training sees what evaluation sees, so neither is skewed."""
    data = photo(80, 80)
    train = training_transform(32, MEAN, STD, NONE, seed=0, fit=fit)(data, 0, 0)
    torch.testing.assert_close(train, evaluation_transform(32, MEAN, STD, fit)(data))


@pytest.mark.parametrize("rotation", [0.0, 5.0])
def test_grey_films_are_seen_as_their_copies_in_colour(rotation: float) -> None:
    """Grey images stay of one channel for long; a model must not see that."""
    grey = np.random.default_rng().integers(0, 256, (50, 70), dtype=np.uint8)
    narrow, wide = (encode(Image.fromarray(grey).convert(mode)) for mode in ("L", "RGB"))
    judged = evaluation_transform(32, MEAN, STD)
    assert torch.equal(judged(narrow), judged(wide))
    augment = AugmentConfig(rotation=rotation)
    trained = training_transform(32, MEAN, STD, augment, seed=3)
    torch.testing.assert_close(trained(narrow, 1, 2), trained(wide, 1, 2), atol=1e-3, rtol=1e-3)


def test_left_stays_left_unless_asked() -> None:
    """A mirrored chest film has its heart on the wrong side; the default must never do it."""
    image = Image.new("RGB", (40, 40), "black")
    image.paste("white", (0, 0, 20, 40))
    data = encode(image)

    def brighter_left(augment: AugmentConfig) -> list[bool]:
        transform = training_transform(20, (0, 0, 0), (1, 1, 1), augment, seed=1)
        pixels = [transform(data, 0, index) for index in range(60)]
        return [bool(p[:, :, :10].sum() > p[:, :, 10:].sum()) for p in pixels]

    assert all(brighter_left(AugmentConfig()))
    assert not any(brighter_left(AugmentConfig(flip=1.0)))
    assert 5 < sum(brighter_left(AugmentConfig(flip=0.5))) < 55


def test_each_setting_does_what_it_says() -> None:
    """A knob without effect makes a sweep over it a waste; one that moves another, a mystery."""
    grey = encode(Image.new("RGB", (40, 40), (128, 128, 128)))
    bright = training_transform(8, (0, 0, 0), (1, 1, 1), replace(NONE, brightness=0.2), seed=3)
    levels = torch.stack([bright(grey, 0, index).mean() for index in range(200)]) / (128 / 255)
    assert 0.8 <= levels.min() < 0.82
    assert 1.18 < levels.max() <= 1.2001
    data = photo(40, 40)
    plain = training_transform(16, MEAN, STD, NONE, seed=3)(data, 0, 0)
    for change in ({"min_scale": 0.3}, {"aspect": 2.0}, {"rotation": 30.0}, {"contrast": 0.5}):
        moved = training_transform(16, MEAN, STD, replace(NONE, **change), seed=3)(data, 0, 0)
        assert not torch.equal(moved, plain), change


def test_crops_stay_inside_and_keep_their_area() -> None:
    """A crop beyond the border pads with black; one that is too small loses the finding."""
    rng = np.random.default_rng()
    augment = AugmentConfig(min_scale=0.5, aspect=1.5)
    for _ in range(500):
        height, width = (int(n) for n in rng.integers(1, 300, 2))
        draws = rng.random(4).tolist()
        for fit, area in (("crop", min(height, width) ** 2), ("squash", height * width)):
            top, left, rows, columns = transforms.crop_box((height, width), augment, fit, draws)
            assert 0 <= top <= height - rows
            assert 0 <= left <= width - columns
            slack = height + width + 1
            assert 0.5 * area / 1.5**0.5 - slack <= rows * columns <= area + slack


def test_bad_settings_are_refused() -> None:
    """A brightness of 30 for 30 % must fail before the run, not blank its images."""
    with pytest.raises(CrossRayError, match="brightness"):
        AugmentConfig(brightness=30)
    with pytest.raises(CrossRayError, match="min_scale"):
        from_dict(AugmentConfig, {"min_scale": 0})
