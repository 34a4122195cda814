"""Boxes follow the picture through crop, turn and mirror, and reach the batch."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossray.core.errors import CrossRayError
from crossray.data.corpora.corpus import AnnotatedImage, PairCorpus
from crossray.data.corpora.loading import training_loader
from crossray.data.corpora.sampling import BatchSampler
from crossray.data.images.visible_area import visible_boxes
from crossray.data.tokenization import load_tokenizer
from crossray.data.transforms import AugmentConfig, evaluation_transform, training_transform
from support.pairs import phantom_pairs

PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SIZE = 200


def picture(width: int, height: int, box: tuple[float, ...], orientation: int = 1) -> bytes:
    """A white box on black, as a PNG; with EXIF orientation 6 it is stored turned."""
    x0, y0, x1, y1 = box
    pixels = np.zeros((height, width), dtype=np.uint8)
    pixels[round(y0 * height) : round(y1 * height), round(x0 * width) : round(x1 * width)] = 255
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    if orientation == 6:
        image, exif[0x0112] = image.transpose(Image.Transpose.ROTATE_90), 6
    data = BytesIO()
    image.save(data, "PNG", exif=exif)
    return data.getvalue()


def bright_box(pixels_CYX: torch.Tensor) -> list[float]:
    """The box around what is bright, in fractions."""
    rows, columns = (pixels_CYX[0] > 0.4).nonzero(as_tuple=True)
    ends = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return [int(end) / SIZE for end in ends]


@pytest.mark.parametrize("shape", [(300, 300), (420, 300), (280, 400)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_evaluation_boxes_are_where_the_picture_shows_them(
    shape: tuple[int, int], orientation: int
) -> None:
    """A region beside the finding teaches the wrong place."""
    box = (0.4, 0.3, 0.65, 0.6)
    data = picture(*shape, box, orientation)
    found = visible_boxes(torch.tensor([box]), data, None, 0)
    seen = bright_box(evaluation_transform(SIZE, *PLAIN)(data))
    assert found[0].tolist() == pytest.approx(seen, abs=0.015)


def test_training_boxes_are_where_the_picture_shows_them() -> None:
    """The same, through random crops, turns and mirror images."""
    augment = AugmentConfig(
        min_scale=0.7, aspect=1.3, rotation=25, brightness=0, contrast=0, flip=0.5
    )
    transform = training_transform(SIZE, *PLAIN, augment, seed=5)
    compared = 0
    for index in range(24):
        box = (0.45, 0.4, 0.6, 0.62)
        data = picture(360, 320, box)
        pixels = transform(data, 3, index)
        found = visible_boxes(torch.tensor([box]), data, 3, index, augment=augment, seed=5)
        if not len(found) or found.min() == 0 or found.max() == 1:
            continue
        compared += 1
        assert found[0].tolist() == pytest.approx(bright_box(pixels), abs=0.025)
    assert compared > 15


def test_boxes_outside_are_left_out_and_others_cut() -> None:
    """A box that the crop does not show is no region."""
    data = picture(400, 200, (0.4, 0.3, 0.6, 0.6))
    boxes = torch.tensor([[0.0, 0.0, 0.2, 1.0], [0.2, 0.1, 0.5, 0.9]])
    found = visible_boxes(boxes, data, None, 0)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.1, 0.5, 0.9]]))
    assert visible_boxes(torch.zeros(0, 4), data, None, 0).shape == (0, 4)


def test_boxes_reach_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row i has the boxes of row i, whatever their number; the pairs without boxes are refused."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairs = phantom_pairs(str(tmp_path / "pairs"), 40)
    tokenizer = load_tokenizer("wordpiece", ["a film"], 60)
    transform = evaluation_transform(32, *PLAIN)
    augmented = training_transform(32, *PLAIN, AugmentConfig(), seed=1)
    boxes = partial(visible_boxes, augment=AugmentConfig(), seed=1)
    corpus = PairCorpus(pairs, "train", tokenizer, 16, transform, augmented, boxes)
    sampler = BatchSampler(len(corpus), batch_size=4, epochs=1, seed=1)
    batch = next(iter(training_loader(corpus, sampler, 1, 0)))
    assert batch.image.boxes_BR4 is not None
    assert batch.image.box_mask_BR is not None
    assert batch.rows_B is not None
    for row, boxes_R4, mask_R in zip(
        batch.rows_B.tolist(), batch.image.boxes_BR4, batch.image.box_mask_BR, strict=True
    ):
        wanted = corpus.image(row, 0)
        assert isinstance(wanted, AnnotatedImage)
        torch.testing.assert_close(boxes_R4[mask_R], wanted.boxes_R4)
    assert any(len(corpus.image(row).boxes_R4) for row in range(len(corpus)))  # type: ignore[union-attr]
    bare = phantom_pairs(str(tmp_path / "bare"), 40, unlabelled=1.0)
    with pytest.raises(CrossRayError, match="has no boxes; choose regions of a grid"):
        PairCorpus(bare, "train", tokenizer, 16, transform, augmented, boxes)
    PairCorpus(bare, "train", tokenizer, 16, transform, augmented)
