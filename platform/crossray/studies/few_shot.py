"""Few shots: a recipe with more and more examples of labels that training never saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import arg

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
from crossray.data.splits.held_out import DRAWS, HELD_OUT_SHARE, SHOTS
from crossray.data.splits.items import read_items
from crossray.data.splits.splitters import FewShot, ZeroShot
from crossray.evaluation.report.ablation_report import write_ablation_report
from crossray.methods.recipe import Recipe
from crossray.stages.evaluate import Evaluate, queries_by_label
from crossray.stages.pretrain import Pretrain
from crossray.stages.recipe_files import recipe_to_dict
from crossray.studies.single_runs import (
    evaluate_once,
    parameters_of,
    pooled_queries,
    report_content,
    seeded,
    split_once,
    train_once,
)

Runs = dict[int, list[tuple[Artifact, Artifact]]]  # by shots, a draw each


@dataclass(frozen=True)
class FewShots:
    """Train and evaluate a recipe with more and more examples of held-out labels.

    Attributes:
        pairs: the artifact to train and test on: a name in the store, an absolute path or a URI.
        out: the report artifact. The single runs lie beside it, in a folder of its name with
            `-runs`; those that are finished are taken when the job is started again.
        recipe: the method and everything that trains it.
        held_out: labels that training does not see but for the examples.
        share: in place of named ones, how many of the labels that test items carry.
        shots: numbers of examples of each held-out label; zero-shot, which they are compared with,
            is run besides.
        draws: so many runs a number of shots, each with other examples and, from `train.seed` on,
            another seed.
        split_seed: of the choice of labels and of the examples.
        protocol: of the evaluation; by default the one that suits the data.
    """

    pairs: str
    out: str
    recipe: Annotated[Recipe, arg(name="")]
    held_out: tuple[str, ...] = ()
    share: float = HELD_OUT_SHARE
    shots: tuple[int, ...] = SHOTS
    draws: int = DRAWS
    split_seed: int = 0
    protocol: str | None = None

    def run(self) -> Artifact:
        """Train, evaluate and publish; prints progress and one line."""
        check_writable(out := resolve(self.out))
        self.recipe.check()
        if self.draws < 1 or not self.shots or min(self.shots) < 1:
            raise CrossRayError(
                f"--shots {' '.join(map(str, self.shots))} and --draws {self.draws} count from 1; "
                "give one or more of each."
            )
        pairs = open_artifact(resolve(self.pairs), "pairs")
        items, makers = read_items(pairs), self._makers()
        for maker in makers.values():  # refused now, not after hours
            labels = maker.split(items).held_out
        print(f"held out: {', '.join(labels)}", flush=True)
        runs = Runs()
        for (shots, draw), maker in makers.items():
            print(f"{_name(shots)}, draw {draw}", flush=True)
            folder = f"{out}-runs/shots-{shots}"
            where = f"{folder}/draw-{draw}/pairs" if shots else f"{folder}/pairs"
            data = split_once(pairs, maker, where)
            run = self._train_and_evaluate(f"{folder}/draw-{draw}", data, labels, draw)
            runs.setdefault(shots, []).append(run)
        artifact = self._publish(out, pairs, labels, runs)
        print_stage(artifact)
        print(f"read it: {artifact.uri}/report.html", flush=True)
        return artifact

    def _makers(self) -> dict[tuple[int, int], ZeroShot]:
        """What splits the pairs, by shots and draw; all draws of zero shots are one."""
        terms: dict[str, Any] = {
            "seed": self.split_seed, "held_out": self.held_out, "share": self.share
        }  # fmt: skip
        return {
            (shots, draw): FewShot(**terms, shots=shots, draw=draw) if shots else ZeroShot(**terms)
            for shots in (0, *sorted(set(self.shots)))
            for draw in range(self.draws)
        }

    def _train_and_evaluate(
        self, folder: str, data: Artifact, labels: tuple[str, ...], draw: int
    ) -> tuple[Artifact, Artifact]:
        recipe = seeded(self.recipe, self.recipe.train.seed + draw)
        teacher = train_once(Pretrain(data.uri, f"{folder}/teacher", recipe))
        evaluate = Evaluate(
            teacher.uri,
            data.uri,
            f"{folder}/{'report' if self.protocol is None else f'report-{self.protocol}'}",
            protocol=self.protocol,
            query_labels=",".join(labels),
            use_gpu=recipe.train.use_gpu,
        )
        return teacher, evaluate_once(evaluate)

    def _publish(self, out: str, pairs: Artifact, labels: tuple[str, ...], runs: Runs) -> Artifact:
        reports = {_name(shots): [report for _, report in found] for shots, found in runs.items()}
        first = report_content(runs[0][0][1])
        singles = {
            f"{name}, draw {draw}": report
            for name, found in reports.items()
            for draw, report in enumerate(found)
        }
        facts = {
            "title": f"{self.recipe.method.name} with few examples of {', '.join(labels)}",
            "held_out": list(labels),
            "seeds": self.draws,
            "split": "test",
            "protocol": first["protocol"],
            "baseline": first["baseline"],
            "lineage": {
                name: {"uri": artifact.uri, "id": artifact.id}
                for name, artifact in {"pairs": pairs, **singles}.items()
            },
            "notes": [*inherited_notes((pairs,)), queries_by_label(",".join(labels))],
        }
        config = {
            "few_shot": list(runs),
            "held_out": list(labels),
            "draws": self.draws,
            "split": "test",
            "protocol": first["protocol"]["name"],
            "recipe": recipe_to_dict(self.recipe),
        }
        with create(out, "report", config, (pairs, *singles.values())) as draft:
            report = write_ablation_report(
                draft.path,
                {name: pooled_queries(found) for name, found in reports.items()},
                _name(0),
                first["protocol"]["headline"],
                (),
                {_name(shots): _examples(shots) for shots in runs},
                {_name(shots): parameters_of(found[0][0]) for shots, found in runs.items()},
                facts,
            )
            draft.notes.extend(facts["notes"])
            draft.metrics.update(_totals(report, runs))
        return open_artifact(out)


def _name(shots: int) -> str:
    return f"{shots} examples" if shots != 1 else "1 example"


def _examples(shots: int) -> list[str]:
    return [f"{_name(shots)} of each label in training"] if shots else []


def _totals(report: Mapping[str, Any], runs: Runs) -> dict[str, Any]:
    """Items tested, seconds of all runs, the headline figures of every number of shots."""
    stages = [stage.manifest.metrics for found in runs.values() for run in found for stage in run]
    return {
        "items": runs[0][0][1].manifest.metrics["items"],
        "seconds": round(sum(stage["seconds"] for stage in stages), 1),
        "headline": {
            f"{name}: {metric} {direction.replace('_', ' ')}": value
            for name, found in report["variants"].items()
            for direction, metrics in found["metrics"].items()
            for metric, value in metrics.items()
        },
    }
