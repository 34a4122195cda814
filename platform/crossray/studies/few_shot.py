"""Few shots: a recipe with more and more examples of labels that training never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.data.splits.held_out import DRAWS, HELD_OUT_SHARE, SHOTS
from crossray.data.splits.items import read_items
from crossray.data.splits.splitters import FewShot, ZeroShot
from crossray.stages.recipe_files import recipe_to_dict
from crossray.studies.study import Point, SingleRun, Study, headline, write_comparison


@dataclass(frozen=True)
class FewShots(Study):
    """Train and evaluate a recipe with more and more examples of held-out labels.

    Attributes:
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
    held_out: tuple[str, ...] = ()
    share: float = HELD_OUT_SHARE
    shots: tuple[int, ...] = SHOTS
    draws: int = DRAWS
    split_seed: int = 0
    protocol: str | None = None

    def check(self) -> None:
        """See `Study.check`."""
        self.recipe.check()
        if self.draws < 1 or not self.shots or min(self.shots) < 1:
            raise CrossRayError(
                f"--shots {' '.join(map(str, self.shots))} and --draws {self.draws} count from 1; "
                "give one or more of each."
            )

    def points(self, data: Artifact) -> list[Point]:
        """By number of examples and draw; all draws of zero examples train on the same pairs."""
        items, splits = read_items(data), self._splits()
        # Every split is tried now, so that one without enough examples is not refused hours later.
        (labels,) = {split.split(items).held_out for split in splits.values()}
        print(f"held out: {', '.join(labels)}", flush=True)
        return [
            Point(
                f"{_name(shots)}, draw {draw}", (folder := f"shots-{shots}/draw-{draw}"),
                self.recipe, self.recipe.train.seed + draw, row=_name(shots), x=shots,
                split=split, pairs=f"{folder if shots else 'shots-0'}/pairs",
                query_labels=",".join(labels),
            )
            for (shots, draw), split in splits.items()
        ]  # fmt: skip

    def _splits(self) -> dict[tuple[int, int], ZeroShot]:
        """What splits the pairs, by shots and draw."""
        terms: dict[str, Any] = {
            "seed": self.split_seed, "held_out": self.held_out, "share": self.share
        }  # fmt: skip
        return {
            (shots, draw): FewShot(**terms, shots=shots, draw=draw) if shots else ZeroShot(**terms)
            for shots in (0, *sorted(set(self.shots)))
            for draw in range(self.draws)
        }

    def config(self, runs: Sequence[SingleRun]) -> dict[str, Any]:
        """See `Study.config`."""
        return {
            "few_shot": list(dict.fromkeys(run.point.x for run in runs)),
            "held_out": _held_out(runs),
            "draws": self.draws,
            "recipe": recipe_to_dict(self.recipe),
        }

    def write(
        self, folder: Path, runs: Sequence[SingleRun], facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """See `Study.write`."""
        labels, shots = _held_out(runs), (0, *self.shots)
        title = f"{self.recipe.method.name} with few examples of {', '.join(labels)}"
        return write_comparison(
            folder,
            runs,
            _name(0),
            facts["protocol"]["headline"],
            {_name(n): [f"{_name(n)} of each label in training"] if n else [] for n in shots},
            {"title": title, "held_out": labels, "seeds": self.draws, "split": "test", **facts},
            axis="examples of each label",
        )

    def totals(self, report: Mapping[str, Any], runs: Sequence[SingleRun]) -> dict[str, Any]:
        """The headline figures of every number of examples."""
        variants = report["variants"].items()
        figures = [headline(f"{name}:", found["metrics"]) for name, found in variants]
        return {"headline": {name: value for part in figures for name, value in part.items()}}


def _name(shots: int) -> str:
    return f"{shots} examples" if shots != 1 else "1 example"


def _held_out(runs: Sequence[SingleRun]) -> list[str]:
    return (runs[0].point.query_labels or "").split(",")
