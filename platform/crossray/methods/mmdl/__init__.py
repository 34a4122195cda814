"""MMDL: multimodal multitask deep learning for X-ray image retrieval."""

from __future__ import annotations

from crossray.methods.entry import MethodEntry
from crossray.methods.mmdl.ablation import MMDL
from crossray.methods.mmdl.model import Mmdl, MmdlConfig
from crossray.methods.mmdl.recipes import (
    ath_mmdl_tiny,
    image_mmdl_pretrained_tiny,
    mmdl_base,
    mmdl_pretrained_tiny,
    mmdl_tiny,
)

__all__ = ["METHOD", "Mmdl", "MmdlConfig"]

METHOD = MethodEntry(
    configs=(MmdlConfig,),
    recipes=(
        mmdl_tiny,
        mmdl_pretrained_tiny,
        mmdl_base,
        image_mmdl_pretrained_tiny,
        ath_mmdl_tiny,
    ),
    ablations={"mmdl": MMDL},
)
