"""Doc2Vec: fitted on what it is given, the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from crossray.core.errors import CrossRayError
from crossray.data.doc2vec import Doc2Vec, Doc2VecConfig, words_of

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
    assert Doc2Vec(TRAIN, CONFIG).vocabulary == {w for text in TRAIN for w in words_of(text)}


@pytest.mark.parametrize("algorithm", ["pv_dm", "pv_dbow"])
def test_a_text_of_the_training_split_is_found_by_its_vector(algorithm: str) -> None:
    """Inference that is not gensim's would put texts in another space than training did."""
    rng = np.random.default_rng(0)
    topics = [[f"word{topic}{n}" for n in range(12)] for topic in range(3)]
    texts = [" ".join(rng.choice(topics[n % 3], 12)) for n in range(120)]
    model = Doc2Vec(texts, Doc2VecConfig(width=8, min_count=2, algorithm=algorithm, epochs=40))  # type: ignore[arg-type]
    vectors = np.stack([model.vector(text) for text in texts[:30]])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = vectors @ vectors.T
    same = np.equal.outer(np.arange(30) % 3, np.arange(30) % 3)
    off = ~np.eye(30, dtype=bool)
    assert scores[same & off].mean() > scores[~same].mean() + 0.2


def test_too_few_words_are_refused() -> None:
    """Gensim itself would fail later with a sentence about its internals."""
    with pytest.raises(CrossRayError, match=r"lower doc2vec\.min_count"):
        Doc2Vec(["a b c"], CONFIG)
