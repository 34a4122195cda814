"""One recipe over two seeds, from pairs to one report."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossray.core.artifacts import open_artifact
from crossray.studies.repeat import Repeat
from support.pairs import phantom_pairs
from support.repeats import assert_sums_up, small_recipe


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_two_seeds_give_a_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure without its spread over seeds cannot be told from luck."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    phantom_pairs(str(tmp_path / "pairs"), 100)
    report = Repeat("pairs", "repeat", small_recipe(), seeds=2).run()
    assert_sums_up(report, ["seed-0", "seed-1"])
    teachers = [
        open_artifact(f"{report.uri}-runs/{name}/teacher") for name in ("seed-0", "seed-1")
    ]  # fmt: skip
    assert [t.manifest.config["train"]["seed"] for t in teachers] == [0, 1]
    weights = [t.manifest.payload["model.safetensors"].sha256 for t in teachers]
    assert weights[0] != weights[1], "equal seeds would give a spread of nothing"
