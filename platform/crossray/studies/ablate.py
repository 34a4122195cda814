"""Ablate a method: what each of its parts is worth."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tyro.conf import Fixed, Suppress

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.methods.ablation import FULL, Ablation
from crossray.methods.recipe import Recipe
from crossray.stages.evaluate import Evaluate
from crossray.stages.recipe_files import recipe_to_dict
from crossray.studies.study import FirstStage, Point, SingleRun, Study, headline, write_comparison


@dataclass(frozen=True)
class Ablate(Study):
    """Train and evaluate every variant of a method, and report what each part is worth.

    Attributes:
        pairs: the artifact to train and test on: a name in the store, an absolute path or a URI;
            nothing for a feature set.
        ablation: the method's variants and the paper's claims.
        features: an artifact with cached outputs of the recipe's frozen towers, made from `pairs`;
            or a feature set.
        only: the variants to run besides the full system; nothing runs all. Claims about others
            are left out.
        seeds: so many runs a variant, with the seeds from `train.seed` on.
        protocol: of the evaluation; by default the paper's, or the one that suits the data.
        codes: bits of the codes, for a protocol that ranks codes.
        query_labels: labels, separated by commas: only items with one of them ask, in the
            complete split, as for labels that were held out.
    """

    ablation: Fixed[Suppress[Ablation]]
    features: str | None = None
    only: tuple[str, ...] = ()
    seeds: int = 1
    protocol: str | None = None
    codes: int | None = None
    query_labels: str | None = None

    def check(self) -> None:
        """See `Study.check`."""
        if self.seeds < 1:
            raise CrossRayError(f"--seeds {self.seeds} trains nothing; give 1 or more.")
        for recipe in (*self.variants().values(), *self._starts().values()):
            recipe.check()

    def variants(self) -> dict[str, Recipe]:
        """Those that are run, by name."""
        variants = self.ablation.variants(self.recipe)
        if unknown := set(self.only) - variants.keys():
            raise CrossRayError(
                f"there is no variant {', '.join(sorted(unknown))} of {self.recipe.method.name}; "
                f"choose among {', '.join(variants)}."
            )
        wanted = {FULL, *self.only} if self.only else variants.keys()
        return {name: recipe for name, recipe in variants.items() if name in wanted}

    def _starts(self) -> dict[str, Recipe]:
        return self.ablation.first_stages(self.recipe)

    def points(self, data: Artifact) -> list[Point]:
        """See `Study.points`."""
        starts, first = self._starts(), self.recipe.train.seed
        return [
            Point(
                f"{name}, seed {seed}", (folder := f"{name}/seed-{seed}"), recipe, seed, row=name,
                start=FirstStage(starts[name], f"{folder}/stage-1") if name in starts else None,
                query_labels=self.query_labels,
            )
            for name, recipe in self.variants().items()
            for seed in range(first, first + self.seeds)
        ]  # fmt: skip

    def evaluation(
        self, point: Point, teacher: Artifact, pairs: str | None, where: str
    ) -> Evaluate:
        """On the cached features, if there are any; its folder names what the report depends on."""
        protocol, labels = self.protocol or self.ablation.protocol, self.query_labels
        asked = labels and re.sub(r"[^a-z0-9]+", "-", labels.lower())
        terms = [term for term in ("report", protocol, self.codes, asked) if term is not None]
        return replace(
            super().evaluation(point, teacher, pairs if self.features is None else None, where),
            out=f"{where}/{'-'.join(map(str, terms))}",
            features=self.features,
            protocol=protocol,
            codes=self.codes,
        )

    def config(self, runs: Sequence[SingleRun]) -> dict[str, Any]:
        """See `Study.config`."""
        return {
            "ablation": self.recipe.method.name,
            "variants": described(self.variants(), self._starts()),
            "seeds": self.seeds,
            "query_labels": self.query_labels,
        }

    def write(
        self, folder: Path, runs: Sequence[SingleRun], facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """See `Study.write`."""
        starts = self._starts()
        recipes = described(self.variants(), starts)
        claims = [c for c in self.ablation.claims if {c.better, c.worse} <= recipes.keys()]
        metrics = (*facts["protocol"]["headline"], *(claim.metric for claim in claims))
        name = self.recipe.method.name
        return write_comparison(
            folder,
            runs,
            FULL,
            list(dict.fromkeys(metrics)),
            {row: changes(recipe, recipes[FULL]) for row, recipe in recipes.items()},
            {
                "title": f"Ablation of {name}{', stage 1' if starts else ''}",
                "ablation": name,
                "seeds": self.seeds,
                "split": "test",
                **facts,
            },
            claims,
        )

    def totals(self, report: Mapping[str, Any], runs: Sequence[SingleRun]) -> dict[str, Any]:
        """The headline figures of the full system."""
        return {"headline": headline("full", report["variants"][FULL]["metrics"])}


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
