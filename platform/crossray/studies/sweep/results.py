"""What a sweep has found: its trials, what their models cost, and the top ones over seeds."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import PurePath
from typing import NamedTuple

import faiss
import numpy as np
import pyarrow as pa
import torch
from ray import tune

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.store import exists
from crossray.data.corpora.corpus import PairCorpus
from crossray.data.split import Split
from crossray.evaluation.report.sweep_trial import BITS_PER_BYTE, State, SweepTrial
from crossray.index.kinds import KINDS
from crossray.methods.recipe import TrainConfig
from crossray.model_evaluation.evaluation_data import open_evaluation_data
from crossray.model_evaluation.validation import Quality, validate
from crossray.models.code_scorer import CodeScorer
from crossray.models.encoder import Encoded, ModelEncoder
from crossray.stages.evaluate import Evaluate
from crossray.studies.single_runs import evaluate_once, pooled_queries
from crossray.studies.sweep.space import TrialValues
from crossray.studies.sweep.trial import EPOCH, STORAGE, VALUE, Trials, stored_bits
from crossray.training.run import forget

GALLERY = 100_000
_QUERIES, _WARM_UP, _SHOWN = 32, 4, 10


def trial_results(results: tune.ResultGrid, trials: Trials) -> Iterator[SweepTrial]:
    """What became of every trial; models of those that ended are measured, one at a time.

    What trials have left in storage is removed; PBT lets one go on elsewhere again and again.
    """
    for number in range(len(results)):
        result = results[number]
        name = PurePath(result.path).name
        curve = _curve(result)
        metrics, values = result.metrics or {}, _values(result)
        seconds = float(metrics.get("time_total_s", 0.0))
        best = max(curve.values(), default=None)
        uri = trials.model(name)
        for storage in _storages(result):
            forget(storage)
        if exists(uri):
            yield _finished(name, values, curve, seconds, uri, trials)
            continue
        state: State = "stopped" if result.error is None else "failed"
        error = None if result.error is None else _sentence(result.error)
        yield SweepTrial(name, values, state, curve, best, seconds=seconds, error=error)


def _finished(
    name: str,
    values: TrialValues,
    curve: dict[int, float],
    seconds: float,
    uri: str,
    trials: Trials,
) -> SweepTrial:
    model, train = open_artifact(uri, ("teacher", "student")), trials.recipe.train
    found = measure_trial(model, trials.pairs, trials.features, train)
    quality = found.quality
    if quality is None:
        quality = mean_quality(model.manifest.metrics[train.selection], train.select_by)
    return SweepTrial(
        name, values, "finished", curve, quality, found.bits, found.milliseconds, seconds, uri
    )


def _values(result: tune.Result) -> TrialValues:
    """What a trial was given; of one that failed at once and was restored only its file knows."""
    if result.config:
        return dict(result.config)
    with result.filesystem.open_input_stream(f"{result.path}/params.json") as stream:
        found: TrialValues = json.loads(stream.read())
    return found


def _curve(result: tune.Result) -> dict[int, float]:
    frame = result.metrics_dataframe
    if frame is None or EPOCH not in frame:
        return {}
    reported = frame[[EPOCH, VALUE]].dropna()
    return {int(epoch): float(value) for epoch, value in reported.itertuples(index=False)}


def _storages(result: tune.Result) -> list[str]:
    frame = result.metrics_dataframe
    return [] if frame is None or STORAGE not in frame else list(frame[STORAGE].dropna().unique())


def _sentence(error: Exception) -> str:
    """The last line of a traceback, which says what it was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else repr(error)


class TrialCost(NamedTuple):
    """What a trial's model costs, and what its codes are worth.

    Attributes:
        quality: the metric of its codes; None for a method without codes.
        bits: of an item in an index.
        milliseconds: of a query; None on a feature set.
    """

    quality: float | None
    bits: int
    milliseconds: float | None


def measure_trial(
    model: Artifact, pairs: str | None, features: str | None, train: TrainConfig
) -> TrialCost:
    """The metric of the model's codes on validation data, an item's bits and a query's time.

    The metric is `train.select_by`, the mean of the directions, over as many items as training
    looks at. The time is the median of validation texts (of images, where images are asked for by
    images), each encoded with its tower and searched exactly among `GALLERY` random items.
    """
    split = train.validation_split
    opened = open_evaluation_data(model, None if features else pairs, features)
    method, corpus = opened.method, opened.open_split(split)
    quality = None
    if (hashing := method.hashing()) is not None:
        found = validate(
            CodeScorer(hashing), corpus, train.validation_items, 0, "cpu", torch.float32,
            train.select_by,
        )  # fmt: skip
        quality = mean_quality(found, train.select_by)
    milliseconds = None
    if pairs is not None:
        texts = open_evaluation_data(model, pairs, None).open_split(split)
        assert isinstance(texts, PairCorpus)
        milliseconds = _milliseconds(ModelEncoder(model), texts)
    return TrialCost(quality, stored_bits(method.config), milliseconds)


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


def compare_over_seeds(
    top: Sequence[SweepTrial], trials: Trials, seeds: int, protocol: str | None
) -> dict[str, dict[str, pa.Table]]:
    """By trial and direction, the values of every validation query, seed after seed.

    Each trial is trained with the seeds after its first; what an earlier start has made is taken.
    """
    found = {}
    for trial in top:
        assert trial.model is not None
        models = [open_artifact(trial.model)]
        recipe = trials.job(trial.values, trial.model).recipe
        for seed in range(recipe.train.seed + 1, recipe.train.seed + seeds):
            print(f"trial {trial.name}, seed {seed}", flush=True)
            models.append(_trained(trial, trials, seed))
        reports = [
            evaluate_once(evaluation(model, trials, f"{model.uri}-val", "val", protocol))
            for model in models
        ]
        found[trial.name] = pooled_queries(reports)
    return found


def evaluation(
    model: Artifact, trials: Trials, out: str, split: Split, protocol: str | None
) -> Evaluate:
    """The evaluation of a trial's model, by its codes where it makes some."""
    config = trials.recipe.method
    codes = int(model.manifest.config["method"]["bits"]) if config.code_bits else None
    features = trials.features if trials.pairs is None else None
    return Evaluate(
        model.uri, trials.pairs, out, features, split, protocol, codes=codes,
        use_gpu=trials.recipe.train.use_gpu,
    )  # fmt: skip


def _trained(trial: SweepTrial, trials: Trials, seed: int) -> Artifact:
    uri = f"{trial.model}-seed-{seed}"
    job = trials.job({**trial.values, "train.seed": seed}, uri)
    return open_artifact(uri, ("teacher", "student")) if exists(uri) else job.run()
