"""Ablate a method: from pairs or features to one `report` artifact over all its variants."""

from __future__ import annotations

import re
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
from crossray.evaluation.report.ablation_report import write_ablation_report
from crossray.methods.ablation import FULL, Ablation
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
    train_once,
)


@dataclass(frozen=True)
class Ablate:
    """Train and evaluate every variant of a method, and report what each part is worth.

    Attributes:
        pairs: the artifact to train and test on: a name in the store, an absolute path or a URI;
            nothing for a feature set.
        out: the report artifact. The single runs lie beside it, in a folder of its name with
            `-runs`; those that are finished are taken when the job is started again.
        recipe: what the variants are made from; its fields hold for all of them.
        ablation: the method's variants and the paper's claims.
        features: an artifact with cached outputs of the recipe's frozen towers, made from `pairs`;
            or a feature set.
        only: the variants to run beside the full system; nothing runs all. Claims about others are
            left out.
        seeds: so many runs a variant, with the seeds from `train.seed` on.
        protocol: of the evaluation; by default the paper's, or the one that suits the data.
        codes: bits of the codes, for a protocol that ranks codes.
        query_labels: labels, parted by commas: only items with one of them ask, in the whole split,
            as for labels that were held out.
    """

    pairs: str | None
    out: str
    recipe: Annotated[Recipe, arg(name="")]
    ablation: Fixed[Suppress[Ablation]]
    features: str | None = None
    only: tuple[str, ...] = ()
    seeds: int = 1
    protocol: str | None = None
    codes: int | None = None
    query_labels: str | None = None

    def run(self) -> Artifact:
        """Train, evaluate and publish; prints progress and one line."""
        if self.seeds < 1:
            raise CrossRayError(f"--seeds {self.seeds} trains nothing; give 1 or more.")
        variants = self._variants()
        starts = self.ablation.first_stages(self.recipe)
        for recipe in (*variants.values(), *starts.values()):
            recipe.check()
        check_writable(out := resolve(self.out))
        data = self._data()
        runs: dict[str, list[tuple[Artifact, Artifact]]] = {}
        for name, recipe in variants.items():
            for seed in range(recipe.train.seed, recipe.train.seed + self.seeds):
                print(f"variant {name}, seed {seed}", flush=True)
                folder = f"{out}-runs/{name}/seed-{seed}"
                first = None if name not in starts else seeded(starts[name], seed)
                run = self._train_and_evaluate(folder, seeded(recipe, seed), first)
                runs.setdefault(name, []).append(run)
        artifact = self._publish(out, data, described(variants, starts), runs)
        print_stage(artifact)
        print(f"read it: {artifact.uri}/report.html", flush=True)
        return artifact

    def _variants(self) -> dict[str, Recipe]:
        """Those that are run."""
        variants = self.ablation.variants(self.recipe)
        if unknown := set(self.only) - variants.keys():
            raise CrossRayError(
                f"there is no variant {', '.join(sorted(unknown))} of {self.recipe.method.name}; "
                f"choose among {', '.join(variants)}."
            )
        wanted = {FULL, *self.only} if self.only else variants.keys()
        return {name: recipe for name, recipe in variants.items() if name in wanted}

    def _data(self) -> Artifact:
        """What is trained and tested on."""
        if self.pairs is not None:
            return open_artifact(resolve(self.pairs), "pairs")
        if self.features is None:
            raise CrossRayError("an ablation needs data; give --pairs, --features or both.")
        return open_artifact(resolve(self.features), "features")

    def _train_and_evaluate(
        self, folder: str, recipe: Recipe, first: Recipe | None
    ) -> tuple[Artifact, Artifact]:
        """The teacher and the report of one run, made now or before, from its stage 1 if any."""
        init = None
        if first is not None:
            stage_1 = Pretrain(self.pairs, f"{folder}/stage-1", first, self.features)
            init = train_once(stage_1).uri
        teacher = train_once(Pretrain(self.pairs, f"{folder}/teacher", recipe, self.features, init))
        protocol = self.protocol or self.ablation.protocol
        asked = self.query_labels and re.sub(r"[^a-z0-9]+", "-", self.query_labels.lower())
        terms = ("report", protocol, self.codes, asked)
        name = "-".join(str(term) for term in terms if term is not None)
        evaluate = Evaluate(
            teacher.uri,
            self.pairs if self.features is None else None,
            f"{folder}/{name}",
            features=self.features,
            protocol=protocol,
            codes=self.codes,
            query_labels=self.query_labels,
            use_gpu=recipe.train.use_gpu,
        )
        return teacher, evaluate_once(evaluate)

    def _publish(
        self,
        out: str,
        data: Artifact,
        recipes: Mapping[str, Mapping[str, Any]],
        runs: Mapping[str, list[tuple[Artifact, Artifact]]],
    ) -> Artifact:
        """The report over all variants, whose recipes are given as data."""
        reports = {name: [report for _, report in found] for name, found in runs.items()}
        first = report_content(reports[FULL][0])
        claims = [c for c in self.ablation.claims if {c.better, c.worse} <= recipes.keys()]
        metrics = [*first["protocol"]["headline"], *(claim.metric for claim in claims)]
        singles = {
            f"{name}, seed {number}": report
            for name, found in reports.items()
            for number, report in enumerate(found, self.recipe.train.seed)
        }
        asked = [] if self.query_labels is None else [queries_by_label(self.query_labels)]
        stage_1 = bool(self.ablation.first_stages(self.recipe))
        facts = {
            "title": f"Ablation of {self.recipe.method.name}{', stage 1' if stage_1 else ''}",
            "ablation": self.recipe.method.name,
            "seeds": self.seeds,
            "split": "test",
            "protocol": first["protocol"],
            "baseline": first["baseline"],
            "lineage": {
                name: {"uri": artifact.uri, "id": artifact.id}
                for name, artifact in {data.kind: data, **singles}.items()
            },
            "notes": [*inherited_notes((data,)), *asked],
        }
        config = {
            "ablation": self.recipe.method.name,
            "variants": recipes,
            "seeds": self.seeds,
            "split": "test",
            "protocol": first["protocol"]["name"],
            "query_labels": self.query_labels,
        }
        with create(out, "report", config, (data, *singles.values())) as draft:
            report = write_ablation_report(
                draft.path,
                {name: pooled_queries(found) for name, found in reports.items()},
                FULL,
                list(dict.fromkeys(metrics)),
                claims,
                {name: changes(recipe, recipes[FULL]) for name, recipe in recipes.items()},
                {name: parameters_of(found[0][0]) for name, found in runs.items()},
                facts,
            )
            draft.notes.extend(facts["notes"])
            draft.metrics.update(_totals(report, runs))
        return open_artifact(out)


