"""One trial of a sweep: a Ray Train run with DeepSpeed that reports its epochs to Ray Tune."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyarrow import fs
from ray import tune
from ray.train import Checkpoint
from ray.train.v2.api.callback import UserCallback
from ray.util.queue import Empty, Queue

from crossray.core.store import STORE_VARIABLE, exists
from crossray.methods.config import MethodConfig
from crossray.methods.recipe import Recipe
from crossray.stages.distill import Distill, StudentRecipe
from crossray.stages.pretrain import Pretrain
from crossray.studies.sweep.space import PAIRS, TrialValues, with_fields
from crossray.training.run import Watch

if TYPE_CHECKING:
    from crossray.cluster.ray_private import TrainRunContext

EPOCH, QUALITY, VALUE, BITS, STORAGE = "epoch", "quality", "value", "bits", "storage"
TURN = "turn"
_HALF_FLOAT_BITS = 16
_CHECKPOINT = "checkpoint"
_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class Trials:
    """What all trials of a sweep have in common.

    Attributes:
        recipe: what the values of a trial are put into.
        folder: URI of the folder of their models.
        store: the sweep's, since a trial's process has another environment.
        pairs, features, teacher: as the jobs take them; with a teacher a trial distils.
        exploiting: trials go on from each other's checkpoints, so Ray Tune gets these.
    """

    recipe: Recipe
    folder: str
    store: str
    pairs: str | None
    features: str | None
    teacher: str | None
    exploiting: bool = False

    def job(self, values: TrialValues, out: str) -> Pretrain | Distill:
        """What trains the values into the model `out`."""
        recipe, pairs = with_fields(self.recipe, values), values.get(PAIRS, self.pairs)
        if self.teacher is None:
            return Pretrain(pairs, out, recipe, self.features)
        assert isinstance(recipe, StudentRecipe)
        return Distill(self.teacher, pairs, out, recipe, self.features)

    def model(self, trial: str) -> str:
        """URI of the model of a trial; nothing is there until it has trained to its end."""
        return f"{self.folder}/{trial}"


def train_trial(values: dict[str, Any], trials: Trials) -> None:
    """Train one trial and report its epochs to Ray Tune.

    Each has `epoch`, `value` (the metric after it, mean of both directions), `quality` (the best
    so far, which the model is kept by), `bits` (of an item), `storage` (URI of what the run
    keeps meanwhile) and `turn`: the epoch, which the last one does not count up, since nothing is
    left then to train with other values.
    """
    os.environ[STORE_VARIABLE] = trials.store
    out = trials.model(tune.get_context().get_trial_id())
    if exists(out):
        return  # finished and reported before the sweep was stopped
    epochs = Queue(actor_options={"num_cpus": 0})
    earlier = tune.get_checkpoint()
    watch = Watch(_EpochReports(epochs), None if earlier is None else _uri(earlier))
    job = trials.job(values, out)
    bits = stored_bits(job.recipe.method)
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(job.run, watch)
        while not (training.done() and epochs.empty()):
            try:
                report = epochs.get(timeout=_SECONDS_BETWEEN_LOOKS)
            except Empty:
                continue
            path = report.pop(_CHECKPOINT)
            keep = trials.exploiting and path is not None
            turn = min(report[EPOCH], job.recipe.train.epochs - 1)
            tune.report(
                {**report, BITS: bits, TURN: turn},
                checkpoint=tune.Checkpoint(path) if keep else None,
            )
        training.result()


def stored_bits(method: MethodConfig) -> int:
    """What an item takes in an index: its code, or its vector in float16."""
    return method.code_bits or _HALF_FLOAT_BITS * method.embedding


class _EpochReports(UserCallback):
    """Passes on every epoch that was judged, once."""

    def __init__(self, epochs: Queue) -> None:
        self._epochs, self._last = epochs, 0

    def after_report(
        self,
        run_context: TrainRunContext,
        metrics: list[dict[str, Any]],
        checkpoint: Checkpoint | None,
    ) -> None:
        """Called in Ray Train's controller."""
        progress = metrics[0].get("progress")
        if progress is None or progress["epoch"] <= self._last:
            return
        self._last = progress["epoch"]
        self._epochs.put(
            {
                EPOCH: progress["epoch"],
                VALUE: progress["value"],
                QUALITY: progress["best_value"],
                STORAGE: run_context.run_config.storage_path,
                _CHECKPOINT: None if checkpoint is None else _uri(checkpoint),
            }
        )


def _uri(checkpoint: Checkpoint) -> str:
    """Where a checkpoint lies: Ray names an object store's without its scheme."""
    system = checkpoint.filesystem
    if system is None or isinstance(system, fs.LocalFileSystem):
        return checkpoint.path
    return f"{system.type_name}://{checkpoint.path}"
