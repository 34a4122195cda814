"""The mean of training images, which shows where occlusion hides."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crossray.core.errors import CrossRayError
from crossray.data import shards
from crossray.data.transforms import evaluation_transform
from crossray.explain import occlusion as background
from crossray.explain.occlusion import mean_image
from support.pairs import phantom_pairs, read_pairs, write_pairs

transform = evaluation_transform(16, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def test_it_is_a_mean_over_the_training_images_alone(tmp_path: Path) -> None:
    """What is explained is often of another split; pairs without an image count for nothing."""
    rows = read_pairs(phantom_pairs(str(tmp_path / "films"), 30)).to_pylist()
    train = [row for row in rows if row["split"] == "train"]
    assert 3 < len(train) < len(rows)
    without = {**train[0], "image": None}
    pairs = write_pairs(str(tmp_path / "pairs"), [without, *rows[1:]])
    rest = [row["image"] for row in rows[1:] if row["split"] == "train"]
    expected = sum(transform(image).double() for image in rest) / len(rest)
    torch.testing.assert_close(
        mean_image(pairs, transform).double(), expected, atol=1e-5, rtol=1e-5
    )


def test_it_is_of_all_parts_of_the_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data are often sorted by what they show."""
    monkeypatch.setattr(shards, "GROUP_ROWS", 10)
    monkeypatch.setattr(background, "IMAGES", 6)
    pairs = phantom_pairs(str(tmp_path / "pairs"), 30)
    rows = read_pairs(pairs).to_pylist()
    groups = [rows[start : start + 10] for start in (0, 10, 20)]
    chosen = [
        row["image"]
        for group in groups
        for row in [row for row in group if row["split"] == "train"][:2]
    ]
    assert len(chosen) == 6
    expected = torch.stack([transform(image) for image in chosen]).mean(dim=0)
    torch.testing.assert_close(mean_image(pairs, transform), expected, atol=1e-5, rtol=1e-5)


def test_without_training_images_there_is_none(tmp_path: Path) -> None:
    """The mean of nothing would make every map empty."""
    rows = read_pairs(phantom_pairs(str(tmp_path / "films"), 8)).to_pylist()
    pairs = write_pairs(str(tmp_path / "pairs"), [{**row, "split": "test"} for row in rows])
    with pytest.raises(CrossRayError, match="has no image to make a background of"):
        mean_image(pairs, transform)