def described(
    variants: Mapping[str, Recipe], starts: Mapping[str, Recipe]
) -> dict[str, dict[str, Any]]:
    """The recipe of every variant as data, with the stage 1 that it starts from, if any has one."""
    recipes = {name: recipe_to_dict(recipe) for name, recipe in variants.items()}
    for name, recipe in recipes.items() if starts else ():
        recipe["stage_1"] = recipe_to_dict(starts[name]) if name in starts else None
    return recipes


def changes(recipe: Mapping[str, Any], full: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The fields in which a recipe differs from that of the full system, as `field = value`."""
    found = []
    for name, value in recipe.items():
        other = full.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            found += changes(value, other, f"{prefix}{name}.")
        elif value != other:
            found.append(f"{prefix}{name} = {value}")
    return found


def _totals(
    report: Mapping[str, Any], runs: Mapping[str, list[tuple[Artifact, Artifact]]]
) -> dict[str, Any]:
    """Items tested, seconds of all runs, the headline figures of the full system."""
    stages = [stage.manifest.metrics for found in runs.values() for run in found for stage in run]
    return {
        "items": runs[FULL][0][1].manifest.metrics["items"],
        "seconds": round(sum(stage["seconds"] for stage in stages), 1),
        "headline": {
            f"full {metric} {direction.replace('_', ' ')}": value
            for direction, found in report["variants"][FULL]["metrics"].items()
            for metric, value in found.items()
        },
    }
