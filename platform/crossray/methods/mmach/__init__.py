"""MMACH: multi-label modality-enhanced attention hashing (Zou et al. 2022).

A label network, fed with the names of an item's labels enriched by its image and its text,
supervises an image and a text hash network. `label_features.py`, `losses.py` and `objective.py`
hold the equations, `triplets.py` the sampler, `networks.py` the three networks, `model.py` what is
published and `training.py` what surrounds it while it is trained.
"""

from __future__ import annotations

from crossray.methods.entry import MethodEntry
from crossray.methods.mmach.ablation import MMACH
from crossray.methods.mmach.config import MmachConfig
from crossray.methods.mmach.model import Mmach
from crossray.methods.mmach.recipes import mmach_base, mmach_pretrained_tiny, mmach_tiny
from crossray.methods.mmach.training import MmachTraining

__all__ = ["METHOD", "Mmach", "MmachConfig", "MmachTraining"]

METHOD = MethodEntry(
    configs=(MmachConfig,),
    recipes=(
        mmach_tiny,
        mmach_pretrained_tiny,
        mmach_base,
    ),
    ablations={"mmach": MMACH},
)
