"""ATH: attention-based triplet hashing of images; float outputs or codes."""

from __future__ import annotations

from crossray.methods.ath.model import Ath, AthConfig
from crossray.methods.ath.recipes import ath_tiny
from crossray.methods.entry import MethodEntry

__all__ = ["METHOD", "Ath", "AthConfig"]

METHOD = MethodEntry(
    configs=(AthConfig,),
    recipes=(ath_tiny,),
)
