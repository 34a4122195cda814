"""MMDL: multimodal multitask deep learning for X-ray image retrieval."""

from __future__ import annotations

from crossray.methods.mmdl.model import Mmdl, MmdlConfig

__all__ = ["Mmdl", "MmdlConfig"]
