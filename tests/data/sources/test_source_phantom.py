"""Phantom rows through the ingest engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossray.data.phantom import DISCLAIMER, VERSION, PhantomConfig, generate
from crossray.data.sources.phantom import PhantomSource
from crossray.stages.ingest import ingest
from support.pairs import read_pairs


@pytest.mark.usefixtures("ray_cluster")
def test_rows_are_the_generator_s(tmp_path: Path) -> None:
    """Rows that depend on how the work was cut cannot be reproduced on another cluster."""
    config = PhantomConfig(items=80, seed=11, unpaired=0.2)
    artifact = ingest(PhantomSource(config), str(tmp_path / "pairs"))
    expected = list(generate(config, 0, 80))
    found = read_pairs(artifact).to_pylist()
    for name in ("item_id", "group_id", "split", "image", "texts", "sections", "labels"):
        assert [row[name] for row in found] == [row[name] for row in expected], name
    assert [dict(row["meta"]) for row in found] == [row["meta"] for row in expected]
    assert [[box["label"] for box in row["boxes"]] for row in found] == [
        [box["label"] for box in row["boxes"]] for row in expected
    ]
    assert DISCLAIMER in artifact.manifest.notes
    assert artifact.manifest.config["version"] == str(VERSION)
    assert artifact.manifest.config["phantom"]["seed"] == 11
