"""The ablation of HIER's stage 1: what its pretext tasks are worth in stage 2.

Every variant is the same stage 2; what differs is the stage 1 that it starts from.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from crossray.evaluation.significance.claims import Claim
from crossray.methods.ablation import FULL, Ablation, vary
from crossray.methods.hier.unimodal import IMAGE_TASKS
from crossray.methods.recipe import Recipe
from crossray.recipes import first_stage, get_recipe
from crossray.recipes.hier import hier_tiny

NONE = "none"
CLAIMS = (Claim(FULL, NONE, "mAP@all", "Question 1 (pretext tasks make up for pairs)"),)


def first_stages(base: Recipe) -> dict[str, Recipe]:
    """No stage 1 (`none`, not listed), its image tasks alone and in pairs, its texts' tasks.

    The full system has all three image tasks, MoCo and masked clinical terms, on the workers of
    `base`.
    """
    first: Recipe = get_recipe(first_stage(base.name))
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


def variants(base: Recipe) -> dict[str, Recipe]:
    """Stage 2 as it is, for every stage 1 and for none."""
    return dict.fromkeys((NONE, *first_stages(base)), base)


HIER_PRETEXT = Ablation(hier_tiny, variants, CLAIMS, first_stages=first_stages)
