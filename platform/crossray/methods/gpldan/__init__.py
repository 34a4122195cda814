"""GPLDAN: graph pattern loss based diversified attention network, without labels.

`attention.py` holds slots, their attention and the scores of pairs, `corruption.py` the denoising,
`model.py` puts them together; the losses are `losses/graph_pattern.py` and `losses/modality.py`.
"""

from __future__ import annotations

from crossray.methods.gpldan.model import Gpldan, GpldanConfig

__all__ = ["Gpldan", "GpldanConfig"]
