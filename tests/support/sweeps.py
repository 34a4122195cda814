"""Sweeps in a size that a test can afford: a small GPLDAN on vectors of five classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SPACE = '''
"""Two weights, and a batch size of which half is too small to train on."""

from dataclasses import replace

from crossray.recipes import get_recipe
from crossray.studies.sweep import Space


def small():
    recipe = get_recipe("gpldan_pretrained_tiny")
    method = replace(recipe.method, embedding=16, attention_width=8, classifier_width=16)
    train = replace(recipe.train, epochs=3, batch_size=32, workers=1, patience=9)
    return replace(recipe, name="small", method=method, train=train)


SPACE = Space(
    small,
    FIELDS,
    metric="mAP@50[found]",
    protocol="gpldan_labels",
)
'''


FIELDS = '{"method.alpha": [0.1, 10.0], "train.batch_size": [1, 32]}'


def write_space(path: Path, fields: str = FIELDS) -> Path:
    """The file of a space with these fields."""
    path.write_text(SPACE.replace("FIELDS", fields), encoding="utf-8")
    return path


def write_vectors(path: Path, rows: int = 800) -> None:
    """Five classes, seen by two modalities through random mixtures of shared causes."""
    rng = np.random.default_rng(0)
    label_N = rng.integers(0, 5, rows)
    cause_ND = rng.normal(size=(5, 6))[label_N] * 2 + rng.normal(size=(rows, 6))
    np.savez(
        path,
        images=np.tanh(cause_ND @ rng.normal(size=(6, 24)) / 2),
        texts=cause_ND @ rng.normal(size=(6, 16)) / 2,
        labels=label_N,
    )
