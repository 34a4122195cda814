"""Methods whose images ask for images, without a cluster: data, validation, report, features."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.config import to_dict
from crossray.core.errors import CrossRayError
from crossray.data.corpora.loading import training_loader
from crossray.data.corpora.sampling import BatchSampler
from crossray.data.doc2vec import Doc2Vec, Doc2VecConfig
from crossray.data.phantom import PhantomConfig, generate
from crossray.data.schema import PAIR_SCHEMA, row_groups
from crossray.data.shards import PairWriter
from crossray.encoders.image import ImageTowerConfig
from crossray.evaluation import label_accuracy
from crossray.methods.contract import Encoder
from crossray.methods.mmdl import MmdlConfig
from crossray.methods.recipe import Recipe
from crossray.model_evaluation.retrieval_items import label_flags
from crossray.model_evaluation.validation import validate
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict, save_weights
from crossray.models.corpora import training_corpora
from crossray.models.fitting import fitted, make_tokenizer, training_texts, with_label_vocabulary
from crossray.recipes import get_recipe
from crossray.stages.evaluate import Evaluate
from crossray.stages.features import Doc2VecReader, TokenReader, Towers
from crossray.stages.pretrain import Pretrain

ITEMS, LONELY = 48, 12
IMAGE = ImageTowerConfig(name="test_byobnet", image_size=64, frozen=True)


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """Films of the phantom; some of the training split have lost their report."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    splits = ["train"] * 24 + ["val"] * 12 + ["test"] * 12
    rows = [
        {**row, "split": split}
        for row, split in zip(
            generate(PhantomConfig(items=ITEMS, seed=3), 0, ITEMS), splits, strict=True
        )
    ]
    for row in rows[:LONELY]:
        row |= {"texts": [], "sections": []}
    with create(str(tmp_path / "pairs"), "pairs", {}) as draft:
        with PairWriter(draft.path) as writer:
            writer.write(pa.Table.from_pylist(rows, PAIR_SCHEMA))
        labels = sorted({label for row in rows for label in row["labels"]})
        draft.metrics.update(
            labels=labels, splits={"train": 24, "val": 12, "test": 12}, images=ITEMS
        )
    return open_artifact(str(tmp_path / "pairs"))


def image_mmdl() -> Recipe:
    """Image-MMDL on the films without a report."""
    recipe = get_recipe("mmdl_tiny")
    assert isinstance(recipe.method, MmdlConfig)
    method = replace(recipe.method, image=IMAGE, modalities=("image",))
    return replace(recipe, method=method, train=replace(recipe.train, images="unpaired"))


def test_lonely_films_are_trained_on_and_judged(pairs: Artifact, tmp_path: Path) -> None:
    """Phase B of incomplete reports: batches without texts, then figures of images alone."""
    recipe = image_mmdl()
    tokenizer = make_tokenizer(recipe.tokenizer, pairs)
    recipe = with_label_vocabulary(fitted(recipe, tokenizer), pairs)
    assert isinstance(recipe.method, MmdlConfig)
    training, validation = training_corpora(recipe, pairs, tokenizer)
    assert len(training) == LONELY
    torch.manual_seed(0)
    mmdl = recipe.method.build()
    loader = training_loader(
        training, BatchSampler(LONELY, 6, 1, 0), 0, 0, recipe.method.labels, texts=False
    )
    for batch in loader:
        assert batch.text.mask_BT.shape == (6, 0)
        terms = mmdl.losses(batch)
        assert set(terms) == {"image"}
        terms["image"].backward()
    found = validate(mmdl, validation, 12, 0, "cpu", torch.float32)
    assert set(found) == {"image_to_image"}
    teacher = published(mmdl, recipe, pairs, tmp_path)

    report = Evaluate(teacher.uri, pairs.uri, str(tmp_path / "report"), split="val").run()
    content = json.loads((report.local() / "report.json").read_text(encoding="utf-8"))
    metrics = content["metrics"]["image_to_image"]
    assert content["protocol"]["name"] == "mmdl"
    assert metrics["mAP@10[found]"] == pytest.approx(found["image_to_image"]["mAP@10[found]"])
    images = validation.collate_images([validation.image(row) for row in range(12)])
    with torch.no_grad():
        classes = mmdl.eval().represent_image(images)["classes"].numpy()
    labels = label_flags(validation.labels, list(recipe.method.labels))
    expected = np.nanmean(label_accuracy(classes, labels, 1))
    assert metrics["Acc-1"] == pytest.approx(expected)
    assert "Acc-K" in (report.local() / "report.md").read_text(encoding="utf-8")
    for options in ({"protocol": "hier"}, {"held": "text"}):
        with pytest.raises(CrossRayError, match="reads images only"):
            Evaluate(teacher.uri, pairs.uri, str(tmp_path / "no"), split="val", **options).run()


