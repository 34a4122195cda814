"""Ablations of published methods, one file a method; this dict is the whole registry.

A file has the claims of the paper's table and a function from a recipe to its variants, whose
docstring says which table that is.
"""

from __future__ import annotations

from crossray.core.errors import CrossRayError
from crossray.methods.ablation import Ablation
from crossray.recipes.ablations.cmfg import CMFG
from crossray.recipes.ablations.gpldan import GPLDAN
from crossray.recipes.ablations.hier import HIER
from crossray.recipes.ablations.hier_pretext import HIER_PRETEXT
from crossray.recipes.ablations.mmach import MMACH
from crossray.recipes.ablations.mmdl import MMDL

ABLATIONS: dict[str, Ablation] = {
    "cmfg": CMFG,
    "gpldan": GPLDAN,
    "hier": HIER,
    "hier-pretext": HIER_PRETEXT,
    "mmdl": MMDL,
    "mmach": MMACH,
}


def get_ablation(method: str) -> Ablation:
    """The ablation of that method; raises `CrossRayError` that lists those there are."""
    if method not in ABLATIONS:
        raise CrossRayError(
            f"there is no ablation of {method!r}; choose one of {', '.join(sorted(ABLATIONS))}."
        )
    return ABLATIONS[method]
