"""HIER: self-supervised hierarchical alignment for annotation-efficient medical retrieval.

Stage 2, alignment at three levels: regions with words, structures with sentences, the whole image
with the whole text. `scores.py` holds the equations, `model.py` puts them together.
"""

from __future__ import annotations

from crossray.methods.hier.model import Hier, HierConfig

__all__ = ["Hier", "HierConfig"]
