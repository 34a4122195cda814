"""Distillation: a small student learns from a teacher's outputs."""

from crossray.distill.distillation import Distillation, DistillationConfig

__all__ = ["Distillation", "DistillationConfig"]
