"""MMDL: multimodal multitask deep learning for X-ray image retrieval."""

from crossray.methods.entry import MethodEntry
from crossray.methods.mmdl import recipes
from crossray.methods.mmdl.ablation import MMDL
from crossray.methods.mmdl.model import Mmdl, MmdlConfig

__all__ = ["METHOD", "Mmdl", "MmdlConfig"]

METHOD = MethodEntry(
    configs=(MmdlConfig,),
    recipes=(
        recipes.mmdl_tiny,
        recipes.mmdl_pretrained_tiny,
        recipes.mmdl_base,
        recipes.image_mmdl_pretrained_tiny,
        recipes.ath_mmdl_tiny,
    ),
    ablations={"mmdl": MMDL},
)
