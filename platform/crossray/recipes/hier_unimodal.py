"""Recipes of HIER, stage 1: the towers of a stage 2 recipe, trained without pairs."""

from __future__ import annotations

from dataclasses import replace

from crossray.data.transforms import AugmentConfig
from crossray.methods.hier import HierUnimodalConfig
from crossray.methods.recipe import Recipe
from crossray.recipes.hier import hier_base, hier_tiny

_VIEWS = AugmentConfig(min_scale=0.5, aspect=1.2, rotation=10.0, brightness=0.2, contrast=0.2)


def hier_unimodal_tiny() -> Recipe:
    """The towers of `hier_tiny`, on two CPU cores in minutes; momentum and queue fit few steps."""
    aligned = hier_tiny()
    return replace(
        aligned,
        name="hier_unimodal_tiny",
        method=HierUnimodalConfig(
            image=aligned.method.image,
            text=aligned.method.text,
            embedding=64,
            hidden=256,
            momentum=0.99,
            queue=512,
            decoder=32,
        ),
        augment=_VIEWS,
        train=replace(aligned.train, epochs=5, select_by="last"),
    )


def hier_unimodal_base() -> Recipe:
    """The towers of `hier_base`, for A100s, in float32: the slow encoder takes thousandths."""
    aligned = hier_base()
    return replace(
        aligned,
        name="hier_unimodal_base",
        method=HierUnimodalConfig(
            image=aligned.method.image, text=aligned.method.text, embedding=256
        ),
        augment=_VIEWS,
        deepspeed=replace(aligned.deepspeed, bf16=False),
        train=replace(aligned.train, select_by="last"),
    )
