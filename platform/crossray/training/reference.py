"""The line that every report draws beside a model: CCA on the features the model started from."""

from __future__ import annotations

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.core.inspection import lineage
from crossray.data import plain_features
from crossray.data.corpus import Corpus, FeatureCorpus
from crossray.data.plain_features import plain_sample, plain_split
from crossray.data.splits import Split
from crossray.distill.code_scorer import SignCodes
from crossray.encoders.image import given_images
from crossray.encoders.text import given_texts
from crossray.evaluation import Protocol
from crossray.evaluation.reference import Reference
from crossray.methods.cca import Cca, CcaConfig
from crossray.training.closed_form import paired_features
from crossray.training.judging import judge_method

TRAINING_ITEMS = 10_000  # that plain features are made of


def reference_line(
    model: Artifact,
    data: Artifact,
    corpus: Corpus,
    split: Split,
    protocol: Protocol,
    seed: int,
    bits: int | None = None,
) -> tuple[Reference | None, list[str]]:
    """CCA under the same protocol as a model that is measured on a split of `data`.

    Where features of `data` led to the model, CCA is fitted on their training split, else on plain
    features of the pairs that the model was trained on. `corpus` is what the model was asked. A
    protocol that ranks codes ranks the signs of CCA's first `bits` variates. Gives notes, and no
    line, where there is nothing to fit it on.
    """
    try:
        cca, judged, about = _fitted(model, data, corpus, split)
        scorer = SignCodes(cca, bits) if bits and protocol.ranked_by == "hamming" else cca
    except CrossRayError as error:
        return None, [f"no reference line: {error}"]
    results = judge_method(scorer, judged, protocol, rerank=0, seed=seed).results
    return Reference("CCA", about, dict(zip(protocol.directions, results, strict=True))), []


def _fitted(
    model: Artifact, data: Artifact, corpus: Corpus, split: Split
) -> tuple[Cca, Corpus, str]:
    """A CCA, the corpus' items as it reads them, and on what it was fitted, in words."""
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
    cca = Cca(CcaConfig(given_images(image_BCYX.shape[1]), given_texts(text_BTD.shape[2])))
    cca.fit(paired_features(cca, training))
    return cca, judged, f"{about}, fitted on {len(training):,} training items"


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
