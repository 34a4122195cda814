"""MMDL by its jobs: pairs, then images without reports, Doc2Vec's texts, and the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.corpora.corpus import FeatureCorpus, PairCorpus
from crossray.data.doc2vec import Doc2VecConfig
from crossray.data.phantom import PhantomConfig, generate
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.shards import PairWriter
from crossray.encoders.image import ImageTowerConfig
from crossray.methods.mmdl import MmdlConfig
from crossray.methods.recipe import Recipe
from crossray.models.corpora import pair_corpus
from crossray.models.fitting import make_tokenizer
from crossray.recipes import get_recipe
from crossray.stages.evaluate import Evaluate
from crossray.stages.features import Features
from crossray.stages.pretrain import Pretrain
from support.taken import taken_cores

ITEMS, LONELY = 96, 24


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """Films of the phantom; some of the training split have lost their report."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    rows = list(generate(PhantomConfig(items=ITEMS, seed=3), 0, ITEMS))
    splits = ["train"] * 64 + ["val"] * 12 + ["test"] * 20
    rows = [{**row, "split": split} for row, split in zip(rows, splits, strict=True)]
    for row in rows[:LONELY]:
        row |= {"texts": [], "sections": []}
    with create(str(tmp_path / "pairs"), "pairs", {}) as draft:
        with PairWriter(draft.path) as writer:
            writer.write(pa.Table.from_pylist(rows, PAIR_SCHEMA))
        draft.metrics.update(
            labels=sorted({label for row in rows for label in row["labels"]}),
            splits={"train": 64, "val": 12, "test": 20},
            items=ITEMS,
            images=ITEMS,
        )
    return open_artifact(str(tmp_path / "pairs"))


def recipe_of(epochs: int = 2) -> Recipe:
    """`mmdl_tiny`, for seconds of training by one worker, its towers frozen."""
    recipe = get_recipe("mmdl_tiny")
    image = ImageTowerConfig(name="test_byobnet", image_size=64, frozen=True)
    method = replace(recipe.method, image=image)
    train = replace(recipe.train, epochs=epochs, batch_size=16, validation_items=12, workers=1)
    return replace(recipe, method=method, train=train)


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_from_pairs_and_lonely_films_to_a_report(pairs: Artifact, tmp_path: Path) -> None:
    """A user of incomplete reports gets both phases, and figures of images that ask for images."""
    recipe = recipe_of()
    teacher = Pretrain(pairs.uri, str(tmp_path / "mmdl"), recipe).run()
    assert set(teacher.manifest.metrics["validation"]) == {"image_to_image"}
    assert teacher.manifest.config["method"]["labels"] == sorted(pairs.manifest.metrics["labels"])
    report = Evaluate(teacher.uri, pairs.uri, str(tmp_path / "report")).run()
    content = json.loads((report.local() / "report.json").read_text(encoding="utf-8"))
    metrics = content["metrics"]["image_to_image"]
    assert content["protocol"]["name"] == "mmdl"
    assert {"mAP@10[found]", "Acc-1", "Acc-5"} <= set(metrics)
    assert content["counts"]["image_to_image"]["items"] == 19
    assert content["reference"]["name"] == "CCA"

    assert isinstance(recipe.method, MmdlConfig)
    alone = replace(
        recipe_of(1),
        method=replace(recipe.method, modalities=("image",)),
        train=replace(recipe_of(1).train, images="unpaired"),
    )
    second = Pretrain(pairs.uri, str(tmp_path / "second"), alone, init=teacher.uri).run()
    assert second.manifest.metrics["steps"] == LONELY // 16
    asked = Evaluate(second.uri, pairs.uri, str(tmp_path / "other"), protocol="hier")
    with pytest.raises(CrossRayError, match="reads images only"):
        asked.run()


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_doc2vec_in_the_place_of_a_text_tower(pairs: Artifact, tmp_path: Path) -> None:
    """Reports as one vector each: made, trained on, and a model that images can ask."""
    pytest.importorskip("gensim")
    recipe = recipe_of(1)
    options = {"texts": "doc2vec", "doc2vec": Doc2VecConfig(width=6, min_count=2, epochs=2)}
    job = Features.of(
        recipe, pairs.uri, str(tmp_path / "features"), unpaired=True, side=1, **options
    )
    with taken_cores(2.0) as told:
        features = job.run()
    assert len(told) == 1, "it said once that it waits"
    corpus = FeatureCorpus(features, "train")
    assert len(corpus) == 64 - LONELY
    assert len(FeatureCorpus(features, "train", "unpaired")) == LONELY
    assert len(FeatureCorpus(features, "train", "all")) == 64
    states_TW, sentence_T = corpus.text(0, 0)
    assert states_TW.shape == (1, 6)
    assert sentence_T.tolist() == [0]
    assert not [name for name in features.manifest.payload if "pickle" in name or "pkl" in name]
    teacher = Pretrain(pairs.uri, str(tmp_path / "model"), recipe, features=features.uri).run()
    assert teacher.manifest.config["method"]["text"]["weights"] == "given"
    report = Evaluate(teacher.uri, pairs.uri, str(tmp_path / "report")).run()
    assert "mAP@10[found]" in report.manifest.metrics["image_to_image"]


def test_pairing_chooses_the_items_of_a_split(pairs: Artifact) -> None:
    """A film without a report that slips into phase A, or one with into phase B, mixes them up."""
    recipe = recipe_of()
    tokenizer = make_tokenizer(recipe.tokenizer, pairs)
    paired = pair_corpus(recipe.method, pairs, "train", tokenizer)
    sizes = {"paired": 64 - LONELY, "unpaired": LONELY, "all": 64}
    found = {
        pairing: PairCorpus(pairs, "train", tokenizer, 16, paired._transform, pairing=pairing)  # type: ignore[arg-type]
        for pairing in sizes
    }
    assert {name: len(corpus) for name, corpus in found.items()} == sizes
    assert all(found["unpaired"].text_count(row) == 0 for row in range(LONELY))
    ids = {name: set(corpus.item_ids) for name, corpus in found.items()}
    assert ids["paired"] | ids["unpaired"] == ids["all"]
    assert not ids["paired"] & ids["unpaired"]
    with pytest.raises(CrossRayError, match="no image without a text"):
        PairCorpus(pairs, "val", tokenizer, 16, paired._transform, pairing="unpaired")
    assert np.isfinite(paired.image(0)).all()


def test_methods_that_read_texts_do_not_train_on_lonely_films() -> None:
    """It would end in an error deep inside of a worker."""
    recipe = recipe_of()
    with pytest.raises(CrossRayError, match="choose paired"):
        replace(recipe, train=replace(recipe.train, images="all")).check()
    with pytest.raises(CrossRayError, match="is not measured for mmdl"):
        replace(recipe, train=replace(recipe.train, select_by="R@10")).check()
