"""Every ablation of the registry: its variants can be built, and its claims are about them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation.measures import MEDIAN_RANK
from crossray.methods.hier import HierConfig
from crossray.recipes import get_recipe
from crossray.recipes.ablations import ABLATIONS, get_ablation
from crossray.training.ablate import changes
from crossray.training.ablation import FULL
from crossray.training.single_runs import recipe_to_dict
from support.tiny import CLOSED_FORM, TINY

SIZES = {**TINY, **CLOSED_FORM}


@pytest.mark.parametrize("recipe", ["default", "pretrained_tiny"])
@pytest.mark.parametrize("method", ABLATIONS)
def test_variants_differ_and_claims_name_them(method: str, recipe: str) -> None:
    """Two variants that are one, or a claim about none, would be found after hours of training."""
    ablation = ABLATIONS[method]
    base = ablation.base() if recipe == "default" else get_recipe(f"{method}_{recipe}")
    assert base.method.name == method
    variants = ablation.variants(base)
    assert FULL in variants
    configs = {name: recipe_to_dict(recipe) for name, recipe in variants.items()}
    for number, (name, config) in enumerate(configs.items()):
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name), "names become folders"
        variants[name].check()
        assert config not in list(configs.values())[:number], f"{name} is another one again"
        assert (changes(config, configs[FULL]) == []) == (name == FULL)
    for claim in ablation.claims:
        assert {claim.better, claim.worse} <= variants.keys()
        assert claim.metric != MEDIAN_RANK
        assert claim.source


@pytest.mark.parametrize("method", ABLATIONS)
def test_variants_of_a_tiny_recipe_can_be_built(method: str) -> None:
    """An option that a method refuses would end the job in the middle of the grid."""
    ablation = ABLATIONS[method]
    base = replace(ablation.base(), method=SIZES[method])
    for recipe in ablation.variants(base).values():
        recipe.method.build()


def test_fields_of_the_base_hold_for_all_variants() -> None:
    """`--train.epochs 1` must shorten every run, not only the first."""
    base = ABLATIONS["hier"].base()
    base = replace(base, train=replace(base.train, epochs=1))
    for recipe in ABLATIONS["hier"].variants(base).values():
        assert recipe.train.epochs == 1


def test_the_full_hier_is_whole_on_any_base() -> None:
    """An ablation of a system that lacks a part already says nothing of that part."""
    base = ABLATIONS["hier"].base()
    method = replace(base.method, levels=("global",), gate=False, info_nce=("global",))
    variants = ABLATIONS["hier"].variants(replace(base, method=method))
    full = variants[FULL].method
    assert isinstance(full, HierConfig)
    assert (len(full.levels), full.gate, full.level_weighting) == (3, True, "uncertainty")
    dropped = variants["no-global"].method
    assert isinstance(dropped, HierConfig)
    assert dropped.info_nce == ()


def test_unknown_methods_are_named() -> None:
    """The sentence lists what there is."""
    with pytest.raises(CrossRayError, match=r"no ablation of 'nothing'; choose one of .*hier"):
        get_ablation("nothing")
