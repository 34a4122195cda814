"""What a trial's model costs, and what its codes are worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import faiss
import numpy as np
import torch

from crossray.core.artifacts import Artifact
from crossray.data.corpora.corpus import PairCorpus
from crossray.evaluation.report.sweep_trial import BITS_PER_BYTE
from crossray.index.kinds import KINDS
from crossray.methods.recipe import TrainConfig
from crossray.model_evaluation.evaluation_data import asked
from crossray.model_evaluation.validation import Quality, validate
from crossray.models.code_scorer import CodeScorer
from crossray.models.encoder import Encoded, ModelEncoder
from crossray.studies.sweep.trial import stored_bits

GALLERY = 100_000
_QUERIES, _WARM_UP, _SHOWN = 32, 4, 10


class Measured(NamedTuple):
    """`quality`: None for a method without codes. `milliseconds`: None on a feature set."""

    quality: float | None
    bits: int
    milliseconds: float | None


def measure(
    model: Artifact, pairs: str | None, features: str | None, train: TrainConfig
) -> Measured:
    """The metric of the model's codes on validation data, an item's bits and a query's time.

    The metric is `train.select_by`, the mean of the directions, over as many items as training
    looks at. The time is the median of validation texts (of images, where images are asked for by
    images), each encoded with its tower and searched exactly among `GALLERY` random items.
    """
    split = train.validation_split
    opened = asked(model, None, features) if features else asked(model, pairs, None)
    method, corpus = opened.method, opened.open_split(split)
    quality = None
    if (hashing := method.hashing()) is not None:
        found = validate(
            CodeScorer(hashing), corpus, train.validation_items, 0, "cpu", torch.float32
        )
        quality = mean_quality(found, train.select_by)
    milliseconds = None
    if pairs is not None:
        texts = asked(model, pairs, None).open_split(split)
        assert isinstance(texts, PairCorpus)
        milliseconds = _milliseconds(ModelEncoder(model), texts)
    return Measured(quality, stored_bits(method.config), milliseconds)


def mean_quality(quality: Quality, metric: str) -> float:
    """The mean of a metric over the directions that have it."""
    return float(np.mean([part[metric] for part in quality.values() if metric in part]))


def _milliseconds(encoder: ModelEncoder, corpus: PairCorpus) -> float:
    """The median of `_QUERIES` queries, after `_WARM_UP` others."""
    search = _gallery(encoder.dim, encoder.bits)
    seconds = []
    for ask in islice(_queries(encoder, corpus), _WARM_UP + _QUERIES):
        began = time.perf_counter()
        search(ask())
        seconds.append(time.perf_counter() - began)
    return 1000 * float(np.median(seconds[_WARM_UP:] or seconds))


def _queries(encoder: ModelEncoder, corpus: PairCorpus) -> Iterator[Callable[[], Encoded]]:
    for row in range(len(corpus)):
        if encoder.reads_texts:
            text = corpus.text(row, 0)
            yield lambda text=text: encoder.texts([text])  # type: ignore[misc]
        else:
            picture = corpus.picture(row)
            yield lambda picture=picture: encoder.images([picture])  # type: ignore[misc]


def _gallery(width: int, codes: int) -> Callable[[Encoded], object]:
    """An exact search among random codes, or random vectors: its time does not hang on them."""
    random = np.random.default_rng(0)
    if codes:
        index = faiss.IndexBinaryFlat(codes)
        index.add(random.integers(0, 256, (GALLERY, codes // BITS_PER_BYTE), np.uint8))
        return lambda query: index.search(query.codes_BY, _SHOWN)
    vectors_ND = random.standard_normal((GALLERY, width), np.float32)
    floats = KINDS["flat"].empty(vectors_ND.astype(np.float16), 0)
    floats.add(vectors_ND)
    return lambda query: floats.search(query.z_BD, _SHOWN)
