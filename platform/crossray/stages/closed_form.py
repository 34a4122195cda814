"""Fit a closed-form method: one pass over the training split, in one process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from crossray.core.artifacts import Artifact, create, inherited_notes, open_artifact
from crossray.core.config import to_dict
from crossray.core.inspection import print_stage
from crossray.core.types import Batch, ImageBatch
from crossray.data.corpora.corpus import Corpus, FeatureCorpus
from crossray.data.split import Split
from crossray.data.tokenization import Tokenizer
from crossray.methods.contract import ClosedForm, Method
from crossray.methods.recipe import Recipe
from crossray.model_evaluation.validation import Quality, validate
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict, save_weights
from crossray.models.corpora import pair_corpus
from crossray.training.run import headline

ITEMS_AT_A_TIME = 128


@dataclass(frozen=True)
class Fit:
    """A closed-form method fitted on a source, published like any other teacher.

    Attributes:
        recipe: made to fit the data.
        tokenizer: that of the model; None on a feature set, which has no words.
        source: the `pairs` or `features` artifact that is read.
        out: URI of the teacher artifact.
        parents: of the artifact.
    """

    recipe: Recipe
    tokenizer: Tokenizer | None
    source: Artifact
    out: str
    parents: tuple[Artifact, ...]

    def publish(self) -> Artifact:
        """Fit and publish; prints one line."""
        began = time.monotonic()
        method = self.recipe.method.build()
        assert isinstance(method, ClosedForm)
        corpus = self._corpus("train")
        print(f"fitting on {len(corpus):,} items", flush=True)
        method.eval().fit(paired_features(method, corpus))
        validation = self._validated(method)
        config = to_dict(replace(self.recipe, method=method.config))
        config["method"] = method_to_dict(method.config)
        with create(self.out, "teacher", config, self.parents) as draft:
            save_weights(dict(method.state_dict()), draft.path / WEIGHTS)
            if self.tokenizer is not None:
                self.tokenizer.save(draft.path / TOKENIZER)
            draft.notes.extend(inherited_notes(self.parents))
            draft.metrics.update(
                validation=validation,
                items=len(corpus),
                headline=headline(validation, "validation"),
                seconds=round(time.monotonic() - began, 1),
            )
        model = open_artifact(self.out)
        print_stage(model)
        return model

    def _corpus(self, split: Split) -> Corpus:
        if self.source.kind == "features":
            return FeatureCorpus(self.source, split)
        assert self.tokenizer is not None
        return pair_corpus(self.recipe.method, self.source, split, self.tokenizer)

    def _validated(self, method: ClosedForm) -> Quality:
        """Empty where there is no validation split: nothing was selected by it."""
        if not self.source.manifest.metrics.get("splits", {}).get("val"):
            return {}
        train = self.recipe.train
        return validate(
            method, self._corpus("val"), train.validation_items, train.rerank, "cpu", torch.float32
        )


def paired_features(
    method: Method, corpus: Corpus, items: int = ITEMS_AT_A_TIME
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
