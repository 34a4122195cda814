"""The reference of every report: CCA on the features the model started from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.core.inspection import lineage
from crossray.data.corpora.corpus import Corpus, FeatureCorpus
from crossray.data.corpora.plain_features import PLAIN_FEATURES, plain_sample, plain_split
from crossray.data.split import Split
from crossray.encoders.image import given_images
from crossray.encoders.text import given_texts
from crossray.evaluation import Protocol
from crossray.evaluation.report.reference_section import Reference
from crossray.methods.cca import Cca, CcaConfig
from crossray.model_evaluation.evaluate_model import evaluate_model
from crossray.model_evaluation.evaluation_data import OpenSplit, retrieval_task
from crossray.models.code_scorer import SignCodes
from crossray.stages.closed_form import paired_features

TRAINING_ITEMS = 10_000  # that plain features are made of


def reference_line(
    model: Artifact,
    data: Artifact,
    item_ids: Sequence[str],
    split: Split,
    protocol: Protocol,
    seed: int,
    bits: int | None = None,
    query_labels: Sequence[str] = (),
) -> tuple[Reference | None, list[str]]:
    """CCA under the same protocol as a model that is measured on a split of `data`.

    Where features of `data` led to the model, CCA is fitted on their training split, else on plain
    features of the pairs that the model was trained on. `item_ids` are those that the model was
    evaluated on. A protocol that ranks codes ranks the signs of CCA's first `bits` variates.
    `query_labels`: see `evaluate_model`. Gives notes, and no line, where there is nothing to fit it
    on.
    """
    try:
        training, open_split, about = _corpora(model, data)
        task = retrieval_task(open_split, data, split, protocol)
        if task.corpus.item_ids != item_ids:
            raise CrossRayError(
                f"{data.uri} gives other items as features than the model was evaluated on; make "
                "the features again."
            )
        cca = _fitted(training)
        scorer = SignCodes(cca, bits) if bits and protocol.ranked_by == "hamming" else cca
    except CrossRayError as error:
        return None, [f"no reference line: {error}"]
    results = evaluate_model(
        scorer, task, protocol, rerank=0, seed=seed, query_labels=query_labels
    ).results
    return Reference("CCA", about, dict(zip(protocol.directions, results, strict=True))), []


def _fitted(training: Corpus) -> Cca:
    image_BCYX = training.collate_images([training.image(0)]).grid_BCYX
    text_BTD = training.collate_texts([training.text(0, 0)]).states_BTD
    assert image_BCYX is not None
    assert text_BTD is not None
    cca = Cca(CcaConfig(given_images(image_BCYX.shape[1]), given_texts(text_BTD.shape[2])))
    cca.fit(paired_features(cca, training))
    return cca


def _corpora(model: Artifact, data: Artifact) -> tuple[Corpus, OpenSplit, str]:
    """What CCA is fitted on, what opens a split that it is judged on, and words for the first."""
    made = lineage(model)
    for features in (data, *reversed(made)):
        related = features.id == data.id or data.id in [p.id for p in features.manifest.parents]
        if features.kind == "features" and related:
            training = FeatureCorpus(features, "train")
            about = f"the features {features.uri}, fitted on {len(training):,} training items"
            return training, partial(FeatureCorpus, features), about
    trained_on = [stage for stage in made if stage.kind == "pairs"]
    pairs = data if data.id in [stage.id for stage in trained_on] else (trained_on or [data])[-1]
    plain = plain_sample(pairs, "train", TRAINING_ITEMS)
    about = f"{PLAIN_FEATURES}, fitted on {len(plain):,} training items"
    return plain, partial(plain_split, data), about
