"""The two blocks of code in the README, run as they stand: ten lines of shell, ten of Python."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.pages import README, ROOT, blocks
from support.serve import serve_running

CAPTIONS = ("a dog jumps over a hurdle", "two children play", "a red car", "the sea at night")
SMALL = "--train.epochs 1 --train.workers 1 --train.batch-size 16 --train.validation-items 6"


def photos(folder: Path) -> None:
    """Sixty pictures, each of a colour and a caption that go together, and their table."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    with (folder / "captions.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "caption"])
        for number in range(60):
            pixels = np.full((64, 64, 3), 60 * (number % 4), np.uint8)
            pixels += noise.integers(0, 40, pixels.shape, np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.jpg")
            table.writerow([f"{number}.jpg", f"{CAPTIONS[number % 4]}, picture {number}"])


def shortened(line: str, port: int) -> str:
    """A line of the README in a size for a test, and on a port of the test."""
    if line.startswith(("python jobs/pretrain.py", "python jobs/distill.py")):
        return f"{line} {SMALL}"
    if line.startswith("crossray serve"):
        return f"{line} --replicas 1 --port {port}"
    if line.startswith("crossray search"):
        return f"{line} --url http://127.0.0.1:{port}"
    return line


@pytest.mark.e2e
def test_what_the_readme_shows_runs(
    ray_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first thing that a newcomer copies, from a folder of pairs to an endpoint, would fail."""
    photos(tmp_path / "photos")
    (tmp_path / "jobs").symlink_to(ROOT / "jobs")
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    (shell,), (python,) = blocks(README, "sh"), blocks(README, "python")
    first, *lines = shell.splitlines()
    assert first.startswith("make cluster && source .venv/bin/activate"), "the tests have a cluster"
    with serve_running(ray_cluster) as port:
        script = "\n".join(["set -e", *(shortened(line, port) for line in lines)])
        answer = run(["bash", "-c", script], tmp_path).splitlines()[-9:]
    assert sum(".jpg" in line for line in answer) == 5, "the hits of the last command"
    printed = run([sys.executable, "-c", python], tmp_path).splitlines()
    assert all(hit.split()[0].endswith(".jpg") for hit in printed[:5])
    assert 0 <= float(printed[-1]) <= 1


def run(command: list[str], folder: Path) -> str:
    """What the command prints; it must succeed."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout
