"""HIER's losses do not start on the plateau of equal scores."""

from __future__ import annotations

import torch

from crossray.methods.hier import Hier
from support.tiny import TINY, batch_of


def test_fresh_levels_tell_pairs_apart() -> None:
    """Scores that hardly differ collapse under the hardest negatives and teach nothing after."""
    torch.manual_seed(0)
    method = TINY["hier"].build()
    assert isinstance(method, Hier)
    batch = batch_of(16)
    alike = torch.randn(1, 3, 64, 64) + 0.05 * batch.image.pixels_BCYX  # as films are
    images = method.represent_image(type(batch.image)(pixels_BCYX=alike))
    texts = method.represent_text(batch.text)
    for level in method.config.levels:
        scores = method.level_scores(level, images, texts)
        assert scores.std(dim=0).mean() > 0.05, level
