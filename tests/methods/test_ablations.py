"""Every ablation of the registry: its variants can be built, and its claims are about them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.first_rank import MEDIAN_RANK
from crossray.methods.ablation import FULL
from crossray.methods.hier import HierConfig
from crossray.recipes import ABLATIONS, get_ablation, get_recipe
from crossray.studies.ablate import changes, described
from support.tiny import CLOSED_FORM, IMAGE, TEXT, TINY

SIZES = {**TINY, **CLOSED_FORM}


@pytest.mark.parametrize("recipe", ["default", "pretrained_tiny"])
@pytest.mark.parametrize("method", ABLATIONS)
def test_variants_differ_and_claims_name_them(method: str, recipe: str) -> None:
    """Two variants that are one, or a claim about none, would be found after hours of training."""
    ablation = ABLATIONS[method]
    base = ablation.base()
    if recipe != "default" and method in SIZES:
        base = get_recipe(f"{method}_{recipe}")
    assert base.method.name == method.removesuffix("-pretext")
    variants, starts = ablation.variants(base), ablation.first_stages(base)
    assert FULL in variants
    assert starts.keys() <= variants.keys()
    configs = described(variants, starts)
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
    base = ablation.base()
    base = replace(base, method=SIZES[base.method.name])
    for recipe in ablation.variants(base).values():
        recipe.method.build()
    for recipe in ablation.first_stages(base).values():
        recipe.check()
        replace(recipe.method, image=IMAGE, text=TEXT).build()


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


def test_stage_1_runs_on_the_workers_of_the_base() -> None:
    """`--train.workers 1` is meant for all that a job trains."""
    base = ABLATIONS["hier-pretext"].base()
    base = replace(base, train=replace(base.train, workers=1))
    starts = ABLATIONS["hier-pretext"].first_stages(base)
    assert {recipe.train.workers for recipe in starts.values()} == {1}
    assert len(starts) == 12


def test_unknown_methods_are_named() -> None:
    """The sentence lists what there is."""
    with pytest.raises(CrossRayError, match=r"no ablation of 'nothing'; choose one of .*hier"):
        get_ablation("nothing")
