"""Repeat a run over seeds or folds: from pairs to one `report` artifact over all runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Annotated, Any

from tyro.conf import arg

from crossray.core.artifacts import (
    Artifact,
    check_writable,
    create,
    open_artifact,
    require_parent,
)
from crossray.core.config import to_dict
from crossray.core.errors import CrossRayError
from crossray.core.inspection import print_stage
from crossray.core.store import resolve
from crossray.data.splits.splitters import Fold
from crossray.data.tokenization import WORDPIECE
from crossray.evaluation.report.repeat_report import Over, write_repeat_report
from crossray.methods.recipe import Recipe
from crossray.stages.evaluate import Evaluate
from crossray.stages.pretrain import Pretrain
from crossray.stages.recipe_files import recipe_to_dict
from crossray.stages.split import resplit
from crossray.studies.resplit_features import deal_features
from crossray.studies.single_runs import (
    evaluate_once,
    made_before,
    report_content,
    train_once,
)

SEEDS = 5


@dataclass(frozen=True)
class Repeat:
    """Train and evaluate a recipe several times, and report the spread of every metric.

    Attributes:
        pairs: the artifact to train and test on: a name in the store, an absolute path or a URI.
        out: the report artifact. The single runs lie beside it, in a folder of its name with
            `-runs`; those that are finished are taken when the job is started again.
        recipe: the method and everything that trains it.
        features: an artifact with cached outputs of the recipe's frozen towers, made from `pairs`.
        seeds: so many runs, with the seeds from `train.seed` on; 5 when `folds` is not given.
        folds: so many runs, each on a split of its own in which another fold tests.
        protocol: of the evaluation; by default the one that suits the data.
    """

    pairs: str
    out: str
    recipe: Annotated[Recipe, arg(name="")]
    features: str | None = None
    seeds: int | None = None
    folds: int | None = None
    protocol: str | None = None

    def run(self) -> Artifact:
        """Train, evaluate and publish; prints progress and one line."""
        self._check()
        check_writable(out := resolve(self.out))
        pairs = open_artifact(resolve(self.pairs), "pairs")
        if self.features is not None:
            require_parent(open_artifact(resolve(self.features), "features"), pairs)
        runs: dict[str, tuple[Artifact, Artifact]] = {}
        for name, data, recipe in self._plans(pairs, f"{out}-runs"):
            print(f"run {name}", flush=True)
            runs[name] = self._train_and_evaluate(f"{out}-runs/{name}", data, recipe)
        artifact = self._publish(out, pairs, runs)
        print_stage(artifact)
        print(f"read it: {artifact.uri}/report.html", flush=True)
        return artifact

    def _publish(
        self, out: str, pairs: Artifact, runs: dict[str, tuple[Artifact, Artifact]]
    ) -> Artifact:
        """The report over all runs."""
        over: Over = "seeds" if self.folds is None else "folds"
        reports = {name: report for name, (_, report) in runs.items()}
        config = {
            "repeat": over,
            "runs": list(runs),
            "split": "test",
            "protocol": next(iter(reports.values())).manifest.config["protocol"],
            "recipe": recipe_to_dict(self.recipe),
        }
        lineage = {
            name: {"uri": artifact.uri, "id": artifact.id}
            for name, artifact in {"pairs": pairs, **reports}.items()
        }
        with create(out, "report", config, (pairs, *reports.values())) as draft:
            contents = {name: report_content(report) for name, report in reports.items()}
            notes = pairs.manifest.notes
            report = write_repeat_report(draft.path, contents, over, lineage, notes)
            draft.notes.extend(notes)
            draft.metrics.update(report["metrics"], **_totals(runs, over))
        return open_artifact(out)

    def _check(self) -> None:
        if self.seeds is not None and self.folds is not None:
            raise CrossRayError(
                "--seeds and --folds are two ways to repeat a run: give one of them."
            )
        if self.seeds is not None and self.seeds < 2:
            raise CrossRayError(f"--seeds {self.seeds} has no spread: give 2 or more.")
        if self.folds is not None and self.folds < 3:
            raise CrossRayError(
                f"--folds {self.folds} leaves none to train on, since one fold tests and one "
                "validates: give 3 or more."
            )
        learnt = self.recipe.tokenizer.source == WORDPIECE
        if self.folds is not None and self.features is not None and learnt:
            raise CrossRayError(
                "the vocabulary of these features was learnt from the training split of the pairs, "
                "and every fold has another: leave --features out, or repeat over --seeds."
            )
        self.recipe.check()

    def _plans(self, pairs: Artifact, folder: str) -> Iterator[tuple[str, Artifact, Recipe]]:
        """Name, pairs and recipe of every run; the pairs of a fold are made when it is due."""
        first = self.recipe.train.seed
        if self.folds is None:
            for seed in range(first, first + (self.seeds or SEEDS)):
                train = replace(self.recipe.train, seed=seed)
                yield f"seed-{seed}", pairs, replace(self.recipe, train=train)
            return
        for number in range(1, self.folds + 1):
            maker, name = Fold(number, self.folds, seed=first), f"fold-{number}"
            yield name, _fold(pairs, maker, f"{folder}/{name}/pairs"), self.recipe

    def _train_and_evaluate(
        self, folder: str, pairs: Artifact, recipe: Recipe
    ) -> tuple[Artifact, Artifact]:
        """The teacher and the report of one run, made now or before."""
        features = self._features(folder, pairs)
        source = None if features is None else features.uri
        teacher = train_once(Pretrain(pairs.uri, f"{folder}/teacher", recipe, source))
        uri = f"{folder}/report" if self.protocol is None else f"{folder}/report-{self.protocol}"
        gpu = recipe.train.use_gpu
        evaluate = Evaluate(teacher.uri, pairs.uri, uri, protocol=self.protocol, use_gpu=gpu)
        return teacher, evaluate_once(evaluate)

    def _features(self, folder: str, pairs: Artifact) -> Artifact | None:
        """The features of a run's pairs: those given, dealt anew for a fold."""
        if self.features is None:
            return None
        given = open_artifact(resolve(self.features), "features")
        if self.folds is None:
            return given
        uri = f"{folder}/features"
        found = made_before(uri, "features", (pairs, given), lambda _: True)
        return found or deal_features(given, pairs, uri)


def _fold(pairs: Artifact, maker: Fold, uri: str) -> Artifact:
    """The pairs of a fold, made now or before."""
    wanted = {"split": maker.name, **to_dict(maker)}
    found = made_before(uri, "pairs", (pairs,), lambda made: made.manifest.config == wanted)
    return found or resplit(pairs, maker, uri)


def _totals(runs: dict[str, tuple[Artifact, Artifact]], over: Over) -> dict[str, Any]:
    """Items tested, seconds of all runs, mean headline figures."""
    metrics = [report.manifest.metrics for _, report in runs.values()]
    stages = [stage.manifest.metrics for run in runs.values() for stage in run]
    return {
        "items": sum(found["items"] for found in metrics[: 1 if over == "seeds" else None]),
        "seconds": round(sum(found["seconds"] for found in stages), 1),
        "headline": {
            name: fmean(found["headline"][name] for found in metrics)
            for name in metrics[0]["headline"]
        },
    }
