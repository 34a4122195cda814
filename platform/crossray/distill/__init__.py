"""HIER stage 3: a small student with a shared trunk and hash heads, taught by a teacher."""

from __future__ import annotations

from crossray.distill.distillation import Distillation, DistillationConfig
from crossray.distill.student import Student, StudentConfig

__all__ = ["Distillation", "DistillationConfig", "Student", "StudentConfig"]
