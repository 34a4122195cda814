"""CMFG: attention-guided multimodal graph network for image-text matching.

Patches and sub-words are the nodes of one graph, attention weighs its edges, graph convolutions
refine the nodes, pooled nodes are compared. `graph.py` holds the equations, `network.py` what is
learned in them, `model.py` puts them together.
"""

from __future__ import annotations

from crossray.methods.cmfg.ablation import CMFG
from crossray.methods.cmfg.model import Cmfg, CmfgConfig
from crossray.methods.cmfg.recipes import cmfg_base, cmfg_pretrained_tiny, cmfg_tiny
from crossray.methods.entry import MethodEntry

__all__ = ["METHOD", "Cmfg", "CmfgConfig"]

METHOD = MethodEntry(
    configs=(CmfgConfig,),
    recipes=(
        cmfg_tiny,
        cmfg_pretrained_tiny,
        cmfg_base,
    ),
    ablations={"cmfg": CMFG},
)
