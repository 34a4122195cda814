"""The memory, time and cost of a training run and of an endpoint, before they start."""

from __future__ import annotations

from crossray.planning.plan import RunPlan

__all__ = ["RunPlan"]
