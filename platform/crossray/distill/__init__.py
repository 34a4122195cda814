"""Distillation: a small student learns from a teacher's outputs."""

from __future__ import annotations

from crossray.distill.distillation import Distillation, DistillationConfig

__all__ = ["Distillation", "DistillationConfig"]
