"""Annotation efficiency: a recipe at shrinking fractions of the pairs, with and without stage 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import Fixed, Suppress, arg

from crossray.core.artifacts import (
    Artifact,
    check_writable,
    create,
    inherited_notes,
    open_artifact,
)
from crossray.core.errors import CrossRayError
from crossray.core.inspection import print_stage
from crossray.core.store import resolve
from crossray.data.splits.fractions import ANNOTATED_FRACTIONS
from crossray.data.splits.items import read_items
from crossray.data.splits.splitters import AnnotatedFraction
from crossray.evaluation.report.annotation_report import PLAIN, STAGED, write_annotation_report
from crossray.methods.recipe import Recipe
from crossray.stages.evaluate import Evaluate
from crossray.stages.pretrain import Pretrain
from crossray.stages.recipe_files import recipe_to_dict
from crossray.studies.single_runs import (
    evaluate_once,
    pooled_queries,
    report_content,
    seeded,
    split_once,
    train_once,
)

Runs = dict[str, dict[float, list[tuple[Artifact, Artifact]]]]  # by curve and fraction, a seed each


@dataclass(frozen=True)
class AnnotationEfficiency:
    """Train and evaluate a recipe with fewer and fewer pairs, and report what each loses.

    Attributes:
        pairs: the artifact to train and test on: a name in the store, an absolute path or a URI.
        out: the report artifact. The single runs lie beside it, in a folder of its name with
            `-runs`; those that are finished are taken when the job is started again.
        recipe: the method and everything that trains it.
        unimodal: what trains stage 1, on all images and texts of `pairs`, unpaired; None for a
            recipe that has none.
        init: a teacher that the second curve starts from, in place of training stage 1.
        fractions: of the training pairs, 1 among them.
        seeds: so many runs a point, with the seeds from `train.seed` on; each draws other pairs.
        protocol: of the evaluation; by default the one that suits the data.
    """

    pairs: str
    out: str
    recipe: Annotated[Recipe, arg(name="")]
    unimodal: Fixed[Suppress[Recipe | None]] = None
    init: str | None = None
    fractions: tuple[float, ...] = ANNOTATED_FRACTIONS
    seeds: int = 1
    protocol: str | None = None

    def run(self) -> Artifact:
        """Train, evaluate and publish; prints progress and one line."""
        check_writable(out := resolve(self.out))
        pairs = open_artifact(resolve(self.pairs), "pairs")
        self._check(pairs)
        folder, runs, counts = f"{out}-runs", Runs(), dict[float, int]()
        first = self.recipe.train.seed
        for seed in range(first, first + self.seeds):
            init = self._stage_1(pairs, f"{folder}/stage-1/seed-{seed}", seed)
            for fraction in sorted(self.fractions, reverse=True):
                where = f"{folder}/{fraction:g}/seed-{seed}"
                data = split_once(pairs, AnnotatedFraction(fraction, seed=seed), f"{where}/pairs")
                counts.setdefault(fraction, len(read_items(data).annotated()))
                for name, start in ((PLAIN, None), (STAGED, init)):
                    if name == PLAIN or start is not None:
                        print(f"{fraction:.0%} of the pairs, {name}, seed {seed}", flush=True)
                        run = self._train_and_evaluate(where, name, data, seed, start)
                        runs.setdefault(name, {}).setdefault(fraction, []).append(run)
        artifact = self._publish(out, pairs, runs, counts)
        print_stage(artifact)
        print(f"read it: {artifact.uri}/report.html", flush=True)
        return artifact

    def _check(self, pairs: Artifact) -> None:
        self.recipe.check()
        if 1.0 not in self.fractions or not all(0 < part <= 1 for part in self.fractions):
            raise CrossRayError(
                f"--fractions {' '.join(map(str, self.fractions))} must lie above 0, up to 1, and "
                "have 1 among them, which the others are compared with."
            )
        if self.seeds < 1:
            raise CrossRayError(f"--seeds {self.seeds} trains nothing; give 1 or more.")
        left = round(min(self.fractions) * len(read_items(pairs).annotated()))
        if left < self.recipe.train.batch_size:
            raise CrossRayError(
                f"a fraction of {min(self.fractions)} leaves about {left} pairs, fewer than "
                f"train.batch_size={self.recipe.train.batch_size}; lower the batch size or leave "
                "that fraction out."
            )

    def _stage_1(self, pairs: Artifact, uri: str, seed: int) -> Artifact | None:
        """The teacher that the second curve starts from, made now or before."""
        if self.init is not None:
            return open_artifact(resolve(self.init), "teacher")
        if self.unimodal is None:
            return None
        print(f"stage 1, seed {seed}", flush=True)
        return train_once(Pretrain(pairs.uri, uri, seeded(self.unimodal, seed)))

    def _train_and_evaluate(
        self, where: str, name: str, data: Artifact, seed: int, init: Artifact | None
    ) -> tuple[Artifact, Artifact]:
        folder, recipe = f"{where}/{name.replace(' ', '-')}", seeded(self.recipe, seed)
        start = None if init is None else init.uri
        teacher = train_once(Pretrain(data.uri, f"{folder}/teacher", recipe, init=start))
        report = "report" if self.protocol is None else f"report-{self.protocol}"
        evaluate = Evaluate(
            teacher.uri, data.uri, f"{folder}/{report}",
            protocol=self.protocol, use_gpu=recipe.train.use_gpu,
        )  # fmt: skip
        return teacher, evaluate_once(evaluate)

    def _publish(
        self, out: str, pairs: Artifact, runs: Runs, counts: Mapping[float, int]
    ) -> Artifact:
        """The report over all fractions; `counts`: training pairs at each."""
        reports = {
            f"{name}, {fraction:g}, seed {seed}": report
            for name, points in runs.items()
            for fraction, found in points.items()
            for seed, (_, report) in enumerate(found, self.recipe.train.seed)
        }
        content = report_content(runs[PLAIN][1.0][0][1])
        facts = {
            "pairs": {f"{fraction:g}": count for fraction, count in counts.items()},
            "seeds": self.seeds,
            "protocol": content["protocol"],
            "baseline": content["baseline"],
            "lineage": {
                name: {"uri": artifact.uri, "id": artifact.id}
                for name, artifact in {"pairs": pairs, **reports}.items()
            },
            "notes": inherited_notes((pairs,)),
        }
        config = {
            "annotation": list(self.fractions),
            "seeds": self.seeds,
            "split": "test",
            "protocol": content["protocol"]["name"],
            "recipe": recipe_to_dict(self.recipe),
            "unimodal": None if self.unimodal is None else recipe_to_dict(self.unimodal),
            "init": self.init,
        }
        curves = {
            name: {
                fraction: pooled_queries([report for _, report in found])
                for fraction, found in points.items()
            }
            for name, points in runs.items()
        }
        with create(out, "report", config, (pairs, *reports.values())) as draft:
            report = write_annotation_report(
                draft.path, curves, content["protocol"]["headline"], facts
            )
            draft.notes.extend(facts["notes"])
            draft.metrics.update(_totals(report, runs))
        return open_artifact(out)


def _totals(report: Mapping[str, Any], runs: Runs) -> dict[str, Any]:
    """Items tested, seconds of all runs, the headline figures at the smallest fraction and at 1."""
    stages = [
        stage.manifest.metrics
        for points in runs.values()
        for found in points.values()
        for run in found
        for stage in run
    ]
    return {
        "items": runs[PLAIN][1.0][0][1].manifest.metrics["items"],
        "seconds": round(sum(stage["seconds"] for stage in stages), 1),
        "hypothesis": report["hypothesis"],
        "headline": {
            f"{float(fraction):.0%} {name}: {metric} {direction.replace('_', ' ')}": value
            for name, points in report["curves"].items()
            for fraction in (next(iter(points)), list(points)[-1])
            for direction, found in points[fraction]["metrics"].items()
            for metric, value in found.items()
            if metric.startswith("mAP")
        },
    }
