"""The ablation of CMFG, of which the paper publishes none."""

from __future__ import annotations

from crossray.methods.ablation import Ablation, vary
from crossray.methods.cmfg.model import CmfgConfig
from crossray.methods.cmfg.recipes import cmfg_tiny
from crossray.methods.recipe import Recipe


def variants(base: Recipe) -> dict[str, Recipe]:
    """Edges, edges of every layer, layers, stages, residual, readout and loss, one at a time.

    The full system has both stages and all edges, on the towers and in the sizes of `base`. `mode
    pairwise` learns from every pair of the batch and is scored on every pair.
    """
    method = base.method
    assert isinstance(method, CmfgConfig)
    full = vary(
        base, mode="both", edges="full", edge_mode="static", loss="info_nce", pooling="mean"
    )
    other_reranked = "pairwise" if method.reranked == "sum" else "sum"
    other_layer = "faithful" if method.layer == "residual_ln" else "residual_ln"
    return {
        "full": full,
        "bipartite": vary(full, edges="bipartite"),
        "dynamic-edges": vary(full, edge_mode="dynamic"),
        "edge-types": vary(full, per_edge_type=not method.per_edge_type),
        "one-layer-less": vary(full, layers=max(1, method.layers - 1)),
        "one-layer-more": vary(full, layers=method.layers + 1),
        "only-dual": vary(full, mode="dual", candidates=None),
        "only-pairwise": vary(full, mode="pairwise", candidates=None),
        other_layer.replace("_", "-"): vary(full, layer=other_layer),
        "attention-pooling": vary(full, pooling="attention"),
        "vse": vary(full, loss="vse++"),
        f"reranked-{other_reranked}": vary(full, reranked=other_reranked),
    }


CMFG = Ablation(cmfg_tiny, variants, protocol="cmfg")
