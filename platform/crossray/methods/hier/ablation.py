"""The ablations of HIER: levels and fusions of stage 2, and the pretext tasks of stage 1.

The proposal prints no results, so what is claimed are its hypotheses (docs/methods/hier.md). Every
variant of the second ablation is the same stage 2; what differs is the stage 1 that it starts from.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

from crossray.core.errors import CrossRayError
from crossray.evaluation.significance.claims import Claim
from crossray.methods.ablation import FULL, Ablation, vary
from crossray.methods.hier.config import LEVELS, HierConfig, Level
from crossray.methods.hier.fusion import FUSIONS
from crossray.methods.hier.recipes import FIRST_STAGES, hier_tiny
from crossray.methods.hier.unimodal import IMAGE_TASKS
from crossray.methods.recipe import Recipe

PARTS: dict[Level, str] = {
    "region_word": "regions",
    "structure_sentence": "structures",
    "global": "global",
}
REDUNDANT = "The hierarchy's purpose (no gain beyond two levels would make it redundant)"
CLAIMS = (
    Claim("full", "only-global", "mAP@all", "Hypothesis H2", gain=0.18),
    *(Claim("full", f"no-{part}", "mAP@all", REDUNDANT) for part in PARTS.values()),
    Claim("fusion-mha8", "fusion-concat", "R@10", "Hypothesis H4 (zero-shot)", gain=0.12),
)


def variants(base: Recipe) -> dict[str, Recipe]:
    """Levels dropped, single levels, the gate off, the weights of the losses fixed, the fusions.

    The full system has all three levels, gated, with learned weights, on the towers and in the
    sizes of `base`. A single level has nothing to gate. A fusion stands in the place of levels 1
    and 2: it ranks anew what the global embeddings find.
    """
    method = base.method
    assert isinstance(method, HierConfig)

    def with_levels(levels: tuple[Level, ...], **changes: Any) -> Recipe:
        info_nce = tuple(level for level in method.info_nce if level in levels)
        return vary(full, levels=levels, info_nce=info_nce, **changes)

    full = vary(base, levels=LEVELS, gate=True, level_weighting="uncertainty", fusion=None)
    without = {
        f"no-{part}": with_levels(tuple(other for other in LEVELS if other != level))
        for level, part in PARTS.items()
    }
    only = {f"only-{part}": with_levels((level,), gate=False) for level, part in PARTS.items()}
    return {
        "full": full,
        **without,
        **only,
        "no-gate": vary(full, gate=False),
        "fixed-weights": vary(full, level_weighting="fixed"),
        **{f"fusion-{name}": vary(only["only-global"], fusion=name) for name in FUSIONS},
    }


HIER = Ablation(hier_tiny, variants, CLAIMS)


NONE = "none"
PRETEXT_CLAIMS = (Claim(FULL, NONE, "mAP@all", "Question 1 (pretext tasks make up for pairs)"),)


def first_stages(base: Recipe) -> dict[str, Recipe]:
    """No stage 1 (`none`, not listed), its image tasks alone and in pairs, its texts' tasks.

    The full system has all three image tasks, MoCo and masked clinical terms, on the workers of
    `base`.
    """
    stages = {made.__name__: first for made, first in FIRST_STAGES.items()}
    if base.name not in stages:
        raise CrossRayError(
            f"the recipe {base.name!r} has no unimodal stage; take one of {', '.join(stages)}."
        )
    first = stages[base.name]()
    train = replace(
        first.train,
        workers=base.train.workers,
        use_gpu=base.train.use_gpu,
        cpus_per_worker=base.train.cpus_per_worker,
    )
    full = replace(first, train=train)
    fewer = [tasks for count in (1, 2) for tasks in combinations(IMAGE_TASKS, count)]
    return {
        FULL: full,
        **{"-".join(tasks): vary(full, image_tasks=tasks) for tasks in fewer},
        "no-image-task": vary(full, image_tasks=()),
        "no-text-task": vary(full, masking="none"),
        "random-masking": vary(full, masking="random"),
        "sentence-order": vary(full, sentence_order=0.1),
        "byol": vary(full, objective="byol"),
    }


def pretext_variants(base: Recipe) -> dict[str, Recipe]:
    """Stage 2 as it is, for every stage 1 and for none."""
    return dict.fromkeys((NONE, *first_stages(base)), base)


HIER_PRETEXT = Ablation(hier_tiny, pretext_variants, PRETEXT_CLAIMS, first_stages=first_stages)
