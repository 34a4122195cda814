"""A run that loses a worker ends with the weights of a run that does not."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from ray.job_submission import JobSubmissionClient
from safetensors.torch import load_file
from torch.testing import assert_close

from crossray.cli import main
from crossray.core.artifacts import open_artifact
from crossray.methods.clip import ClipConfig
from crossray.methods.recipe import Recipe
from crossray.models.artifact import WEIGHTS
from crossray.recipes import get_recipe
from crossray.stages.pretrain import Pretrain
from support.sweeps import write_vectors


def small_recipe() -> Recipe:
    """CLIP's heads on vectors, with dropout, so that random states matter."""
    recipe = get_recipe("clip_pretrained_tiny")
    assert isinstance(recipe.method, ClipConfig)
    method = replace(recipe.method, embedding=16, hidden=32, dropout=0.1)
    train = replace(
        recipe.train, epochs=2, batch_size=24, checkpoint_every=20, validation_items=20, workers=2,
        select_by="R@10",
    )  # fmt: skip
    return replace(recipe, method=method, train=train)


def workers() -> set[int]:
    """Process ids of the training workers of this test session's Ray."""
    own = psutil.Process().children(recursive=True)
    found = set()
    for process in own:
        try:
            if "RayTrainWorker" in " ".join(process.cmdline()):
                found.add(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def kill_one(storage: Path, seen: set[int]) -> None:
    """Kill -9 a training worker once Ray Train knows a checkpoint; note all workers seen."""
    deadline, killed = time.monotonic() + 240, False
    known = "runs/*/train/checkpoint_manager_snapshot.json"
    while time.monotonic() < deadline:
        alive = workers()
        seen |= alive
        if not killed and alive and list(storage.glob(known)):
            psutil.Process(min(alive)).kill()
            killed = True
        if len(seen) >= 4:
            return
        time.sleep(0.3)


@pytest.mark.e2e
def test_killed_worker_resumes_and_ends_equal(
    ray_dashboard: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spot instance that is taken away must cost minutes, not the result.

    The teacher is then evaluated by a submitted job, from a copy of the project.
    """
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    write_vectors(tmp_path / "vectors.npz", rows=1200)
    keys = ["--image-key", "images", "--text-key", "texts", "--label-key", "labels"]
    main(["ingest", "features", str(tmp_path / "vectors.npz"), *keys, "--out", "features"])
    undisturbed = Pretrain(None, "undisturbed", small_recipe(), features="features").run()
    seen: set[int] = set()
    killer = threading.Thread(target=kill_one, args=(tmp_path, seen))
    killer.start()
    teacher = Pretrain(None, "disturbed", small_recipe(), features="features").run()
    killer.join()
    assert len(seen) == 4, "two workers, and two after the loss"
    whole = load_file(tmp_path / "undisturbed" / WEIGHTS)
    resumed = load_file(tmp_path / "disturbed" / WEIGHTS)
    assert whole.keys() == resumed.keys()
    for name, expected in whole.items():
        assert_close(resumed[name], expected, msg=name)
    for name in ("steps", "best_epoch", "validation"):
        assert teacher.manifest.metrics[name] == undisturbed.manifest.metrics[name]
    assert not list(tmp_path.glob("runs/*/train")), "checkpoints are gone, TensorBoard stays"
    assert list(tmp_path.glob("runs/*/tensorboard/events*"))
    evaluated = "python jobs/evaluate.py --model disturbed --features features --out report"
    assert submit(ray_dashboard, evaluated, tmp_path) == "SUCCEEDED"
    report = open_artifact(str(tmp_path / "report"))
    features = open_artifact(str(tmp_path / "features"))
    assert [parent.id for parent in report.manifest.parents] == [teacher.id, features.id]
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    for direction in ("image_to_text", "text_to_image"):
        names = {"R@1", "R@5", "R@10", "median_rank", "mAP@all"}
        assert names <= content["metrics"][direction].keys()
    assert {"protocol", "lineage", "counts"} <= content.keys()


def submit(dashboard: str, entrypoint: str, store: Path) -> str:
    """Run a job as `ray job submit --working-dir .` does; gives how it ended."""
    client = JobSubmissionClient(dashboard)
    job = client.submit_job(
        entrypoint=entrypoint,
        runtime_env={
            "working_dir": str(Path(__file__).parents[2]),
            "env_vars": {"CROSSRAY_STORE": str(store)},
        },
    )
    deadline = time.monotonic() + 180
    while not client.get_job_status(job).is_terminal() and time.monotonic() < deadline:
        time.sleep(0.5)
    return str(client.get_job_status(job))
