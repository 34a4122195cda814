"""The line that every report draws beside a model: CCA on the features the model started from."""

from __future__ import annotations

from collections.abc import Callable

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.core.inspection import lineage
from crossray.data import plain_features
from crossray.data.corpus import Corpus, FeatureCorpus
from crossray.data.plain_features import plain_sample, plain_split
from crossray.data.splits import Split
from crossray.encoders.image import given_images
from crossray.encoders.text import given_texts
from crossray.evaluation import DirectionResult
from crossray.evaluation.reference import Reference
from crossray.methods.cca import Cca, CcaConfig
from crossray.training.closed_form import paired_features
from crossray.training.scoring import ScoreMatrices, score_corpus

TRAINING_ITEMS = 10_000  # that plain features are made of


Judge = Callable[[ScoreMatrices], tuple[DirectionResult, DirectionResult]]


def reference_line(
    model: Artifact, data: Artifact, corpus: Corpus, split: Split, judge: Judge
) -> tuple[Reference | None, list[str]]:
    """CCA under the same protocol as a model that is measured on a split of `data`.

    Where features of `data` led to the model, CCA is fitted on their training split, else on plain
    features of the pairs that the model was trained on. `corpus` is what the model was asked;
    `judge` is what its scores were given to. Gives notes, and no line, where there is nothing to
    fit it on.
    """
    try:
        about, scores = _scores(model, data, corpus, split)
    except CrossRayError as error:
        return None, [f"no reference line: {error}"]
    return Reference("CCA", about, *judge(scores)), []


def _scores(
    model: Artifact, data: Artifact, corpus: Corpus, split: Split
) -> tuple[str, ScoreMatrices]:
    """On what CCA was fitted, in words, and its scores of the corpus' items."""
    training, judged, about = _corpora(model, data, split)
    if judged.item_ids != corpus.item_ids:
        raise CrossRayError(
            f"{data.uri} gives other items as features than the model was asked about; make the "
            "features again."
        )
    image_BCYX = training.collate_images([training.image(0)]).grid_BCYX
    text_BTD = training.collate_texts([training.text(0, 0)]).states_BTD
    assert image_BCYX is not None
    assert text_BTD is not None
    config = CcaConfig(given_images(image_BCYX.shape[1]), given_texts(text_BTD.shape[2]))
    cca = Cca(config)
    cca.fit(paired_features(cca, training))
    about = f"{about}, fitted on {len(training):,} training items"
    return about, score_corpus(cca, judged, rerank=0)


def _corpora(model: Artifact, data: Artifact, split: Split) -> tuple[Corpus, Corpus, str]:
    """What CCA is fitted on, what it is judged on, and words for both."""
    made = lineage(model)
    for features in (data, *reversed(made)):
        own = features.id == data.id or data.id in [p.id for p in features.manifest.parents]
        if features.kind == "features" and own:
            about = f"the features {features.uri}"
            return FeatureCorpus(features, "train"), FeatureCorpus(features, split), about
    trained_on = [stage for stage in made if stage.kind == "pairs"]
    pairs = data if data.id in [stage.id for stage in trained_on] else (trained_on or [data])[-1]
    training = plain_sample(pairs, "train", TRAINING_ITEMS)
    return training, plain_split(data, split), plain_features.WORDS
