"""A recipe's method, made to fit the data: vocabulary, sizes, architecture."""

from __future__ import annotations

from dataclasses import replace

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.data.schema import iter_pairs
from crossray.data.tokenization import Tokenizer, load_tokenizer
from crossray.encoders.image import resolve as resolve_image
from crossray.encoders.text import resolve as resolve_text
from crossray.encoders.weights import SCRATCH
from crossray.training.config import Recipe


def make_tokenizer(recipe: Recipe, pairs: Artifact) -> Tokenizer:
    """The recipe's tokenizer; a vocabulary of one's own is learnt from the training split only."""
    tables = iter_pairs(pairs, ["texts"], "train")
    texts = (text for table in tables for row in table["texts"].to_pylist() for text in row)
    return load_tokenizer(recipe.tokenizer.source, texts, recipe.tokenizer.vocab_size)


def fitted(recipe: Recipe, tokenizer: Tokenizer) -> Recipe:
    """The recipe with its text tower sized for the tokenizer and its towers fully described.

    Raises `CrossRayError` for pretrained text weights with another source's tokenizer.
    """
    weights, source = recipe.method.text.weights, recipe.tokenizer.source
    if weights not in (SCRATCH, source):
        raise CrossRayError(
            f"method.text.weights={weights!r} with tokenizer.source={source!r} would give every "
            "word another word's vector; set tokenizer.source to the source of the weights."
        )
    text = replace(
        recipe.method.text,
        vocab_size=tokenizer.vocab_size,
        max_tokens=recipe.tokenizer.max_tokens,
    )
    method = replace(
        recipe.method, image=resolve_image(recipe.method.image), text=resolve_text(text)
    )
    return replace(recipe, method=method)
