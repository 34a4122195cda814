"""Repeat a run over seeds or folds: the spread of every metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from crossray.core.artifacts import Artifact, open_artifact, require_parent
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve
from crossray.data.splits.splitters import Fold
from crossray.data.tokenization import WORDPIECE
from crossray.evaluation.report.study_contents import Over, write_spread
from crossray.stages.recipe_files import recipe_to_dict
from crossray.studies.single_runs import report_content
from crossray.studies.study import Point, SingleRun, Study

SEEDS = 5


@dataclass(frozen=True)
class Repeat(Study):
    """Train and evaluate a recipe several times, and report the spread of every metric.

    Attributes:
        features: an artifact with cached outputs of the recipe's frozen towers, made from `pairs`.
        seeds: so many runs, with the seeds from `train.seed` on; 5 when `folds` is not given.
        folds: so many runs, each with another fold as the test split.
        protocol: of the evaluation; by default the one that suits the data.
    """

    pairs: str
    features: str | None = None
    seeds: int | None = None
    folds: int | None = None
    protocol: str | None = None

    @property
    def over(self) -> Over:
        """What differs between the runs."""
        return "seeds" if self.folds is None else "folds"

    def check(self) -> None:
        """See `Study.check`."""
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

    def points(self, data: Artifact) -> list[Point]:
        """A run a seed, or a run a fold with the first seed."""
        if self.features is not None:
            require_parent(open_artifact(resolve(self.features), "features"), data)
        first, recipe = self.recipe.train.seed, self.recipe
        if self.folds is None:
            seeds = range(first, first + (self.seeds or SEEDS))
            return [Point(f"seed-{seed}", f"seed-{seed}", recipe, seed) for seed in seeds]
        splits = {f"fold-{n}": Fold(n, self.folds, seed=first) for n in range(1, self.folds + 1)}
        return [
            Point(name, name, recipe, first, split=split, pairs=f"{name}/pairs")
            for name, split in splits.items()
        ]

    def config(self, runs: Sequence[SingleRun]) -> dict[str, Any]:
        """See `Study.config`."""
        names = [run.point.name for run in runs]
        return {"repeat": self.over, "runs": names, "recipe": recipe_to_dict(self.recipe)}

    def write(
        self, folder: Path, runs: Sequence[SingleRun], facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """See `Study.write`."""
        contents = {run.point.name: report_content(run.report) for run in runs}
        return write_spread(folder, contents, self.over, facts)

    def totals(self, report: Mapping[str, Any], runs: Sequence[SingleRun]) -> dict[str, Any]:
        """The means of all metrics; folds test different items, seeds the same ones."""
        found = [run.report.manifest.metrics for run in runs]
        headlines = [metrics["headline"] for metrics in found]
        tested = [metrics["items"] for metrics in found]
        return {
            **report["metrics"],
            "items": tested[0] if self.folds is None else sum(tested),
            "headline": {name: fmean(line[name] for line in headlines) for name in headlines[0]},
        }
