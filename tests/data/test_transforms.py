"""From encoded images to pixels."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from crossray.core.config import from_dict
from crossray.core.errors import CrossRayError
from crossray.data import transforms
from crossray.data.transforms import (
    AugmentConfig,
    decode_image,
    evaluation_transform,
    evaluation_view,
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
    decoded = decode_image(encode(Image.fromarray(values)))
    assert decoded.dtype == torch.uint8
    assert np.array_equal(decoded.permute(1, 2, 0).numpy(), values)


def test_grey_of_8_and_16_bits() -> None:
    """Radiographs are 16-bit greys: clipped instead of scaled, they come out white."""
    narrow = np.random.default_rng().integers(0, 256, (4, 6), np.uint8)
    expected = np.broadcast_to(narrow, (3, 4, 6))
    assert np.array_equal(decode_image(encode(Image.fromarray(narrow))), expected)
    wide = narrow.astype(np.uint16) * 257
    assert np.array_equal(decode_image(encode(Image.fromarray(wide))), expected)


def test_transparency_becomes_white() -> None:
    """What nobody sees in the picture must not be seen by the model either."""
    clear = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    clear.putpixel((1, 0), (10, 20, 30, 255))
    assert decode_image(encode(clear))[:, 0].T.tolist() == [[255, 255, 255], [10, 20, 30]]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([9, 9, 9])
    assert decode_image(encode(palette, transparency=0)).flatten().tolist() == [255] * 3


def test_exif_orientation_is_applied() -> None:
    """A phone's portrait picture must not lie on its side."""
    image = Image.new("RGB", (16, 8), "black")
    image.paste("white", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode_image(encode(image, "JPEG", exif=exif, quality=95))
    assert turned.shape == (3, 16, 8)
    assert turned[:, :8].float().mean() > 240
    assert turned[:, 8:].float().mean() < 15


def test_broken_and_huge_images_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad file among a million must name its fault; a decompression bomb must not go off."""
    whole = photo()
    for data in (b"", b"not an image", whole[: len(whole) // 2], whole[:40]):
        with pytest.raises(CrossRayError, match="cannot be decoded"):
            decode_image(data)
    floats = encode(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF")
    with pytest.raises(CrossRayError, match="floating-point"):
        decode_image(floats)
    monkeypatch.setattr(transforms, "MAX_PIXELS", 100)
    with pytest.raises(CrossRayError, match="80 x 60 pixels"):
        decode_image(whole)


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


@pytest.mark.parametrize(
    ("height", "width"),
    [(60, 60), (61, 90), (50, 200), (201, 51), (25, 100), (7, 28), (400, 100), (3, 12), (1, 4)],
)
def test_view_is_that_of_the_whole_image_resized(height: int, width: int) -> None:
    """A vector of the index and one of a query must be of one view, whichever cut comes first."""
    pixels = np.random.default_rng().integers(0, 256, (height, width, 3), np.uint8)
    image_CYX = torch.from_numpy(pixels).permute(2, 0, 1)
    for side in (8, 31, 224):
        rows, columns = (int(side * length / min(height, width)) for length in (height, width))
        whole = functional.resize(
            image_CYX, [rows, columns], functional.InterpolationMode.BILINEAR, antialias=True
        )
        top, left = round((rows - side) / 2), round((columns - side) / 2)
        plain = whole[:, top : top + side, left : left + side]
        view = evaluation_view(image_CYX, side)
        assert view.shape == (3, side, side)
        assert (view.int() - plain.int()).abs().max() <= 1


@pytest.mark.parametrize(("height", "width"), [(20, 1000), (1000, 20), (3, 900), (20, 999)])
def test_view_of_a_thin_image_is_its_middle(height: int, width: int) -> None:
    """A panorama's middle, where the film is, must not move when its ends are cut off."""
    ramp = torch.linspace(0, 250, max(height, width))
    lines = ramp if width > height else ramp[:, None]
    image_CYX = lines.expand(1, height, width).contiguous()
    view = evaluation_view(image_CYX, 50)
    slope = 250 / (max(height, width) - 1)
    short = min(height, width)
    along = view[0].mean(dim=0 if width > height else 1)
    assert abs(along.mean() - 125) <= slope  # half a pixel to either side
    assert abs((along[-5] - along[4]) / (41 * slope * short / 50) - 1) < 0.02


_BOUNDED = """
import resource
from io import BytesIO
import numpy as np, torch
from PIL import Image
from crossray.data.images.fingerprints import fingerprint
from crossray.data.images.encoded import stored_image
from crossray.data.images.visible_area import visible_masks
from crossray.data.corpora.plain_features import grey_thumbnail
from crossray.data.transforms import AugmentConfig, evaluation_transform, training_transform
grey = (0.5,) * 3
augment = AugmentConfig(min_scale=0.2, aspect=2.0)
views = [evaluation_transform(224, grey, grey, fit) for fit in ("crop", "squash")]
drawn = [training_transform(224, grey, grey, augment, 0, fit) for fit in ("crop", "squash")]
def look(width, height):
    buffer = BytesIO()
    Image.new("1", (width, height), 1).save(buffer, "PNG")
    data = stored_image(buffer.getvalue())
    assert len(data) < 10_000
    for view in views:
        assert view(data).shape == (3, 224, 224)
    for view in drawn:
        for index in range(3):
            assert view(data, 0, index).shape == (3, 224, 224)
    assert visible_masks([data, data], None, 0, 224).mean() == 1
    assert visible_masks([data, data], 0, 0, 224, augment).shape == (2, 32, 32)
    fingerprint(data), grey_thumbnail(data)
look(300, 200)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + ALLOWED, used + ALLOWED))
for size in ((40_000, 1), (1, 40_000), (60_000, 16), (16, 60_000), (4_000, 3), (1, 1)):
    look(*size)
print("bounded")
"""


def test_thin_images_take_no_memory() -> None:
    """A PNG of 121 bytes must not take 8 GB from the endpoint, a loader or an ingest."""
    program = _BOUNDED.replace("ALLOWED", str(192 << 20))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "bounded\n", done.stderr[-2000:]


def test_large_thin_images_take_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing larger than the image itself is made on the way to a view of 224 pixels."""
    made: list[int] = []
    resize = functional.resize

    def measured(image: torch.Tensor, size: list[int], **options: object) -> torch.Tensor:
        smaller = resize(image, size, **options)
        # The filter goes along the rows first: as many rows as came, as many columns as leave.
        made.append(image.shape[1] * smaller.shape[2])
        return smaller

    monkeypatch.setattr(functional, "resize", measured)
    for height, width in ((1_000, 60_000), (60_000, 1_000), (2_000_000, 1), (1, 2_000_000)):
        image_CYX = torch.zeros(1, height, width, dtype=torch.uint8)
        for fit in ("crop", "squash"):
            made.clear()
            assert evaluation_view(image_CYX, 224, fit).shape == (1, 224, 224)
            augment = AugmentConfig(min_scale=0.2)
            for index in range(4):
                draws = transforms.training_draws(0, 0, index)
                crop = transforms.cropped(image_CYX, 224, augment, draws, fit)
                assert crop.shape == (1, 224, 224)
            assert made
            assert max(made) <= max(height * width, 8 * 224**2)


@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_crop_has_the_area_and_the_shape_that_were_drawn(fit: transforms.Fit) -> None:
    """A crop of 73 % of the area where 85 % was asked for costs a finding at every border."""
    augment = AugmentConfig(min_scale=0.7, aspect=1.3)
    height, width = 9_000, 12_000
    base = (9_000, 9_000) if fit == "crop" else (9_000, 12_000)
    shares, stretches = [], []
    for index in range(2_000):
        draws = transforms.training_draws(3, 1, index)
        _, _, rows, columns = transforms.crop_box((height, width), augment, fit, draws[:4])
        area = 0.7 + 0.3 * draws[0]
        ratio = base[1] / base[0] * 1.3 ** (2 * draws[1] - 1)  # width by height
        expected = (math.sqrt(base[0] * base[1] * area / ratio),
                    math.sqrt(base[0] * base[1] * area * ratio))  # fmt: skip
        # A crop that would be higher or wider than the image ends at its border.
        assert abs(rows - min(height, expected[0])) <= 1
        assert abs(columns - min(width, expected[1])) <= 1
        if rows < height and columns < width:
            shares.append(rows * columns / (base[0] * base[1]) - area)
            stretches.append(columns / rows / ratio - 1)
    assert len(shares) > 1_000
    assert np.abs(shares).max() < 1e-3
    assert np.abs(stretches).max() < 1e-3
    even = AugmentConfig(min_scale=0.7, aspect=1.0)
    boxes = [
        transforms.crop_box((height, width), even, fit, transforms.training_draws(3, 1, i)[:4])
        for i in range(2_000)
    ]
    mean = np.mean([rows * columns for _, _, rows, columns in boxes]) / (base[0] * base[1])
    assert abs(mean - 0.85) < 0.01


def test_crop_shows_the_columns_and_rows_of_its_box() -> None:
    """Boxes and masks follow the box; a picture cut elsewhere would be taught other regions."""
    x_YX, y_YX = np.meshgrid(np.arange(240), np.arange(200))
    image = np.stack([x_YX, y_YX, np.zeros_like(x_YX)], axis=2).astype(np.uint8)
    data = encode(Image.fromarray(image))
    augment = replace(NONE, min_scale=0.4, aspect=1.5)
    seen = training_transform(100, (0, 0, 0), (1, 1, 1), augment, seed=5)
    for index in range(10):
        draws = transforms.training_draws(5, 0, index)
        top, left, rows, columns = transforms.crop_box((200, 240), augment, "crop", draws[:4])
        pixels_CYX = seen(data, 0, index) * 255
        columns_X, rows_Y = pixels_CYX[0, 50], pixels_CYX[1, :, 50]
        middle = np.arange(10, 90)  # away from the border, where the filter has one side only
        np.testing.assert_allclose(
            columns_X[middle], left + (middle + 0.5) * columns / 100 - 0.5, atol=1.01
        )
        np.testing.assert_allclose(
            rows_Y[middle], top + (middle + 0.5) * rows / 100 - 0.5, atol=1.01
        )


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
