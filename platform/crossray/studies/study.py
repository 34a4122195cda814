"""A study: single runs that answer one question together, and the report over all of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from tyro.conf import arg

from crossray.core import artifacts
from crossray.core.inspection import print_stage
from crossray.core.store import resolve
from crossray.data.splits.splitters import Splitter
from crossray.evaluation.report.study_contents import write_variants
from crossray.evaluation.significance.claims import Claim
from crossray.methods.recipe import Recipe
from crossray.models.training_data import open_training_data
from crossray.stages.evaluate import Evaluate, queries_by_label
from crossray.stages.pretrain import Pretrain
from crossray.studies import single_runs


class FirstStage(NamedTuple):
    """A stage 1 that runs start from: its recipe, and its folder below the study's."""

    recipe: Recipe
    folder: str


@dataclass(frozen=True)
class Point:
    """One run of a study: what is trained on what, and where it counts in the report.

    Attributes:
        name: in the report's lineage; it is printed when the run begins.
        folder: of the run, below the study's; finished runs are found there again.
        recipe: what is trained.
        seed: of the training.
        row: the row of the report that runs of several seeds share.
        x: the place of that row on the plot's axis, where there is one.
        split: what splits the study's pairs for this run; None takes them as they are.
        pairs: the folder of what `split` makes, below the study's.
        start: the teacher that training starts from: a stage 1 or the URI of one that is there.
        query_labels: labels, separated by commas: only items with one of them are queries.
    """

    name: str
    folder: str
    recipe: Recipe
    seed: int
    row: str = ""
    x: float | None = None
    split: Splitter | None = None
    pairs: str = ""
    start: FirstStage | str | None = None
    query_labels: str | None = None


class SingleRun(NamedTuple):
    """A finished run: its point, what it was trained on, its teacher and its report."""

    point: Point
    data: artifacts.Artifact
    teacher: artifacts.Artifact
    report: artifacts.Artifact


