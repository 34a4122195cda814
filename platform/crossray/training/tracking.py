"""Where a run's numbers and lines go: TensorBoard always, MLflow when asked for, the screen."""

import tempfile
from typing import Any, Literal, Protocol

from pyarrow import fs

from crossray.core.distributed import rank
from crossray.core.errors import CrossRayError
from crossray.core.store import filesystem, is_local

Track = Literal["none", "mlflow"]


class Tracker(Protocol):
    """Takes scalars by name and step."""

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Record scalars at a step."""

    def close(self) -> None:
        """Write everything out."""


class TensorBoard:
    """Event files in a folder; an object store gets them when the run ends."""

    def __init__(self, uri: str) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import, needed by one process

        self._uri = uri
        self._folder = filesystem(uri)[1] if is_local(uri) else tempfile.mkdtemp()
        self._writer = SummaryWriter(self._folder)

    def log(self, scalars: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """See `Tracker.close`."""
        self._writer.close()
        if not is_local(self._uri):
            system, path = filesystem(self._uri)
            fs.copy_files(self._folder, path, destination_filesystem=system)


class MLflow:
    """A run of the MLflow server or folder that `MLFLOW_TRACKING_URI` names."""

    def __init__(self, run: str, parameters: dict[str, Any]) -> None:
        self._mlflow = require_mlflow()
        self._mlflow.set_experiment("crossray")
        self._mlflow.start_run(run_name=run)
        self._mlflow.log_params(parameters)

    def log(self, scalars: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        self._mlflow.log_metrics({_plain(k): v for k, v in scalars.items()}, step=step)

    def close(self) -> None:
        """See `Tracker.close`."""
        self._mlflow.end_run()


def _plain(name: str) -> str:
    """MLflow refuses '@', which our metric names have."""
    return name.replace("@", "_at_")


def require_mlflow() -> Any:
    """The `mlflow` module; raises `CrossRayError` where it is not installed."""
    try:
        import mlflow
    except ImportError:
        raise CrossRayError(
            "track=mlflow needs MLflow, which is not installed; run pip install 'crossray[mlflow]'."
        ) from None
    return mlflow


def trackers(uri: str, run: str, track: Track, parameters: dict[str, Any]) -> list[Tracker]:
    """TensorBoard under `uri`, and what else `track` asks for."""
    chosen: list[Tracker] = [TensorBoard(uri)]
    if track == "mlflow":
        chosen.append(MLflow(run, parameters))
    return chosen


def say_once(line: str) -> None:
    """Print a line once, not in every process."""
    if rank() == 0:
        print(line, flush=True)
