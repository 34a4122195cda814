"""The student: one small trunk for images and texts, with codes."""

from crossray.methods.student.model import Student, StudentConfig

__all__ = ["Student", "StudentConfig"]
