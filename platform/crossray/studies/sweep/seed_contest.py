"""The top trials of a sweep over several seeds."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.store import exists
from crossray.data.splits.split import Split
from crossray.evaluation.report.sweep_trial import SweepTrial
from crossray.stages.evaluate import Evaluate
from crossray.studies.single_runs import evaluate_once, pooled_queries
from crossray.studies.sweep.trial import Trials


def contest(
    top: Sequence[SweepTrial], trials: Trials, seeds: int, protocol: str | None
) -> dict[str, dict[str, pa.Table]]:
    """By trial and direction, the values of every validation query, seed after seed.

    Each trial is trained with the seeds after its own; what an earlier start has made is taken.
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
