"""The ablation of HIER, stage 2 (section 6.2, experiment 2; the proposal prints no results)."""

from __future__ import annotations

from typing import Any

from crossray.evaluation.claims import Claim
from crossray.methods.hier import HierConfig
from crossray.methods.hier.model import LEVELS, Level
from crossray.recipes.hier import hier_tiny
from crossray.training.ablation import Ablation, vary
from crossray.training.config import Recipe

PARTS: dict[Level, str] = {
    "region_word": "regions",
    "structure_sentence": "structures",
    "global": "global",
}
REDUNDANT = "The hierarchy's purpose (no gain beyond two levels would make it redundant)"
CLAIMS = (
    Claim("full", "only-global", "mAP@all", "Hypothesis H2", gain=0.18),
    *(Claim("full", f"no-{part}", "mAP@all", REDUNDANT) for part in PARTS.values()),
)


def variants(base: Recipe) -> dict[str, Recipe]:
    """Levels dropped, single levels, the gate off, the weights of the losses fixed.

    The full system has all three levels, gated, with learned weights, on the towers and in the
    sizes of `base`. A single level has nothing to gate.
    """
    method = base.method
    assert isinstance(method, HierConfig)

    def with_levels(levels: tuple[Level, ...], **changes: Any) -> Recipe:
        info_nce = tuple(level for level in method.info_nce if level in levels)
        return vary(full, levels=levels, info_nce=info_nce, **changes)

    full = vary(base, levels=LEVELS, gate=True, level_weighting="uncertainty")
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
    }


HIER = Ablation(hier_tiny, variants, CLAIMS)
