"""GPLDAN: graph pattern loss based diversified attention network, without labels.

`attention.py` holds slots, their attention and the scores of pairs, `corruption.py` the denoising,
`model.py` puts them together; the losses are `losses/graph_pattern.py` and `losses/modality.py`.
"""

from __future__ import annotations

from crossray.methods.entry import MethodEntry
from crossray.methods.gpldan.ablation import GPLDAN
from crossray.methods.gpldan.model import Gpldan, GpldanConfig
from crossray.methods.gpldan.recipes import gpldan_base, gpldan_pretrained_tiny, gpldan_tiny

__all__ = ["METHOD", "Gpldan", "GpldanConfig"]

METHOD = MethodEntry(
    configs=(GpldanConfig,),
    recipes=(
        gpldan_tiny,
        gpldan_pretrained_tiny,
        gpldan_base,
    ),
    ablations={"gpldan": GPLDAN},
)
