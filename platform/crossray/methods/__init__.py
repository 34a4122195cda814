"""Published methods, one folder each; `ENTRIES` is the only list of them."""

from __future__ import annotations

from crossray.methods import (
    ath,
    cca,
    clip,
    cmfg,
    gpldan,
    hier,
    image_features,
    image_ranking,
    mmach,
    mmdl,
)
from crossray.methods.ablation import Ablation
from crossray.methods.config import MethodConfig
from crossray.methods.entry import RecipeMaker

ENTRIES = tuple(
    folder.METHOD
    for folder in (
        hier,
        clip,
        cmfg,
        cca,
        mmdl,
        image_features,
        image_ranking,
        ath,
        gpldan,
        mmach,
    )
)

METHODS: dict[str, type[MethodConfig]] = {
    config.name: config for entry in ENTRIES for config in entry.configs
}
RECIPES: dict[str, RecipeMaker] = {
    recipe.__name__: recipe for entry in ENTRIES for recipe in entry.recipes
}
ABLATIONS: dict[str, Ablation] = {
    name: ablation for entry in ENTRIES for name, ablation in entry.ablations.items()
}
FIRST_STAGES: dict[str, str] = {
    recipe.__name__: first.__name__
    for entry in ENTRIES
    for recipe, first in entry.first_stages.items()
}
