"""The photos of Flickr8k that several benchmarks read."""

from __future__ import annotations

from pathlib import Path

from crossray.core.artifacts import Artifact, open_artifact
from crossray.data.sources.csv import CsvSource
from crossray.stages.ingest import ingest


def photo_pairs(data: Path, uri: Path) -> Artifact:
    """The `pairs` artifact at `uri`, made of `data.csv` and `images/` or found there."""
    if uri.exists():
        return open_artifact(str(uri))
    source = CsvSource(
        table=str(data / "data.csv"),
        images=str(data / "images"),
        text_columns=",".join(f"caption_{number}" for number in range(5)),
        label_column="labels",
        split_column="split",
    )
    return ingest(source, str(uri))
