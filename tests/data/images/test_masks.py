"""Masks follow the picture through crop, turn and mirror, and reach the batch."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d

from crossray.core.artifacts import create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.corpora.corpus import AnnotatedImage, PairCorpus
from crossray.data.corpora.loading import training_loader
from crossray.data.corpora.sampling import BatchSampler
from crossray.data.images.visible_area import CELLS, visible_masks
from crossray.data.phantom import PhantomConfig, masks
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.splits.splitters import AnnotatedFraction
from crossray.data.tokenization import load_tokenizer
from crossray.data.transforms import AugmentConfig, evaluation_transform, training_transform
from crossray.stages.split import resplit
from support.pairs import phantom_pairs, read_pairs

PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SIZE = 128


def blob(shape: tuple[int, int], seed: int) -> bytes:
    """A PNG of one bit: black with a few white ellipses."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, dtype=bool)
    for cy, cx in rng.uniform(0.1, 0.9, (3, 2)) * shape:
        radii = rng.uniform(0.05, 0.3, 2) * shape
        mask |= ((y - cy) / radii[0]) ** 2 + ((x - cx) / radii[1]) ** 2 < 1
    data = BytesIO()
    Image.fromarray(mask).save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize("shape", [(300, 300), (210, 300), (280, 200)])
def test_evaluation_masks_are_where_the_picture_shows_them(shape: tuple[int, int]) -> None:
    """A structure beside itself teaches the wrong place."""
    both = [blob(shape, 1), blob(shape, 2)]
    found = visible_masks(both, None, 0, SIZE)
    assert found.shape == (2, CELLS, CELLS)
    for mask, data in zip(found, both, strict=True):
        seen_CYX = evaluation_transform(SIZE, *PLAIN)(data)
        torch.testing.assert_close(mask, adaptive_avg_pool2d(seen_CYX, CELLS)[0], atol=5e-3, rtol=0)


def test_training_masks_are_where_the_picture_shows_them() -> None:
    """The same, through random crops, turns and mirror images."""
    augment = AugmentConfig(
        min_scale=0.5, aspect=1.3, rotation=25, brightness=0, contrast=0, flip=0.5
    )
    transform = training_transform(SIZE, *PLAIN, augment, seed=5)
    for index in range(12):
        data = blob((260, 220), index)
        found = visible_masks([data], 3, index, SIZE, augment=augment, seed=5)[0]
        seen = adaptive_avg_pool2d(transform(data, 3, index), CELLS)[0]
        torch.testing.assert_close(found, seen, atol=5e-3, rtol=0)


def test_an_image_without_masks_has_none() -> None:
    """A segmenter finds nothing in some pictures."""
    assert visible_masks([], None, 0, SIZE).shape == (0, CELLS, CELLS)


def test_masks_reach_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row i has the masks of row i; pairs without masks are refused by name."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairs = phantom_pairs(str(tmp_path / "pairs"), 40, masks=True)
    tokenizer = load_tokenizer("wordpiece", ["a film"], 60)
    transform = evaluation_transform(32, *PLAIN)
    augmented = training_transform(32, *PLAIN, AugmentConfig(), seed=1)
    shown = partial(visible_masks, image_size=32, augment=AugmentConfig(), seed=1)
    corpus = PairCorpus(pairs, "train", tokenizer, 16, transform, augmented, masks=shown)
    sampler = BatchSampler(len(corpus), batch_size=4, epochs=1, seed=1)
    batch = next(iter(training_loader(corpus, sampler, 1, 0)))
    assert batch.image.masks_BRYX is not None
    assert batch.image.boxes_BR4 is None
    assert batch.rows_B is not None
    for row, masks_RYX in zip(batch.rows_B.tolist(), batch.image.masks_BRYX, strict=True):
        wanted = corpus.image(row, 0)
        assert isinstance(wanted, AnnotatedImage)
        assert wanted.masks_RYX is not None
        torch.testing.assert_close(masks_RYX, wanted.masks_RYX)
        assert masks_RYX.flatten(1).any(dim=1).all()
    bare = phantom_pairs(str(tmp_path / "bare"), 40)
    with pytest.raises(CrossRayError, match="has no masks; choose regions of a grid and struct"):
        PairCorpus(bare, "train", tokenizer, 16, transform, augmented, masks=shown)


def test_masks_of_the_phantom_are_those_of_its_structures(tmp_path: Path) -> None:
    """Names and pixels of the truth, of every row."""
    pairs = phantom_pairs(str(tmp_path / "pairs"), 6, masks=True)
    for number, row in enumerate(read_pairs(pairs, ["masks"]).to_pylist()):
        wanted = masks(PhantomConfig(items=6, seed=3), number)
        found = {m["name"]: np.array(Image.open(BytesIO(m["png"]))) for m in row["masks"]}
        assert found.keys() == wanted.keys()
        for name, mask_YX in wanted.items():
            np.testing.assert_array_equal(found[name], mask_YX)


def test_pairs_taken_apart_keep_the_masks_of_their_images(tmp_path: Path) -> None:
    """A mask is of an image, and the text that was taken from it has none."""
    pairs = phantom_pairs(str(tmp_path / "pairs"), 60, masks=True)
    apart = resplit(pairs, AnnotatedFraction(fraction=0.3), str(tmp_path / "apart"))
    rows = read_pairs(apart, ["image", "masks"]).to_pylist()
    assert {(row["image"] is None, len(row["masks"])) for row in rows} == {(False, 7), (True, 0)}


def test_pairs_of_earlier_versions_have_no_masks(tmp_path: Path) -> None:
    """An archive must not be ingested anew for a column that it does not need."""
    pairs = phantom_pairs(str(tmp_path / "pairs"), 5)
    older = read_pairs(pairs).drop_columns(["masks"])
    with create(str(tmp_path / "older"), "pairs", {}) as draft:
        pq.write_table(older, draft.path / "part-000000.parquet")
    table = read_pairs(open_artifact(str(tmp_path / "older")))
    assert table.schema.equals(PAIR_SCHEMA)
    assert table["masks"].to_pylist() == [[]] * 5
    assert isinstance(table, pa.Table)
