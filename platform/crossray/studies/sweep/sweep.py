"""Sweep: from data and a search space to a `sweep` artifact."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
from ray import tune
from tyro.conf import Fixed, Suppress, arg
from tyro.constructors import PrimitiveConstructorSpec

from crossray.cluster.room import wait_for_room
from crossray.cluster.start import ensure_ray
from crossray.core import artifacts
from crossray.core.errors import CrossRayError
from crossray.core.inspection import print_stage
from crossray.core.store import resolve, store_root
from crossray.evaluation.report.sweep_report import write_sweep_report
from crossray.evaluation.report.sweep_trial import SweepTrial, finished, picked
from crossray.methods.recipe import Recipe
from crossray.models.training_data import open_training_data
from crossray.stages.recipe_files import recipe_to_dict
from crossray.studies.single_runs import evaluate_once, report_content
from crossray.studies.sweep import strategy
from crossray.studies.sweep.progress import SweepProgress
from crossray.studies.sweep.recipes import write_recipes
from crossray.studies.sweep.request import Request, write_request
from crossray.studies.sweep.results import compare_over_seeds, evaluation, trial_results
from crossray.studies.sweep.space import PAIRS, Space, load_space
from crossray.studies.sweep.trial import Trials, train_trial
from crossray.training.workers import worker_need

_TUNE, _RETRIES, _DRAWN = "tune", 1, 24
_HIDDEN = ("recipe", "space", "resumed", "out")


# Keeps tyro from looking for options within the distributions.
_SPACE = PrimitiveConstructorSpec(
    nargs=1,
    metavar="SPACE",
    instance_from_str=lambda words: load_space(Path(words[0])),
    is_instance=lambda found: isinstance(found, Space),
    str_from_instance=lambda _: ["SPACE"],
)


@dataclass(frozen=True)
class Sweep:
    """Try out a recipe's fields on validation data, and report what they are worth and cost.

    Attributes:
        pairs: the artifact to train on: a name in the store, an absolute path or a URI; nothing for
            a feature set.
        out: the sweep artifact. The trials lie next to it, in a folder of its name with `-trials`.
        recipe: what the trials are made from.
        space: the fields that are searched, and their values.
        features: an artifact with cached outputs of the recipe's frozen towers, made from `pairs`;
            or a feature set.
        teacher: of a student's recipe, the teacher artifact.
        search: what proposes values: every combination, chance, or Optuna's tree-structured Parzen
            estimator, by quality alone or (tpe-pareto) by quality and memory together.
        scheduler: asha stops trials that are behind at epochs 1, 3, 9, ...; pbt lets them go on
            from the weights of better ones with other values.
        trials: how many; by default 24, or the full grid.
        epochs: of all trials together, at most.
        hours: at most.
        concurrent: trials at a time; by default as many as the cluster has room for now.
        seeds: train the top trials with so many seeds each, and test their differences.
        top: how many of them.
        pick: which trial is asked about the test split: the best, or the knee of the front.
    """

    pairs: str | None
    out: str
    recipe: Annotated[Recipe, arg(name="")]
    space: Annotated[Fixed[Suppress[Space]], _SPACE]
    features: str | None = None
    teacher: str | None = None
    search: strategy.SearchMethod = "tpe"
    scheduler: strategy.SchedulerName = "asha"
    trials: int | None = None
    epochs: int | None = None
    hours: float | None = None
    concurrent: int | None = None
    seeds: int = 1
    top: int = 3
    pick: Literal["best", "knee"] = "best"
    resumed: Fixed[Suppress[bool]] = False

    def run(self) -> artifacts.Artifact:
        """Search, measure and publish; prints progress and one line."""
        began = time.monotonic()
        out = resolve(self.out)
        self._check()
        artifacts.check_writable(out)
        data = self._data()
        folder = f"{out}-trials"
        common = Trials(
            self.recipe, folder, store_root(), self.pairs, self.features, self.teacher,
            exploiting=self.scheduler == "pbt",
        )  # fmt: skip
        ensure_ray(training=True, silent=True)
        at_a_time = self.concurrent or strategy.trials_at_a_time(self.recipe.train)
        wait_for_room(worker_need(self.recipe.train))
        if not self.resumed:
            write_request(folder, Request(self.space, self.recipe, self.options()))
        print(f"{self._count()} trials, {at_a_time} at a time", flush=True)
        results = self._tuner(common, at_a_time).fit()
        print("measuring the models of finished trials", flush=True)
        found = sorted(trial_results(results, common), key=lambda trial: trial.name)
        self._require_one(found, folder)
        top = finished(found)[: self.top]
        tables = {}
        if self.seeds > 1:
            tables = compare_over_seeds(top, common, self.seeds, self.space.protocol)
        artifact = self._publish(out, data, found, common, tables, began)
        print_stage(artifact)
        print(f"read it: {artifact.uri}/report.html", flush=True)
        return artifact

    def options(self) -> dict[str, Any]:
        """What resuming needs besides the recipe, the space and the name."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in _HIDDEN
        }

    def _check(self) -> None:
        self.recipe.check()
        if (self.teacher is not None) != self.recipe.needs_teacher:
            raise CrossRayError(
                f"{self.recipe.name} is the recipe of a "
                f"{'teacher; leave --teacher out' if self.teacher else 'student; give --teacher'}."
            )
        if "closed_form" in self.recipe.method.capabilities:
            raise CrossRayError(
                f"{self.recipe.name} is fitted at once and has no epochs to search by; fit it with "
                "each value in turn."
            )
        epochs = self.recipe.train.epochs
        strategy.check_strategy(self.search, self.scheduler, self.space, epochs)
        for name, least in (("trials", 1), ("epochs", 1), ("concurrent", 1), ("seeds", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise CrossRayError(f"--{name} {value} is too few; give {least} or more.")
        if self.search == "grid" and self.trials not in (None, self.space.size()):
            raise CrossRayError(
                f"the grid has {self.space.size()} trials, not {self.trials}; leave --trials out, "
                "or take another --search."
            )

    def _count(self) -> int:
        return self.space.size() if self.search == "grid" else self.trials or _DRAWN

    def _data(self) -> artifacts.Artifact:
        """What is trained on."""
        for name in self.space.listed(PAIRS):
            artifacts.open_artifact(resolve(name), "pairs")
        return open_training_data(self.pairs, self.features, "a sweep").source

    def _tuner(self, common: Trials, at_a_time: int) -> tune.Tuner:
        """A new search, or the one that was stopped."""
        trainable = tune.with_resources(
            partial(train_trial, trials=common), strategy.trial_resources(at_a_time)
        )
        grid = self.search == "grid"
        train, name = self.recipe.train, self.out.rsplit("/", 1)[-1]
        values = self.space.grid(train.seed) if grid else self.space.drawn()
        kept = f"{common.folder}/{_TUNE}"
        if self.resumed and tune.Tuner.can_restore(kept):
            return tune.Tuner.restore(kept, trainable, param_space=values)
        return tune.Tuner(
            trainable,
            param_space=values,
            tune_config=tune.TuneConfig(
                search_alg=strategy.searcher(self.search, train.seed),
                scheduler=strategy.scheduler(self.scheduler, self.space, train.epochs),
                num_samples=1 if grid else self._count(),
                # Optuna needs the result of a trial before it proposes the next one.
                max_concurrent_trials=None if self.search in ("grid", "random") else at_a_time,
                time_budget_s=None if self.hours is None else 3600 * self.hours,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name=_TUNE,
                storage_path=common.folder,
                stop=None if self.epochs is None else strategy.EpochBudget(self.epochs),
                failure_config=tune.FailureConfig(max_failures=_RETRIES),
                callbacks=[SweepProgress(train.select_by, train.epochs, self._count(), name)],
                verbose=0,
            ),
        )

    def _require_one(self, found: Sequence[SweepTrial], folder: str) -> None:
        if finished(found):
            return
        errors = [trial.error for trial in found if trial.error]
        why = f"the first error: {errors[0]}" if errors else "the budget ended before one was done"
        raise CrossRayError(
            f"none of {len(found)} trials trained to its end ({why}); what there is lies in "
            f"{folder}."
        )

    def _publish(
        self,
        out: str,
        data: artifacts.Artifact,
        found: Sequence[SweepTrial],
        common: Trials,
        tables: dict[str, dict[str, pa.Table]],
        began: float,
    ) -> artifacts.Artifact:
        """The artifact with its report; here the final pick meets the test split."""
        pick = picked(found, self.pick)
        assert pick.model is not None
        model = artifacts.open_artifact(pick.model)
        protocol = self.space.protocol
        test = evaluate_once(evaluation(model, common, f"{model.uri}-test", "test", protocol))
        content = report_content(test)
        notes = artifacts.inherited_notes((data,))
        facts = {
            "recipe": self.recipe.name,
            "metric": self.recipe.train.select_by,
            "searched": f"{self._count()} trials by {self.search}, scheduler {self.scheduler}.",
            "test": content["metrics"],
            "pick": {"name": pick.name, "rule": self.pick},
            "seeds": self.seeds,
            "lineage": {
                name: {"uri": artifact.uri, "id": artifact.id}
                for name, artifact in {data.kind: data, "pick": model, "test": test}.items()
            },
            "notes": notes,
        }
        config = {
            "space": self.space.source,
            "recipe": recipe_to_dict(self.recipe),
            **self.options(),
        }
        with artifacts.create(out, "sweep", config, (data, model, test)) as draft:
            metrics = content["protocol"]["headline"]
            report = write_sweep_report(draft.path, found, tables, metrics, facts)
            write_recipes(draft.path, self.recipe, finished(found))
            draft.notes.extend(notes)
            draft.metrics.update(
                trials=len(found),
                items=data.manifest.metrics["splits"]["train"],
                epochs=report["epochs"],
                seconds=round(time.monotonic() - began, 1),
                headline={f"best {self.recipe.train.select_by}": finished(found)[0].quality},
            )
        return artifacts.open_artifact(out)


def _name(trial: Any) -> str:
    return str(trial.trial_id)
