"""HIER: self-supervised hierarchical alignment for annotation-efficient medical retrieval.

Stage 1, pretext tasks of images and of texts alone: `unimodal.py`, with its heads in
`pretext_heads.py`. Stage 2, alignment at three levels: regions with words, structures with
sentences, the image with the text; `scores.py` holds the equations, `model.py` puts
them together.
"""

from crossray.methods.entry import MethodEntry
from crossray.methods.hier import recipes
from crossray.methods.hier.ablation import HIER, HIER_PRETEXT
from crossray.methods.hier.config import HierConfig
from crossray.methods.hier.model import Hier
from crossray.methods.hier.unimodal import HierUnimodal, HierUnimodalConfig

__all__ = ["METHOD", "Hier", "HierConfig", "HierUnimodal", "HierUnimodalConfig"]

METHOD = MethodEntry(
    configs=(HierConfig, HierUnimodalConfig),
    recipes=(
        recipes.hier_tiny,
        recipes.hier_pretrained_tiny,
        recipes.hier_base,
        recipes.hier_large,
        recipes.hier_unimodal_tiny,
        recipes.hier_unimodal_base,
    ),
    ablations={"hier": HIER, "hier-pretext": HIER_PRETEXT},
    first_stages=recipes.FIRST_STAGES,
)
