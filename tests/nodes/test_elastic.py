"""A run that loses a node goes on with the others, and grows again when one comes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from crossray.cli import main
from support.sweeps import write_vectors

TESTS = Path(__file__).parents[1]


@pytest.mark.e2e
def test_from_three_to_two_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spot node that is taken away must cost neither the run nor its result."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    write_vectors(tmp_path / "vectors.npz", rows=12_000)
    keys = ["--image-key", "images", "--text-key", "texts", "--label-key", "labels"]
    main(["ingest", "features", str(tmp_path / "vectors.npz"), *keys, "--out", "features"])
    env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    program = [sys.executable, "-m", "support.elastic", str(tmp_path)]
    done = subprocess.run(
        program, cwd=TESTS, env=env, capture_output=True, text=True, timeout=840, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    result = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert result["workers"] == [3, 2, 3]
    common = sorted(set(result["whole"]) & set(result["shaken"]), key=int)
    whole, shaken = ([result[name][step] for step in common] for name in ("whole", "shaken"))
    np.testing.assert_allclose(shaken, whole, rtol=1e-3)
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("whole", "shaken")]
    assert_close(weights[1], weights[0], atol=1e-3, rtol=1e-2)
