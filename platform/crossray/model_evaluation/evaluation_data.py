"""The data that a model is measured on: a split of pairs, or of features made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from crossray.core.artifacts import Artifact, open_artifact, require_parent
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve
from crossray.data.corpora.corpus import Corpus, FeatureCorpus
from crossray.data.corpora.joined import JoinedCorpus
from crossray.data.split import SPLITS, Split
from crossray.evaluation import Protocol
from crossray.methods.contract import Encoder
from crossray.models.artifact import load_method, load_model
from crossray.models.corpora import pair_corpus
from crossray.models.towers import same_towers

OpenSplit = Callable[[Split], Corpus]


class EvaluationData(NamedTuple):
    """A model, the artifact that it is measured on, and what opens a split of it."""

    method: Encoder
    data: Artifact
    open_split: OpenSplit


class RetrievalTask(NamedTuple):
    """A corpus of which the first `queries` items are queries for the rest; None: all for all."""

    corpus: Corpus
    queries: int | None


def retrieval_task(
    open_split: OpenSplit, data: Artifact, split: Split, protocol: Protocol
) -> RetrievalTask:
    """The queries of a split with the database that the protocol searches.

    Raises `CrossRayError` where that is the other splits and there are none.
    """
    queries = open_split(split)
    if protocol.database == "same":
        return RetrievalTask(queries, None)
    counts = data.manifest.metrics.get("splits", {})
    others = [open_split(other) for other in SPLITS if other != split and counts.get(other)]
    if not others:
        raise CrossRayError(
            f"protocol {protocol.name!r} searches the splits other than {split}, and {data.uri} "
            "has none; give data with a database, or choose another protocol."
        )
    return RetrievalTask(JoinedCorpus([queries, *others]), len(queries))


def open_evaluation_data(
    trained: Artifact, pairs: str | None, features: str | None
) -> EvaluationData:
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
        config, tokenizer = model.method.config, model.tokenizer
        return EvaluationData(
            model.method, data, lambda split: pair_corpus(config, data, split, tokenizer)
        )
    assert features is not None
    data = open_artifact(resolve(features), "features")
    method = load_method(trained)
    same_towers(method.config, data)
    if not data.manifest.parents:
        require_parent(trained, data)
    return EvaluationData(method, data, lambda split: FeatureCorpus(data, split))
