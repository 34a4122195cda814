"""Annotation efficiency: a recipe at shrinking fractions of the pairs, with and without stage 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from tyro.conf import Fixed, Suppress

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve
from crossray.data.splits.fractions import ANNOTATED_FRACTIONS
from crossray.data.splits.items import read_items
from crossray.data.splits.splitters import AnnotatedFraction
from crossray.evaluation.report.study_contents import PLAIN, STAGED, write_curves
from crossray.methods.recipe import Recipe
from crossray.stages.recipe_files import recipe_to_dict
from crossray.studies.single_runs import pooled_queries
from crossray.studies.study import FirstStage, Point, SingleRun, Study, by_row, headline


@dataclass(frozen=True)
class AnnotationEfficiency(Study):
    """Train and evaluate a recipe with fewer and fewer pairs, and report what each loses.

    Attributes:
        unimodal: what trains stage 1, on all images and texts of `pairs`, unpaired; None for a
            recipe that has none.
        init: a teacher that the second curve starts from, in place of training stage 1.
        fractions: of the training pairs, 1 among them.
        seeds: so many runs a point, with the seeds from `train.seed` on; each draws other pairs.
        protocol: of the evaluation; by default the one that suits the data.
    """

    pairs: str
    unimodal: Fixed[Suppress[Recipe | None]] = None
    init: str | None = None
    fractions: tuple[float, ...] = ANNOTATED_FRACTIONS
    seeds: int = 1
    protocol: str | None = None

    def check(self) -> None:
        """See `Study.check`."""
        self.recipe.check()
        if 1.0 not in self.fractions or not all(0 < part <= 1 for part in self.fractions):
            raise CrossRayError(
                f"--fractions {' '.join(map(str, self.fractions))} must lie above 0, up to 1, and "
                "have 1 among them, which the others are compared with."
            )
        if self.seeds < 1:
            raise CrossRayError(f"--seeds {self.seeds} trains nothing; give 1 or more.")

    def points(self, data: Artifact) -> list[Point]:
        """By curve, fraction and seed."""
        left = round(min(self.fractions) * len(read_items(data).annotated()))
        if left < self.recipe.train.batch_size:
            raise CrossRayError(
                f"a fraction of {min(self.fractions)} leaves about {left} pairs, fewer than "
                f"train.batch_size={self.recipe.train.batch_size}; lower the batch size or leave "
                "that fraction out."
            )
        curves = [PLAIN] if self.init is None and self.unimodal is None else [PLAIN, STAGED]
        first = self.recipe.train.seed
        return [
            Point(
                f"{curve}, {fraction:g}, seed {seed}",
                f"{fraction:g}/seed-{seed}/{curve.replace(' ', '-')}",
                self.recipe, seed, row=curve, x=fraction,
                split=AnnotatedFraction(fraction, seed=seed),
                pairs=f"{fraction:g}/seed-{seed}/pairs",
                start=self._start(seed) if curve == STAGED else None,
            )
            for curve in curves
            for fraction in sorted(set(self.fractions), reverse=True)
            for seed in range(first, first + self.seeds)
        ]  # fmt: skip

    def _start(self, seed: int) -> FirstStage | str | None:
        if self.init is not None:
            return open_artifact(resolve(self.init), "teacher").uri
        return None if self.unimodal is None else FirstStage(self.unimodal, f"stage-1/seed-{seed}")

    def config(self, runs: Sequence[SingleRun]) -> dict[str, Any]:
        """See `Study.config`."""
        return {
            "annotation": list(self.fractions),
            "seeds": self.seeds,
            "recipe": recipe_to_dict(self.recipe),
            "unimodal": None if self.unimodal is None else recipe_to_dict(self.unimodal),
            "init": self.init,
        }

    def write(
        self, folder: Path, runs: Sequence[SingleRun], facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """See `Study.write`."""
        curves: dict[str, dict[float, dict[str, pa.Table]]] = {}
        pairs = {}
        for curve, found in by_row(runs).items():
            for fraction in dict.fromkeys(run.point.x or 0.0 for run in found):
                seeds = [run for run in found if run.point.x == fraction]
                pairs[f"{fraction:g}"] = len(read_items(seeds[0].data).annotated())
                tables = pooled_queries([run.report for run in seeds])
                curves.setdefault(curve, {})[fraction] = tables
        headline_metrics = facts["protocol"]["headline"]
        return write_curves(
            folder, curves, headline_metrics, {"pairs": pairs, "seeds": self.seeds, **facts}
        )

    def totals(self, report: Mapping[str, Any], runs: Sequence[SingleRun]) -> dict[str, Any]:
        """The average precisions at the smallest fraction and at 1, and the hypothesis."""
        figures = {
            name: value
            for curve, points in report["curves"].items()
            for fraction in (next(iter(points)), list(points)[-1])
            for name, value in headline(
                f"{float(fraction):.0%} {curve}:", points[fraction]["metrics"]
            ).items()
            if ": mAP" in name
        }
        return {"headline": figures, "hypothesis": report["hypothesis"]}
