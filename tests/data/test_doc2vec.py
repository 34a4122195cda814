"""Doc2Vec: fitted on what it is given, the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossray.core.errors import CrossRayError
from crossray.data.doc2vec import Doc2Vec, Doc2VecConfig, plain_words, stable_hash

pytest.importorskip("gensim")
CONFIG = Doc2VecConfig(width=8, min_count=2, epochs=10)
TRAIN = ["A large left effusion.", "No effusion; the heart is large.", "The left heart border."] * 8
PROGRAM = """
from crossray.data.doc2vec import Doc2Vec, Doc2VecConfig
model = Doc2Vec({texts!r}, Doc2VecConfig(width=8, min_count=2, epochs=10))
print([float(x).hex() for x in model.vector("a left effusion")])
"""


def test_the_same_vector_in_every_process() -> None:
    """Two runs of one job would train on different features; Python's hashes change by process."""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM.format(texts=TRAIN)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert outputs[0] == outputs[1] != ""
    own = Doc2Vec(TRAIN, CONFIG)
    own.vector("the order of questions must not matter")
    assert str([float(x).hex() for x in own.vector("a left effusion")]) == outputs[0].strip()


def test_averaging_makes_a_text_lie_closer_to_itself() -> None:
    """One inference is noise around the vector; the mean of several must not be the first one."""
    one = Doc2Vec(TRAIN, Doc2VecConfig(width=8, min_count=2, epochs=10, inferences=1))
    three = Doc2Vec(TRAIN, CONFIG)
    text = "No effusion."
    assert not np.allclose(one.vector(text), three.vector(text))
    assert three.vector(text).dtype == np.float32


def test_texts_of_other_words_have_other_vectors() -> None:
    """A constant vector would carry nothing of the report."""
    model = Doc2Vec(TRAIN, CONFIG)
    assert not np.allclose(model.vector("large left effusion"), model.vector("heart border"))
    assert np.isfinite(model.vector("zzz")).all(), "no word of it was learned"


def test_vocabulary_is_that_of_the_given_texts() -> None:
    """Words of the test split would leak into training."""
    assert Doc2Vec(TRAIN, CONFIG).vocabulary == {w for text in TRAIN for w in plain_words(text)}


@pytest.mark.parametrize("algorithm", ["pv_dm", "pv_dbow"])
def test_inference_is_that_of_gensim(algorithm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts would otherwise lie in another space than the one that training made."""
    model = Doc2Vec(TRAIN, replace(CONFIG, algorithm=algorithm, inferences=1, seed=3))
    text = "the large heart"
    seed = (3, 0, stable_hash(text))
    start_W = (np.random.default_rng(seed).random(8, dtype=np.float32) - np.float32(0.5)) / 8
    monkeypatch.setattr(
        "gensim.models.doc2vec.pseudorandom_weak_vector", lambda *_, **__: start_W.copy()
    )
    ours_W, theirs = model.vector(text), model._model
    theirs.random.seed(np.random.SeedSequence(seed).generate_state(1)[0])
    np.testing.assert_allclose(ours_W, theirs.infer_vector(plain_words(text)), rtol=1e-4, atol=1e-7)


def test_too_few_words_are_refused() -> None:
    """Gensim itself would fail later with a sentence about its internals."""
    with pytest.raises(CrossRayError, match=r"lower doc2vec\.min_count"):
        Doc2Vec(["a b c"], CONFIG)