def published(method: Encoder, recipe: Recipe, pairs: Artifact, folder: Path) -> Artifact:
    """The method as a teacher."""
    config = {**to_dict(recipe), "method": method_to_dict(recipe.method)}
    with create(str(folder / "teacher"), "teacher", config, (pairs,)) as draft:
        save_weights(dict(method.state_dict()), draft.path / WEIGHTS)
        make_tokenizer(recipe.tokenizer, pairs).save(draft.path / TOKENIZER)
        draft.metrics["best_epoch"] = 1
    return open_artifact(str(folder / "teacher"))


@pytest.mark.parametrize("pooling", ["mean", "scda"])
def test_plain_features_by_their_job(pairs: Artifact, tmp_path: Path, pooling: str) -> None:
    """Image-D121 and the SCDA descriptor: made by the same command as any model, and judged."""
    recipe, tiny = get_recipe("image_features"), get_recipe("mmdl_tiny")
    method = replace(recipe.method, image=IMAGE, text=tiny.method.text, pooling=pooling)  # type: ignore[call-arg]
    recipe = replace(recipe, method=method, tokenizer=tiny.tokenizer)
    teacher = Pretrain(pairs.uri, str(tmp_path / "plain"), recipe).run()
    assert list(teacher.manifest.metrics["headline"]) == ["validation mAP@10[found] image to image"]
    report = Evaluate(teacher.uri, pairs.uri, str(tmp_path / "report")).run()
    assert "mAP@10[found]" in report.manifest.metrics["image_to_image"]
    assert "Acc-1" not in report.manifest.metrics["image_to_image"]


def test_features_of_lonely_films_and_of_doc2vec(pairs: Artifact) -> None:
    """An image without a text takes no row of another's; a report is one vector."""
    config = Doc2VecConfig(width=6, min_count=2, epochs=2)
    pytest.importorskip("gensim")
    model = Doc2Vec(training_texts(pairs), config)
    recipe = get_recipe("mmdl_tiny")
    tokenizer = make_tokenizer(recipe.tokenizer, pairs)
    text = fitted(recipe, tokenizer).method.text
    units = pa.table({"unit": [json.dumps(unit) for unit in row_groups(pairs)]})
    tables = {}
    for name, reader in (
        ("doc2vec", Doc2VecReader(model)), ("tower", TokenReader(text, tokenizer.to_str())),
    ):  # fmt: skip
        for unpaired in (False, True):
            towers = Towers(pairs.uri, IMAGE, reader, 1, "float32", unpaired)
            tables[name, unpaired] = towers(units)
    for name in ("doc2vec", "tower"):
        paired, every = tables[name, False], tables[name, True]
        assert (len(paired), len(every)) == (ITEMS - LONELY, ITEMS)
        lonely = [n for n, texts in enumerate(every["sentences"].to_pylist()) if not texts]
        assert len(lonely) == LONELY
        kept = every.filter(pa.array([n not in lonely for n in range(ITEMS)]))
        assert kept["item_id"].to_pylist() == paired["item_id"].to_pylist()
    states = tables["doc2vec", True]["states"].to_pylist()
    assert {len(one) for texts in states for one in texts} == {6}
    first = next(training_texts(pairs))
    found = np.array(states[LONELY][0], dtype=np.float32)
    np.testing.assert_allclose(found, model.vector(first), rtol=1e-6)
