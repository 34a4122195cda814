"""What a run and a sweep log reaches Ray's metrics under the names that the dashboards ask for."""

from __future__ import annotations

import pytest

from crossray.studies.sweep.progress import SweepMetrics
from crossray.training.ray_metrics import RayMetrics
from support.metrics import Recorded


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """What is recorded."""
    return Recorded(monkeypatch)


def test_scalars_become_gauges_with_their_names_parts_as_tags(metrics: Recorded) -> None:
    """A panel would show the terms of a loss as one line, or a term of another run."""
    tracker = RayMetrics("teacher-1", workers=4, step=0)
    scalars = {
        "loss/global": 0.5,
        "gradient_norm/all": 3.0,
        "level_weight/global": 1.5,
        "skipped_anchors": 7.0,
        "lr": 1e-4,
        "samples_per_second": 99.0,
        "waiting_share": 0.25,
        "seconds_per_step": 0.1,
        "validation/image_to_text/R@10": 0.75,
    }
    tracker.log(scalars, 1)
    run = {"run": "teacher-1"}
    prefix = "crossray_training"
    assert metrics.of(f"{prefix}_workers", **run) == [4]
    assert metrics.of(f"{prefix}_loss", **run, term="global") == [0.5]
    assert metrics.of(f"{prefix}_gradient_norm", **run, phase="all") == [3.0]
    assert metrics.of(f"{prefix}_observation", **run, name="level_weight/global") == [1.5]
    assert metrics.of(f"{prefix}_observation", **run, name="skipped_anchors") == [7.0]
    assert metrics.of(f"{prefix}_learning_rate", **run) == [1e-4]
    for name in ("samples_per_second", "waiting_share", "seconds_per_step"):
        assert metrics.of(f"{prefix}_{name}", **run) == [scalars[name]]
    tags = {"split": "validation", "direction": "image_to_text", "metric": "R@10"}
    assert metrics.of(f"{prefix}_quality", **run, **tags) == [0.75]
    tracker.log({"loss/global": 0.25}, 2)
    assert metrics.of(f"{prefix}_loss", **run, term="global") == [0.5, 0.25]
    tracker.close()


def test_steps_and_checkpoints_are_counted(metrics: Recorded) -> None:
    """A run that goes on after a loss would count the steps before it again."""
    tracker = RayMetrics("teacher-1", workers=1, step=30)
    tracker.log({"loss/total": 1.0}, 31)
    tracker.log({"loss/total": 1.0}, 40)
    tracker.log({"validation/text_to_image/R@10": 1.0}, 40)
    tracker.log({"checkpoint_seconds": 2.0}, 40)
    tracker.log({"checkpoint_seconds": 3.0}, 55)
    assert sum(metrics.of("crossray_training_steps", run="teacher-1")) == 25
    assert metrics.of("crossray_training_checkpoints", run="teacher-1") == [1.0, 1.0]
    assert metrics.of("crossray_training_checkpoint_seconds", run="teacher-1") == [2.0, 3.0]


def test_a_state_that_no_trial_is_in_any_more_is_empty(metrics: Recorded) -> None:
    """Trials that have ended would be shown as running for ever."""
    sweep = SweepMetrics("sweep-1")
    sweep.update({"PENDING": 3, "RUNNING": 1}, None)
    assert "crossray_sweep_best" not in metrics.names()
    sweep.update({"RUNNING": 2, "TERMINATED": 2}, 0.25)
    trials = {
        state: metrics.of("crossray_sweep_trials", run="sweep-1", state=state)
        for state in ("PENDING", "RUNNING", "TERMINATED")
    }
    assert trials == {"PENDING": [3, 0], "RUNNING": [1, 2], "TERMINATED": [2]}
    assert metrics.of("crossray_sweep_best", run="sweep-1") == [0.25]
