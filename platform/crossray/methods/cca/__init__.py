"""CCA: the linear maps under which images and texts correlate most (Hotelling 1936)."""

from __future__ import annotations

from crossray.methods.cca.model import Cca, CcaConfig, Directions, Moments
from crossray.methods.cca.recipes import cca
from crossray.methods.entry import MethodEntry

__all__ = ["METHOD", "Cca", "CcaConfig", "Directions", "Moments"]

METHOD = MethodEntry(
    configs=(CcaConfig,),
    recipes=(cca,),
)
