"""CLIP: the plain dual encoder (Radford et al. 2021, "Learning Transferable Visual Models")."""

from __future__ import annotations

from crossray.methods.clip.model import Clip, ClipConfig
from crossray.methods.clip.recipes import clip_pretrained_tiny
from crossray.methods.entry import MethodEntry

__all__ = ["METHOD", "Clip", "ClipConfig"]

METHOD = MethodEntry(
    configs=(ClipConfig,),
    recipes=(clip_pretrained_tiny,),
)
