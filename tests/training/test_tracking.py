"""Metrics reach TensorBoard always and MLflow when asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from crossray.training.tracking import trackers


def test_scalars_reach_tensorboard(tmp_path: Path) -> None:
    """People watch a run in TensorBoard; an empty page tells them nothing."""
    (tracker,) = trackers(str(tmp_path), "run", "none", {})
    tracker.log({"loss/total": 0.5}, 1)
    tracker.log({"loss/total": 0.25}, 2)
    tracker.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in events.Scalars("loss/total")] == [0.5, 0.25]


def test_scalars_reach_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --track mlflow the same numbers stand on the MLflow server, '@' spelt out."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(f"file://{tmp_path}/mlflow")
    try:
        for tracker in trackers(str(tmp_path / "tb"), "run", "mlflow", {"recipe": "r"}):
            tracker.log({"validation/image_to_text/R@10": 0.5}, 3)
            tracker.close()
        (run,) = mlflow.search_runs(experiment_names=["crossray"], output_format="list")
        assert run.data.params == {"recipe": "r"}
        assert run.data.metrics == {"validation/image_to_text/R_at_10": 0.5}
    finally:
        mlflow.set_tracking_uri("")
