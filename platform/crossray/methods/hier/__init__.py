"""HIER: self-supervised hierarchical alignment for annotation-efficient medical retrieval.

Stage 1, pretext tasks of images and of texts alone: `unimodal.py`, with its heads in
`pretext_heads.py`. Stage 2, alignment at three levels: regions with words, structures with
sentences, the whole image with the whole text; `scores.py` holds the equations, `model.py` puts
them together.
"""

from __future__ import annotations

from crossray.methods.hier.config import HierConfig
from crossray.methods.hier.model import Hier
from crossray.methods.hier.unimodal import HierUnimodal, HierUnimodalConfig

__all__ = ["Hier", "HierConfig", "HierUnimodal", "HierUnimodalConfig"]
