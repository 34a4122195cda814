"""Which epoch's weights a run keeps, and when it stops."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossray.recipes import get_recipe
from crossray.training.checkpoint import Progress
from crossray.training.loop import judged

RECALLS = (0.5, 0.7, 0.6, 0.65, 0.8)


def run(select_by: str, patience: int) -> Progress:
    """The progress after epochs of these recalls, or after the epoch that stopped the run."""
    recipe = get_recipe("hier_tiny")
    train = replace(recipe.train, select_by=select_by, patience=patience)  # type: ignore[arg-type]
    progress = Progress()
    for epoch, recall in enumerate(RECALLS, start=1):
        quality = {"image_to_text": {"R@10": recall}, "text_to_image": {"R@10": recall - 0.1}}
        progress = judged(progress, replace(recipe, train=train), quality, epoch)
        if progress.stopped:
            break
    return progress


@pytest.mark.parametrize(
    ("select_by", "patience", "kept", "stopped"),
    [
        pytest.param("R@10", 2, 2, True, id="patience ends before the best epoch"),
        pytest.param("R@10", 3, 5, False, id="the best epoch"),
        pytest.param("last", 1, 5, False, id="the last one never stops early"),
    ],
)
def test_kept_epoch(select_by: str, patience: int, kept: int, stopped: bool) -> None:
    """A run would publish weights that its recipe did not ask for."""
    progress = run(select_by, patience)
    assert (progress.best_epoch, progress.stopped) == (kept, stopped)
    assert progress.best_file == f"best-{kept}.safetensors"
    assert progress.best_metrics is not None
    assert progress.best_metrics["image_to_text"]["R@10"] == RECALLS[kept - 1]
