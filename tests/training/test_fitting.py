"""A recipe's method, made to fit the data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.tokenization import Tokenizer, train_wordpiece
from crossray.recipes import get_recipe
from crossray.training.fitting import fitted


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
