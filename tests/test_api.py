"""CrossRay from Python, on artifacts that an earlier version made."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossray
from crossray.core.artifacts import open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.schema import iter_pairs
from crossray.index import Mode, load_rows
from crossray.stages.evaluate import Evaluate
from support.golden import GOLDEN, copy_golden

QUESTION = "Large right pleural effusion."
PAGE = Path(__file__).parents[1] / "docs" / "python.md"
LIGHT = """
import sys
import crossray
assert not {"torch", "ray", "numpy"} & set(sys.modules)
"""
NO_TRAINING = """
assert not {"ray", "deepspeed", "matplotlib"} & set(sys.modules)
"""
NO_RAY = """
import ray
assert not ray.is_initialized()
print(len(similar), figure)
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The golden artifacts as the user's store."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return copy_golden(tmp_path / "store")


def answers() -> dict[str, Any]:
    """What the version that made the artifacts answered from them."""
    found: dict[str, Any] = json.loads((GOLDEN / "answers.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def film(store: Path) -> bytes:
    """An image of the test split."""
    pairs = open_artifact(str(store / "pairs"), "pairs")
    found: bytes = next(iter_pairs(pairs, ["image"], "test"))["image"][0].as_py()
    return found


def test_the_page_runs_without_ray(store: Path, film: bytes, tmp_path: Path) -> None:
    """What `docs/python.md` shows would fail, start a cluster, or import torch for nothing."""
    (tmp_path / "film.png").write_bytes(film)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([LIGHT, *blocks[:2], NO_TRAINING, blocks[2], NO_RAY])],
        capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, "RAY_ADDRESS": "127.0.0.1:1"},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    figure = crossray.evaluate("student", "pairs", "flickr")["text_to_image"].metrics["R@10"]
    assert lines[-1] == f"10 {figure}"


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_models_encode_as_the_pipeline_does(store: Path, name: str, film: bytes) -> None:
    """Vectors of a notebook could not be compared with those of an index."""
    model = crossray.load(store / name)
    vectors_2D = np.concatenate([model.encode_texts([QUESTION]), model.encode_images([film])])
    np.testing.assert_allclose(vectors_2D, answers()["vectors"][name], atol=1e-4)
    assert vectors_2D.shape == (2, model.dim)


def test_bytes_paths_and_pictures_are_one_image(store: Path, film: bytes, tmp_path: Path) -> None:
    """What an image is worth would depend on how it is handed over."""
    path = tmp_path / "film.png"
    path.write_bytes(film)
    given = [film, path, str(path), Image.open(BytesIO(film))]
    vectors_4D = crossray.load("student").encode_images(given)
    np.testing.assert_allclose(vectors_4D, np.tile(vectors_4D[0], (4, 1)), atol=1e-5)


def test_many_texts_are_each_encoded(store: Path) -> None:
    """A list that is longer than a batch would lose or repeat texts."""
    model = crossray.load("student")
    texts = [QUESTION, *["No finding."] * 70, "Cardiomegaly."]
    vectors_ND, codes_NY = model.encode_texts(texts), model.hash_texts(texts)
    assert (len(vectors_ND), codes_NY.shape) == (72, (72, model.bits // 8))
    np.testing.assert_allclose(vectors_ND[71:], model.encode_texts(texts[71:]), atol=1e-5)


def test_scores_have_both_directions(store: Path, film: bytes) -> None:
    """A user could not tell which text fits an image."""
    model = crossray.load("teacher")
    scores = model.score([film, film], [QUESTION, "No finding.", "A nodule."])
    assert scores.image_to_text_NC.shape == scores.text_to_image_NC.shape == (2, 3)
    np.testing.assert_allclose(scores.image_to_text_NC[0], scores.image_to_text_NC[1], atol=1e-6)
    assert len(set(scores.image_to_text_NC[0].tolist())) == 3


@pytest.mark.parametrize("mode", ["float", "binary", "rescore"])
def test_an_index_answers_as_it_did(store: Path, mode: Mode) -> None:
    """A notebook would show other hits than the endpoint."""
    index = crossray.open_index("index")
    ids = load_rows(index.artifact, "image")["item_id"].take(answers()["hits"][mode])
    hits = index.search(text=QUESTION, k=5, mode=mode)
    assert [hit.item_id for hit in hits] == ids.to_pylist()
    assert index.image(hits[0].item_id) is not None


def test_evaluation_has_the_figures_of_its_report(store: Path) -> None:
    """A figure of a notebook could not be found again in a report."""
    model = crossray.load("student")
    report = Evaluate("student", "pairs", "out", codes=16).run().manifest.metrics
    found = crossray.evaluate(model, "pairs", codes=16)
    for direction in ("image_to_text", "text_to_image"):
        assert found[direction].metrics == report[direction]


def test_mistakes_are_one_sentence(store: Path, tmp_path: Path) -> None:
    """A user would read a traceback from inside a tower."""
    model, index = crossray.load("student"), crossray.open_index("index")
    with pytest.raises(CrossRayError, match="no artifact"):
        crossray.load("absent")
    with pytest.raises(CrossRayError, match="list"):
        model.encode_texts("a text")
    with pytest.raises(CrossRayError, match="list"):
        model.encode_images(b"an image")  # type: ignore[arg-type]
    with pytest.raises(CrossRayError, match="cannot be read"):
        model.encode_images([tmp_path / "absent.png"])
    with pytest.raises(CrossRayError, match="cannot be read"):
        model.encode_images([b"no image"])
    with pytest.raises(CrossRayError, match="nothing to encode"):
        model.encode_texts([])
    with pytest.raises(CrossRayError, match="exactly one"):
        index.search()
    with pytest.raises(CrossRayError, match="compares codes"):
        index.search(vector=np.ones(model.dim), mode="binary")
    with pytest.raises(CrossRayError, match="no item"):
        index.image("absent")
    with pytest.raises(AttributeError, match="no attribute"):
        crossray.absent  # noqa: B018
