"""What a run and an endpoint will need, said before they are paid for."""

from __future__ import annotations

from crossray.planning.plan import RunPlan

__all__ = ["RunPlan"]
