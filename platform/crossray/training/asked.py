"""What an evaluation asks a model about: a split of pairs, or of features made of them."""

from __future__ import annotations

from typing import NamedTuple

from crossray.core.artifacts import Artifact, open_artifact, require_parent
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve
from crossray.data.corpus import Corpus, FeatureCorpus
from crossray.data.splits import Split
from crossray.distill.models import load_method, load_model
from crossray.methods.contract import Method
from crossray.training.corpora import pair_corpus
from crossray.training.features import same_towers


class Asked(NamedTuple):
    """A model, the artifact whose split it is asked about, and that split."""

    method: Method
    data: Artifact
    corpus: Corpus


def asked(trained: Artifact, pairs: str | None, features: str | None, split: Split) -> Asked:
    """Open the model and either the pairs or the features of that name.

    Raises `CrossRayError` unless exactly one of the two is named, for features of other towers than
    the model's and for another feature set than it was trained on.
    """
    if (pairs is None) == (features is None):
        raise CrossRayError(
            "an evaluation needs data to measure the model on; give either --pairs or --features."
        )
    if pairs is not None:
        data, model = open_artifact(resolve(pairs), "pairs"), load_model(trained)
        corpus = pair_corpus(model.method.config, data, split, model.tokenizer)
        return Asked(model.method, data, corpus)
    assert features is not None
    data = open_artifact(resolve(features), "features")
    method = load_method(trained)
    same_towers(method.config, data)
    if not data.manifest.parents:
        require_parent(trained, data)
    return Asked(method, data, FeatureCorpus(data, split))
