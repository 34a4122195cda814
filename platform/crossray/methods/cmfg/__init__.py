"""CMFG: attention-guided multimodal graph network for image-text matching.

Patches and sub-words are the nodes of one graph, attention weighs its edges, graph convolutions
refine the nodes, pooled nodes are compared. `graph.py` holds the equations, `network.py` what is
learned in them, `model.py` puts them together.
"""

from __future__ import annotations

from crossray.methods.cmfg.model import Cmfg, CmfgConfig

__all__ = ["Cmfg", "CmfgConfig"]
