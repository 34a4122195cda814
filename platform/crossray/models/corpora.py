"""The corpus that a recipe reads from an artifact."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from crossray.core.artifacts import Artifact
from crossray.data.corpora.corpus import Corpus, FeatureCorpus, PairCorpus
from crossray.data.images.visible_area import visible_boxes, visible_masks
from crossray.data.pretext.corpus import UnimodalCorpus, UnimodalKind
from crossray.data.pretext.samples import PretextSamples
from crossray.data.split import Split
from crossray.data.tokenization import Tokenizer
from crossray.data.transforms import evaluation_transform, training_transform
from crossray.encoders.image import normalisation
from crossray.methods.config import MethodConfig
from crossray.methods.recipe import Recipe


def pair_corpus(
    method: MethodConfig, pairs: Artifact, split: Split, tokenizer: Tokenizer
) -> PairCorpus:
    """A split of a `pairs` artifact as the method's towers want it, not augmented."""
    mean, std = normalisation(method.image)
    transform = evaluation_transform(method.image.image_size, mean, std)
    return PairCorpus(
        pairs, split, tokenizer, method.text.max_tokens, transform,
        boxes=visible_boxes if "boxes" in method.capabilities else None,
        masks=partial(visible_masks, image_size=method.image.image_size)
        if "masks" in method.capabilities else None,
    )  # fmt: skip


def training_corpora(
    recipe: Recipe, source: Artifact, tokenizer: Tokenizer | None
) -> tuple[Corpus, Corpus]:
    """The training corpus, augmented where it is pixels, and the validation corpus.

    Only features are read without a tokenizer.
    """
    split, pairing = recipe.train.validation_split, recipe.train.images
    if source.kind == "features":
        return FeatureCorpus(source, "train", pairing), FeatureCorpus(source, split)
    assert tokenizer is not None
    method = recipe.method
    validation = pair_corpus(method, source, split, tokenizer)
    mean, std = normalisation(method.image)
    plain = evaluation_transform(method.image.image_size, mean, std)
    augmented = training_transform(
        method.image.image_size, mean, std, recipe.augment, recipe.train.seed
    )
    augment, seed = recipe.augment, recipe.train.seed
    boxes = partial(visible_boxes, augment=augment, seed=seed)
    masks = partial(visible_masks, image_size=method.image.image_size, augment=augment, seed=seed)
    training = PairCorpus(
        source, "train", tokenizer, method.text.max_tokens, plain, augmented,
        boxes if "boxes" in method.capabilities else None, pairing,
        masks if "masks" in method.capabilities else None,
    )  # fmt: skip
    return training, validation


def pretext_samples(
    recipe: Recipe, pairs: Artifact, tokenizer: Tokenizer
) -> tuple[PretextSamples, PretextSamples]:
    """The training and the validation split of self-supervision, images and texts apart."""
    method, train, augment = recipe.method, recipe.train, recipe.augment
    config, size = method.pretext(), method.image.image_size
    mean, std = normalisation(method.image)
    upright = replace(augment, rotation=0.0, flip=0.0)
    # Different seeds, so that the views are not crops of one place.
    upright_view, *views = (
        training_transform(size, mean, std, how, 3 * train.seed + number)
        for number, how in enumerate((upright, augment, augment))
    )
    modalities: list[UnimodalKind] = []
    modalities += ["images"] if config.images else []
    modalities += ["texts"] if config.texts else []

    def samples(split: Split) -> PretextSamples:
        corpus = UnimodalCorpus(pairs, split, upright_view, (views[0], views[1]), modalities)
        return PretextSamples(corpus, tokenizer, method.text.max_tokens, config, train.seed)

    return samples("train"), samples(train.validation_split)
