"""What is known of one trial of a sweep, and the Pareto front of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crossray.evaluation.metrics.arrays import Floats

State = Literal["finished", "stopped", "failed"]
BITS_PER_BYTE = 8


@dataclass(frozen=True)
class SweepTrial:
    """A trial.

    Attributes:
        name: its id in the sweep.
        values: of the fields that are searched.
        state: trained to its end, stopped before it, or failed.
        curve: the metric on validation data after every epoch, by epoch.
        quality: the best of the curve; of a finished trial whose model makes codes, the metric of
            the codes, which are what is stored.
        bits: an item's code, or its vector in float16; None before the end.
        milliseconds: a query's, encoded and searched; None where it was not measured.
        seconds: it took.
        model: URI of the model of a finished trial.
        error: of a failed trial.
    """

    name: str
    values: Mapping[str, Any]
    state: State
    curve: Mapping[int, float]
    quality: float | None
    bits: int | None = None
    milliseconds: float | None = None
    seconds: float = 0.0
    model: str | None = None
    error: str | None = None

    @property
    def megabytes(self) -> float | None:
        """What a million items take, in units of 10^6 bytes."""
        return None if self.bits is None else self.bits / BITS_PER_BYTE


def costs(trials: Sequence[SweepTrial]) -> Floats:
    """`costs_N3` of finished trials: minus the quality, bits, milliseconds (0 where unmeasured)."""
    return np.array(
        [[-(t.quality or 0.0), t.bits or 0, t.milliseconds or 0.0] for t in trials], np.float64
    ).reshape(-1, 3)


def finished(trials: Sequence[SweepTrial]) -> list[SweepTrial]:
    """Those that trained to their end, the best first."""
    done = [trial for trial in trials if trial.state == "finished"]
    return sorted(done, key=lambda trial: -(trial.quality or 0.0))


def front(trials: Sequence[SweepTrial]) -> list[SweepTrial]:
    """The finished trials that no other beats in quality, memory and latency together."""
    done = finished(trials)
    return [trial for trial, kept in zip(done, pareto_front(costs(done)), strict=True) if kept]


def picked(trials: Sequence[SweepTrial], pick: Literal["best", "knee"]) -> SweepTrial:
    """The finished trial of the best quality, or the knee of the front; expects a finished one."""
    done = finished(trials)
    return done[0] if pick == "best" else done[knee(costs(done))]


def pareto_front(costs_ND: Floats) -> NDArray[np.bool_]:
    """`front_N`: rows that no other row beats; smaller is better in every column.

    A row beats another if it is no worse anywhere and better somewhere; equal rows stand together.
    """
    no_worse_NM = np.all(costs_ND[:, None] <= costs_ND[None], axis=2)
    better_NM = np.any(costs_ND[:, None] < costs_ND[None], axis=2)
    front_N: NDArray[np.bool_] = np.logical_not(np.any(no_worse_NM & better_NM, axis=0))
    return front_N


def knee(costs_ND: Floats) -> int:
    """The row of the front nearest to its ideal point, every column scaled to [0, 1] on the front.

    The compromise solution for the Euclidean distance (Yu 1973); of equals the first. Expects a row
    or more.
    """
    rows = np.flatnonzero(pareto_front(costs_ND))
    front_MD = costs_ND[rows]
    low_D, span_D = front_MD.min(axis=0), np.ptp(front_MD, axis=0)
    scaled_MD = (front_MD - low_D) / np.where(span_D > 0, span_D, 1.0)
    return int(rows[np.linalg.norm(scaled_MD, axis=1).argmin()])
