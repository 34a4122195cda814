"""Feature sets against damage to one value, one row or one array: refused in a sentence, or read.

A vector that is none cannot be left out: rows of several arrays belong together by their number.
"""

from __future__ import annotations

import os
import random
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from crossray.core.errors import CrossRayError
from crossray.data.corpora.corpus import FeatureCorpus
from crossray.data.feature_sets import wikipedia
from crossray.data.feature_sets.feature_set import FeatureSource
from crossray.data.feature_sets.file import FeatureFileSource
from crossray.data.feature_sets.wikipedia import FEATURES, WikipediaFeatureSource
from crossray.data.feature_sets.xmedia import FEATURES as XMEDIA
from crossray.data.feature_sets.xmedia import XmediaSource
from crossray.data.sources.wikipedia import LISTS
from crossray.data.split import SPLITS
from crossray.stages.ingest_features import ingest_features
from support.damage import damage_text

DAMAGES = int(os.environ.get("CROSSRAY_DAMAGES", "20"))
ROWS = 12
Arrays = dict[str, np.ndarray]
_VALUES = (np.nan, np.inf, -np.inf, 1e39, 1e300, -1, 0.5, -0.0, 10**18)
_WHOLE: dict[str, Callable[[np.ndarray], Any]] = {
    "a row less": lambda array: array[1:],
    "a row more": lambda array: np.concatenate([array, array[:1]]),
    "none": lambda array: array[:0],
    "flat": lambda array: array.ravel(),
    "three axes": lambda array: array[:, :, None],
    "turned": lambda array: array.T,
    "a number": lambda array: np.array(7.0),
    "text": lambda array: array.astype(str),
    "complex": lambda array: array + 1j,
    "cells": lambda array: np.array([[1.0, "x"]] * len(array), dtype=object),
    "struct": lambda array: np.array([(1.0, "x")], dtype=[("a", "f8"), ("b", "O")]),
}  # fmt: skip


def arrays(*parts: str) -> Arrays:
    """Vectors of both views, and classes from 0, of every part."""
    rng, made = np.random.default_rng(0), {}
    for part in parts:
        made[f"I_{part}"] = rng.normal(size=(ROWS, 5))
        made[f"T_{part}"] = rng.normal(size=(ROWS, 4))
        made[f"L_{part}"] = np.arange(ROWS)[:, None] % 3
    return made


def _file(root: Path) -> tuple[FeatureSource, Path, Arrays]:
    keys = ("I_tr", "T_tr", "L_tr", "I_te", "T_te", "L_te")
    return FeatureFileSource(str(root / "set.npz"), *keys), root / "set.npz", arrays("tr", "te")


def _wikipedia(root: Path) -> tuple[FeatureSource, Path, Arrays]:
    for listing, part in zip(LISTS, ("tr", "te"), strict=True):
        pairs = (f"{part}{row}\timage{row}\t{1 + row % 3}\n" for row in range(ROWS))
        (root / listing).write_text("".join(pairs))
    values = {name: array for name, array in arrays("tr", "te").items() if name[0] != "L"}
    return WikipediaFeatureSource(str(root)), root / FEATURES, values


def _xmedia(root: Path) -> tuple[FeatureSource, Path, Arrays]:
    values: Arrays = {}
    for name, array in arrays("tr", "te").items():
        kind, part = name.split("_")
        if kind == "L":
            values[f"{part}ImgCat"] = values[f"{part}TxtCat"] = array
        else:
            values[f"{name}_{'CNN' if kind == 'I' else 'BOW'}"] = array
    return XmediaSource(str(root)), root / XMEDIA, values


SETS = {"features": _file, "wikipedia-features": _wikipedia, "xmedia": _xmedia}


def _write(path: Path, values: dict[str, Any]) -> None:
    if path.suffix == ".npz":
        np.savez(path, **values)
    else:
        scipy.io.savemat(path, values)


def _damage(path: Path, values: Arrays, rng: random.Random) -> str:
    """The file with one damage, or a line of a list beside it."""
    lists = sorted(path.parent.glob("*.list"))
    if lists and rng.random() < 0.3:
        listing = rng.choice(lists)
        return f"{listing.name}: {damage_text(listing, listing.read_bytes(), rng)}"
    changed: dict[str, Any] = dict(values)
    name = rng.choice(sorted(values))
    kind = rng.choice(("value", "value", "whole", "gone", "bytes"))
    told = f"{name} is {kind}"
    if kind == "value":
        value = rng.choice(_VALUES)
        changed[name] = values[name].astype(float)
        changed[name][rng.randrange(ROWS), 0] = value
        told = f"{name} has {value}"
    elif kind == "whole":
        shape = rng.choice(sorted(_WHOLE))
        changed[name] = _WHOLE[shape](values[name])
        told = f"{name} is {shape}"
    elif kind == "gone":
        del changed[name]
    _write(path, changed)
    if kind == "bytes":
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(bytes(data[: rng.choice((len(data), len(data) // 2))]))
    return told


def _rows(source: FeatureSource, out: Path) -> dict[str, tuple[Any, ...]]:
    """What training reads: vectors and labels by item."""
    features = ingest_features(source, str(out))
    found: dict[str, tuple[Any, ...]] = {}
    for split in SPLITS:
        if split not in features.manifest.metrics["splits"]:
            continue
        corpus = FeatureCorpus(features, split)
        for row, item in enumerate(corpus.item_ids):
            vectors = corpus.image(row).flatten(), corpus.text(row, 0)[0].flatten()
            assert all(bool(vector.isfinite().all()) for vector in vectors), "NaN was taken"
            found[item] = (*(vector.tolist() for vector in vectors), corpus.labels[row])
    return found


@pytest.mark.parametrize("name", SETS)
def test_damage_is_refused_in_a_sentence_or_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vector of NaN ends a training run hours later; a shifted row pairs all rows wrongly."""
    monkeypatch.setattr(wikipedia, "VALIDATION", 4)
    (tmp_path / "set").mkdir()
    source, path, values = SETS[name](tmp_path / "set")
    _write(path, values)
    beside = {file: file.read_bytes() for file in (tmp_path / "set").iterdir()}
    sound = _rows(source, tmp_path / "sound")
    assert len(sound) == 2 * ROWS
    failures, refused = [], 0
    for seed in range(DAMAGES):
        told = _damage(path, values, random.Random(seed))
        try:
            found = _rows(source, tmp_path / f"out-{seed}")
            changed = [item for item, row in sound.items() if found.get(item) != row]
            if len(changed) > 1:
                failures.append(f"seed {seed}, {told}: {len(changed)} rows are changed")
        except CrossRayError as error:
            refused += 1
            if "\n" in str(error):
                failures.append(f"seed {seed}, {told}: {error}")
        except Exception as error:
            problem = "".join(traceback.format_exception(error)[-2:])
            failures.append(f"seed {seed}, {told}: {problem}")
        for file, content in beside.items():
            file.write_bytes(content)
    assert not failures, "\n".join(failures)
    assert refused >= DAMAGES // 4
