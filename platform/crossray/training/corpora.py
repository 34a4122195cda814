"""The corpus that a recipe reads from an artifact."""

from __future__ import annotations

from crossray.core.artifacts import Artifact
from crossray.data.corpus import Corpus, FeatureCorpus, PairCorpus
from crossray.data.splits import Split
from crossray.data.tokenization import Tokenizer
from crossray.data.transforms import evaluation_transform, training_transform
from crossray.encoders.image import normalisation
from crossray.methods.contract import MethodConfig
from crossray.training.config import Recipe


def pair_corpus(
    method: MethodConfig, pairs: Artifact, split: Split, tokenizer: Tokenizer
) -> PairCorpus:
    """A split of a `pairs` artifact as the method's towers want it, not augmented."""
    mean, std = normalisation(method.image)
    transform = evaluation_transform(method.image.image_size, mean, std)
    return PairCorpus(pairs, split, tokenizer, method.text.max_tokens, transform)


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
    training = PairCorpus(
        source, "train", tokenizer, method.text.max_tokens, plain, augmented, pairing
    )
    return training, validation
