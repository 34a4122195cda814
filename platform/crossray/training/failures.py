"""Which failures of a run are tried again: lost workers, never what would fail in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import ray.train
from ray.exceptions import RayActorError
from ray.train.v2.api.callback import UserCallback

from crossray.cluster.ray_private import worker_health_check_error
from crossray.core.errors import CrossRayError

if TYPE_CHECKING:
    from crossray.cluster.ray_private import TrainRunContext

_LOST = (RayActorError, worker_health_check_error())
# What a program or its data raise, in contrast to a machine, its memory and its network.
_OWN = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


class StopRepeatableFailures(UserCallback):
    """Ends a run for a worker's exception that another try would raise again."""

    def after_exception(
        self, run_context: TrainRunContext, worker_exceptions: dict[int, Exception]
    ) -> None:
        """Called in Ray Train's controller, which retries every failure of a worker otherwise."""
        if (error := repeatable_failure(worker_exceptions)) is not None:
            # The one exception that Ray Train neither retries nor reports by itself.
            raise ray.train.ControllerError(error)


def repeatable_failure(failures: Mapping[int, Exception]) -> CrossRayError | None:
    """The sentence on failures, by rank, that would come again; None where a retry may help.

    Where a worker is lost the others fail too, in any way.
    """
    causes = {rank: getattr(failure, "cause", failure) for rank, failure in failures.items()}
    for cause in causes.values():
        if isinstance(cause, CrossRayError):
            return CrossRayError(_sentence(cause))
    if any(isinstance(failure, _LOST) for failure in failures.values()):
        return None
    for rank, cause in causes.items():
        if isinstance(cause, _OWN):
            return CrossRayError(failed(rank, cause))
    return None


def failed(rank: int, failure: Exception) -> str:
    """The sentence on a worker's exception that is not ours."""
    return f"training worker {rank} failed: {failure!r}; see the traceback above and its log."


def _sentence(error: CrossRayError) -> str:
    """Its words: a process of a data loader puts its traceback before them."""
    last = str(error).rstrip().rsplit("\n", 1)[-1]
    return last.removeprefix(f"{CrossRayError.__module__}.{CrossRayError.__name__}: ")
