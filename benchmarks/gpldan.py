"""GPLDAN against CCA on the same frozen features, and what its index loses to its exact scores.

    python benchmarks/gpldan.py --pairs PAIRS --features FEATURES --store DIR [--seeds 0 1 2]

PAIRS and FEATURES are artifacts: `crossray ingest` and `jobs/features.py` made them. Trains
`gpldan_pretrained_tiny` for every seed, evaluates it on the test split and prints, for each seed
and direction, mAP@50[found] by labels: CCA, exact co-attention, the vectors of an index alone, and
the index's first 100 ranked again by co-attention; last one JSON object. CCA and the p-value of
exact co-attention over it are those of the report. What is finished in the store is
taken when the program is started again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from crossray.core.artifacts import Artifact, open_artifact
from crossray.data.corpora.corpus import FeatureCorpus
from crossray.evaluation import get_protocol
from crossray.evaluation.report.report import DIRECTIONS
from crossray.model_evaluation.evaluate_model import evaluate_scores
from crossray.model_evaluation.scoring import (
    ScoreMatrices,
    ahead_of_rest,
    represent_corpus,
    score_represented,
    top_mask,
)
from crossray.models.artifact import load_model
from crossray.recipes import get_recipe
from crossray.stages.evaluate import Evaluate
from crossray.stages.pretrain import Pretrain

RECIPE = "gpldan_pretrained_tiny"
METRIC = "mAP@50[found]"
CANDIDATES = 100


@dataclass(frozen=True)
class Benchmark:
    """Train and measure."""

    pairs: str
    features: str
    store: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    workers: int = 2
    protocol: str = "gpldan_labels"

    def run(self) -> None:
        """Train, evaluate, print."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        for seed in self.seeds:
            teacher, report = self._measured(seed)
            cca = json.loads((report.local() / "report.json").read_text("utf-8"))["reference"]
            index = self._index(teacher)
            found[str(seed)] = {
                direction: {
                    "cca": cca["metrics"][direction][METRIC],
                    "exact": report.manifest.metrics[direction][METRIC],
                    **{name: values[number] for name, values in index.items()},
                    "gain": cca["differences"][direction][METRIC]["mean"],
                    "p": cca["differences"][direction][METRIC]["p_value"],
                }
                for number, direction in enumerate(DIRECTIONS)
            }
            for direction, values in found[str(seed)].items():
                line = "   ".join(f"{name} {value:.4f}" for name, value in values.items())
                print(f"seed {seed}   {direction.replace('_', ' ')}   {line}", flush=True)
        print(json.dumps(found))

    def _measured(self, seed: int) -> tuple[Artifact, Artifact]:
        """The teacher and its report, made now or before."""
        recipe = get_recipe(RECIPE)
        train = replace(recipe.train, seed=seed, workers=self.workers)
        store = self.store.absolute()
        teacher, report = store / f"gpldan-{seed}", store / f"report-gpldan-{seed}"
        if not teacher.exists():
            made = replace(recipe, train=train)
            Pretrain(self.pairs, str(teacher), made, features=self.features).run()
        if not report.exists():
            Evaluate(
                str(teacher), None, str(report), features=self.features, protocol=self.protocol
            ).run()
        return open_artifact(str(teacher)), open_artifact(str(report))

    def _index(self, teacher: Artifact) -> dict[str, list[float]]:
        """What vectors that know no partner give, alone and ranked again, in both directions."""
        corpus = FeatureCorpus(open_artifact(self.features), "test")
        method = load_model(teacher).method
        represented = represent_corpus(method, corpus)
        exact = score_represented(method, represented, rerank=0)
        image_ND, text_CD = (
            torch.cat([block["z"] for block in part])
            for part in (represented.images, represented.texts)
        )
        alone_NC = image_ND @ text_CD.T
        to_text = _ranked_again(torch.from_numpy(exact.image_to_text_NC), alone_NC)
        to_image = _ranked_again(torch.from_numpy(exact.text_to_image_NC).T, alone_NC.T).T
        both = {
            "index": (alone_NC, alone_NC),
            f"index, {CANDIDATES} ranked again": (to_text, to_image),
        }
        protocol, rows = get_protocol(self.protocol), represented.text_rows_C
        return {
            name: [
                result.metrics[METRIC]
                for result in evaluate_scores(
                    ScoreMatrices(*(part.numpy() for part in scores), rows), corpus, protocol, 0
                )
            ]
            for name, scores in both.items()
        }


def _ranked_again(exact_QN: torch.Tensor, alone_QN: torch.Tensor) -> torch.Tensor:
    return ahead_of_rest(exact_QN, alone_QN, top_mask(alone_QN, CANDIDATES))


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
