"""A recipe's method, made to fit the data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.shards import PairWriter
from crossray.data.tokenization import Tokenizer, train_wordpiece
from crossray.methods.config import SupervisedConfig
from crossray.models.fitting import check_selection, fitted, training_texts, with_label_vocabulary
from crossray.recipes import get_recipe


@pytest.fixture
def tokenizer() -> Tokenizer:
    """A tokenizer learnt from one sentence."""
    return Tokenizer(train_wordpiece(["the heart is enlarged"] * 3, 60))


def test_text_tower_takes_the_sizes_of_the_tokenizer(tokenizer: Tokenizer) -> None:
    """An embedding table of another size than the vocabulary fails in the middle of a run."""
    recipe = fitted(get_recipe("hier_tiny"), tokenizer)
    assert recipe.method.text.vocab_size == tokenizer.vocab_size
    assert recipe.method.text.max_tokens == recipe.tokenizer.max_tokens
    assert recipe.method.image.mean is not None


@pytest.mark.parametrize("source", ["wordpiece", "hub:bert-base-uncased", "path:/elsewhere"])
def test_another_tokenizer_than_the_weights_own_is_refused(
    source: str, tokenizer: Tokenizer
) -> None:
    """Pretrained vectors of other words would train quietly and retrieve badly."""
    recipe = get_recipe("clip_pretrained_tiny")
    recipe = replace(recipe, tokenizer=replace(recipe.tokenizer, source=source))
    with pytest.raises(CrossRayError, match=r"set tokenizer\.source"):
        fitted(recipe, tokenizer)


@dataclass(frozen=True)
class Taught(SupervisedConfig):
    """Stands for a supervised method."""

    name: ClassVar[str] = "taught"


def data_with(tmp_path: Path, labels: dict[str, int]) -> Artifact:
    """A `pairs` artifact of which only the manifest is read."""
    with create(str(tmp_path / "pairs"), "pairs", {}) as draft:
        draft.metrics.update(labels=labels)
    return open_artifact(str(tmp_path / "pairs"))


def test_a_supervised_method_is_given_the_labels_of_the_data(tmp_path: Path) -> None:
    """Columns in another order than the model's mix the labels up."""
    data = data_with(tmp_path, {"fracture": 3, "edema": 5})
    recipe = replace(get_recipe("hier_tiny"), method=Taught())
    method = with_label_vocabulary(recipe, data).method
    assert isinstance(method, Taught)
    assert method.labels == ("edema", "fracture")
    assert with_label_vocabulary(get_recipe("hier_tiny"), data) == get_recipe("hier_tiny")


def test_a_supervised_method_on_data_without_labels_is_refused(tmp_path: Path) -> None:
    """It would train on nothing and look as if it had been trained."""
    recipe = replace(get_recipe("hier_tiny"), method=Taught())
    with pytest.raises(CrossRayError, match="learns from labels"):
        with_label_vocabulary(recipe, data_with(tmp_path, {}))


def test_texts_of_other_splits_are_not_learned_from(tmp_path: Path) -> None:
    """Words that only the test split has would be in Doc2Vec's vocabulary, which is a leak."""
    rows = [
        {"item_id": str(n), "split": split, "texts": texts, "sections": sections}
        for n, (split, texts, sections) in enumerate([
            ("train", ["One."], []),
            ("val", ["Two."], []),
            ("train", ["Three.", "Four."], [{"name": "findings", "start": 0, "stop": 2}]),
            ("test", ["Five."], []),
            ("train", [], []),
        ])
    ]  # fmt: skip
    with create(str(tmp_path / "pairs"), "pairs", {}) as draft, PairWriter(draft.path) as writer:
        columns = [
            {**dict.fromkeys(PAIR_SCHEMA.names), "group_id": row["item_id"], "labels": [],
             "boxes": [], "meta": [], **row}
            for row in rows
        ]  # fmt: skip
        writer.write(pa.Table.from_pylist(columns, PAIR_SCHEMA))
    pairs = open_artifact(str(tmp_path / "pairs"))
    assert list(training_texts(pairs)) == ["One.", "Three. Four."]


@pytest.mark.parametrize("by", ["mAP@all", "mAP@50[found]"])
def test_epochs_are_not_judged_by_labels_that_are_not_there(tmp_path: Path, by: str) -> None:
    """Every epoch would be worth 0, and the first one would be kept."""
    recipe = get_recipe("gpldan_pretrained_tiny")
    recipe = replace(recipe, train=replace(recipe.train, select_by=by))  # type: ignore[arg-type]
    with pytest.raises(CrossRayError, match=r"set train\.select_by"):
        check_selection(recipe, data_with(tmp_path, {}))
    check_selection(
        replace(recipe, train=replace(recipe.train, select_by="R@10")),
        data_with(tmp_path / "other", {}),
    )
    check_selection(recipe, data_with(tmp_path / "third", {"edema": 5}))