@dataclass(frozen=True)
class Study(ABC):
    """Train and evaluate every point, and publish one `report` artifact over all.

    Attributes:
        pairs: the artifact to train and test on: a name in the store, an absolute path or a URI.
        out: the report artifact. The single runs lie next to it, in a folder of its name with
            `-runs`; those that are finished are taken when the job is started again.
        recipe: the method and everything that trains it; its fields hold for all runs.
    """

    pairs: str | None
    out: str
    recipe: Annotated[Recipe, arg(name="")]

    @property
    def features(self) -> str | None:
        """Cached outputs of the recipe's frozen towers, for studies that take them."""
        return None

    @property
    def protocol(self) -> str | None:
        """The protocol of the evaluations; None: the one that suits the data."""
        return None

    @abstractmethod
    def check(self) -> None:
        """Raises `CrossRayError` for what makes no sense, before any data is opened."""

    @abstractmethod
    def points(self, data: artifacts.Artifact) -> Sequence[Point]:
        """The runs in the order of the report; raises `CrossRayError` for what `data` refuses."""

    @abstractmethod
    def config(self, runs: Sequence[SingleRun]) -> dict[str, Any]:
        """What the manifest says besides the split and the protocol."""

    @abstractmethod
    def write(
        self, folder: Path, runs: Sequence[SingleRun], facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write the report into the folder; returns the content of `report.json`."""

    @abstractmethod
    def totals(self, report: Mapping[str, Any], runs: Sequence[SingleRun]) -> dict[str, Any]:
        """What the manifest's metrics hold besides items and seconds: headline figures."""

    def run(self) -> artifacts.Artifact:
        """Train, evaluate and publish; prints progress and one line."""
        self.check()
        artifacts.check_writable(out := resolve(self.out))
        data = open_training_data(self.pairs, self.features, "a study").source
        runs = []
        for point in self.points(data):
            print(point.name, flush=True)
            runs.append(self.run_point(point, data, f"{out}-runs"))
        artifact = self._publish(out, data, runs)
        print_stage(artifact)
        print(f"read it: {artifact.uri}/report.html", flush=True)
        return artifact

    def run_point(self, point: Point, data: artifacts.Artifact, folder: str) -> SingleRun:
        """The teacher and the report of one run, made now or before."""
        where, pairs, features = f"{folder}/{point.folder}", self.pairs, self.features
        if point.split is not None:
            data = single_runs.split_once(data, point.split, f"{folder}/{point.pairs}")
            pairs = data.uri
            if features is not None:
                features = single_runs.features_once(features, data, f"{where}/features").uri
        start = point.start
        if isinstance(start, FirstStage):
            uri, recipe = f"{folder}/{start.folder}", single_runs.seeded(start.recipe, point.seed)
            start = single_runs.train_once(Pretrain(self.pairs, uri, recipe, self.features)).uri
        recipe = single_runs.seeded(point.recipe, point.seed)
        teacher = single_runs.train_once(
            Pretrain(pairs, f"{where}/teacher", recipe, features, start)
        )
        evaluation = self.evaluation(point, teacher, pairs, where)
        return SingleRun(point, data, teacher, single_runs.evaluate_once(evaluation))

    def evaluation(
        self, point: Point, teacher: artifacts.Artifact, pairs: str | None, where: str
    ) -> Evaluate:
        """The evaluation of a run, whose folder is `where`, on the test split of its pairs."""
        name = "report" if self.protocol is None else f"report-{self.protocol}"
        return Evaluate(
            teacher.uri, pairs, f"{where}/{name}", protocol=self.protocol,
            query_labels=point.query_labels, use_gpu=point.recipe.train.use_gpu,
        )  # fmt: skip

    def _publish(
        self, out: str, data: artifacts.Artifact, runs: Sequence[SingleRun]
    ) -> artifacts.Artifact:
        """The report over all runs, with its lineage and totals."""
        reports = {run.point.name: run.report for run in runs}
        first, labels = single_runs.report_content(runs[0].report), runs[0].point.query_labels
        notes = [
            *artifacts.inherited_notes((data,)),
            *([queries_by_label(labels)] if labels else []),
        ]
        facts = {
            "protocol": first["protocol"],
            "baseline": first["baseline"],
            "lineage": {
                name: {"uri": artifact.uri, "id": artifact.id}
                for name, artifact in {data.kind: data, **reports}.items()
            },
            "notes": notes,
        }
        terms = {"split": "test", "protocol": first["protocol"]["name"]}
        parents = (data, *reports.values())
        with artifacts.create(out, "report", {**self.config(runs), **terms}, parents) as draft:
            report = self.write(draft.path, runs, facts)
            stages = [stage.manifest.metrics for run in runs for stage in (run.teacher, run.report)]
            draft.notes.extend(notes)
            draft.metrics.update(
                items=runs[0].report.manifest.metrics["items"],
                seconds=round(sum(stage["seconds"] for stage in stages), 1),
            )
            draft.metrics.update(self.totals(report, runs))
        return artifacts.open_artifact(out)


def by_row(runs: Sequence[SingleRun]) -> dict[str, list[SingleRun]]:
    """The runs of each row of the report, those of all seeds together."""
    rows: dict[str, list[SingleRun]] = {}
    for run in runs:
        rows.setdefault(run.point.row, []).append(run)
    return rows


def write_comparison(
    folder: Path,
    runs: Sequence[SingleRun],
    full: str,
    metrics: Sequence[str],
    changes: Mapping[str, Sequence[str]],
    facts: Mapping[str, Any],
    claims: Sequence[Claim] = (),
    axis: str = "",
) -> dict[str, Any]:
    """Write the report of all rows compared with the row `full`: see `write_variants`."""
    rows = by_row(runs)
    return write_variants(
        folder,
        {
            row: single_runs.pooled_queries([run.report for run in found])
            for row, found in rows.items()
        },
        full,
        metrics,
        changes,
        {row: single_runs.parameters_of(found[0].teacher) for row, found in rows.items()},
        facts,
        claims,
        {row: x for row, found in rows.items() if (x := found[0].point.x) is not None},
        axis,
    )


def headline(prefix: str, metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The metrics of a row, by direction, as the manifest names them."""
    return {
        f"{prefix} {metric} {direction.replace('_', ' ')}": value
        for direction, found in metrics.items()
        for metric, value in found.items()
    }
