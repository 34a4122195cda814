"""The ablation of HIER, stage 2: its levels and its fusions (docs/methods/hier.md).

The proposal prints no results, so what is claimed are its hypotheses.
"""

from __future__ import annotations

from typing import Any

from crossray.evaluation.significance.claims import Claim
from crossray.methods.ablation import Ablation, vary
from crossray.methods.hier import HierConfig
from crossray.methods.hier.config import LEVELS, Level
from crossray.methods.hier.fusion import FUSIONS
from crossray.methods.recipe import Recipe
from crossray.recipes.hier import hier_tiny

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
