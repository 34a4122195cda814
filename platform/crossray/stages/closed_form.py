"""Fit a closed-form method: one pass over the training split, in one process."""

import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch.nn import functional

from crossray.core.artifacts import Artifact, create, inherited_notes, open_artifact
from crossray.core.config import to_dict
from crossray.core.inspection import print_stage
from crossray.core.types import Batch, ImageBatch
from crossray.data.corpora.corpus import Corpus, FeatureCorpus
from crossray.data.split import Split
from crossray.methods.contract import ClosedForm, Encoder
from crossray.model_evaluation.validation import Quality, validate
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict, save_weights
from crossray.models.corpora import pair_corpus
from crossray.training.run import headline
from crossray.training.spec import RunSpec

ITEMS_AT_A_TIME = 128


def fit(spec: RunSpec) -> Artifact:
    """Fit and publish, like any other teacher; prints one line."""
    began = time.monotonic()
    method = spec.recipe.method.build()
    assert isinstance(method, ClosedForm)
    corpus = _corpus(spec, "train")
    print(f"fitting on {len(corpus):,} items", flush=True)
    method.eval().fit(paired_features(method, corpus))
    validation = _validated(method, spec)
    config = to_dict(replace(spec.recipe, method=method.config))
    config["method"] = method_to_dict(method.config)
    with create(spec.out, "teacher", config, spec.parents) as draft:
        save_weights(dict(method.state_dict()), draft.path / WEIGHTS)
        if spec.tokenizer is not None:
            spec.tokenizer.save(draft.path / TOKENIZER)
        draft.notes.extend(inherited_notes(spec.parents))
        draft.metrics.update(
            validation=validation,
            items=len(corpus),
            headline=headline(validation, "validation"),
            seconds=round(time.monotonic() - began, 1),
        )
    model = open_artifact(spec.out)
    print_stage(model)
    return model


def _corpus(spec: RunSpec, split: Split) -> Corpus:
    if spec.source.kind == "features":
        return FeatureCorpus(spec.source, split)
    assert spec.tokenizer is not None
    return pair_corpus(spec.recipe.method, spec.source, split, spec.tokenizer)


def _validated(method: ClosedForm, spec: RunSpec) -> Quality:
    """Empty where there is no validation split: nothing was selected by it."""
    if not spec.source.manifest.metrics.get("splits", {}).get("val"):
        return {}
    train, corpus = spec.recipe.train, _corpus(spec, "val")
    return validate(method, corpus, train.validation_items, train.rerank, "cpu", torch.float32)


def paired_features(
    method: Encoder, corpus: Corpus, items: int = ITEMS_AT_A_TIME
) -> Iterator[Batch]:
    """The map of every image of a corpus with each of its texts, some `items` at a time.

    Maps are averaged as far as the method allows, so that repeating them for each text is cheap.
    """
    for start in range(0, len(corpus), items):
        rows = range(start, min(start + items, len(corpus)))
        images = corpus.collate_images([corpus.image(row) for row in rows])
        texts = [corpus.text(row, n) for row in rows for n in range(corpus.text_count(row))]
        counts_B = torch.tensor([corpus.text_count(row) for row in rows])
        at_B = torch.arange(len(rows)).repeat_interleave(counts_B)
        with torch.no_grad():
            grid_BCYX = method.image_grid(images)
            side = method.config.map_side(grid_BCYX.shape[-1])
            grid_BCYX = functional.adaptive_avg_pool2d(grid_BCYX, side)[at_B]
        keys_B = corpus.keys_N[start + at_B]
        yield Batch(ImageBatch(grid_BCYX=grid_BCYX), corpus.collate_texts(texts), keys_B)
