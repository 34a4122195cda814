"""A recipe's method, made to fit the data: vocabulary, sizes, architecture."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.data.schema import iter_pairs, text_entries
from crossray.data.tokenization import Tokenizer, load_tokenizer
from crossray.encoders.image import ImageTowerConfig
from crossray.encoders.image import resolve_image as resolve_image
from crossray.encoders.text import TextTowerConfig
from crossray.encoders.text import resolve_text as resolve_text
from crossray.encoders.weights import GIVEN, SCRATCH
from crossray.evaluation.protocols.validation import needs_labels
from crossray.methods.recipe import Recipe, TokenizerConfig

R = TypeVar("R", bound=Recipe)


def make_tokenizer(config: TokenizerConfig, pairs: Artifact) -> Tokenizer:
    """The tokenizer; a new vocabulary is learnt from the training split only."""
    tables = iter_pairs(pairs, ["texts"], "train")
    texts = (text for table in tables for row in table["texts"].to_pylist() for text in row)
    return load_tokenizer(config.source, texts, config.vocab_size)


def training_texts(pairs: Artifact) -> Iterator[str]:
    """The texts of the training split, the sentences of each joined."""
    for table in iter_pairs(pairs, ["texts", "sections"], "train"):
        for row in table.to_pylist():
            for sentences in text_entries(row["texts"], row["sections"]):
                yield " ".join(sentences)


def fitted(recipe: R, tokenizer: Tokenizer) -> R:
    """The recipe with its text tower sized for the tokenizer and its towers fully described.

    Raises `CrossRayError` for pretrained text weights with another source's tokenizer.
    """
    method = recipe.method
    image, text = fitted_towers(method.image, method.text, recipe.tokenizer, tokenizer)
    return replace(recipe, method=replace(method, image=image, text=text))


def fitted_towers(
    image: ImageTowerConfig, text: TextTowerConfig, config: TokenizerConfig, tokenizer: Tokenizer
) -> tuple[ImageTowerConfig, TextTowerConfig]:
    """`fitted` for a pair of towers; `tokenizer` is what `make_tokenizer` gave for `config`."""
    if text.weights == GIVEN:  # vectors of texts that no tower makes
        return resolve_image(image), text
    if text.weights not in (SCRATCH, config.source):
        raise CrossRayError(
            f"text.weights={text.weights!r} with tokenizer.source={config.source!r} would give "
            "every word another word's vector; set tokenizer.source to the source of the weights."
        )
    text = replace(text, vocab_size=tokenizer.vocab_size, max_tokens=config.max_tokens)
    return resolve_image(image), resolve_text(text)


def with_label_vocabulary(recipe: Recipe, data: Artifact) -> Recipe:
    """The recipe of a supervised method with the label vocabulary of `data`; others as they are.

    Raises `CrossRayError` for a supervised method on data without labels.
    """
    method = recipe.method
    if "labels" not in method.capabilities:
        return recipe
    names = tuple(sorted(data.manifest.metrics.get("labels") or ()))
    if not names:
        raise CrossRayError(
            f"{method.name} learns from labels and {data.uri} has none; ingest data with labels "
            "(for radiology reports `crossray ingest ... --label-reports`), or take a method that "
            "needs none."
        )
    return replace(recipe, method=method.with_labels(names))


def check_selection(recipe: Recipe, data: Artifact) -> None:
    """Raises `CrossRayError` for epochs that are judged by labels on `data` without any."""
    by = recipe.train.select_by
    if needs_labels(by) and not data.manifest.metrics.get("labels"):
        raise CrossRayError(
            f"{recipe.name} selects an epoch by {by} and {data.uri} has no labels to judge by; "
            "set train.select_by to R@10 or last."
        )
