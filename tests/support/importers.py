"""Small inputs for importers, and a way to run an importer without Ray."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from crossray.data.ingest.worker import UNIT_COLUMN, IngestWorker
from crossray.data.sources.source import Source

Encode = Callable[..., bytes]
Rows = list[dict[str, Any]]


@pytest.fixture
def encode() -> Encode:
    """Encodes a noise image: `encode("PNG", size=(w, h), mode="RGB", seed=0)`."""

    def make(
        form: str = "JPEG", size: tuple[int, int] = (20, 16), mode: str = "RGB", seed: int = 0
    ) -> bytes:
        noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).convert(mode).save(buffer, format=form)
        return buffer.getvalue()

    return make


@pytest.fixture
def write_table(tmp_path: Path, encode: Encode) -> Callable[..., tuple[str, str]]:
    """Writes rows as a CSV table with one photo for every distinct `image`; gives both paths."""

    def write(rows: Rows, name: str = "set", skip: tuple[str, ...] = ()) -> tuple[str, str]:
        images = tmp_path / name / "images"
        images.mkdir(parents=True)
        for seed, image in enumerate(dict.fromkeys(row.get("image", "") for row in rows)):
            if image and image not in skip:
                (images / image).write_bytes(encode("JPEG", seed=seed))
        table = tmp_path / name / "table.csv"
        with table.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return str(table), str(images)

    return write


@pytest.fixture
def judge() -> Callable[[Source], Rows]:
    """Runs an importer in this process; gives its rows of `WORK_SCHEMA`."""

    def run(source: Source) -> Rows:
        plan = source.plan()
        block = pa.table({UNIT_COLUMN: [json.dumps(unit) for unit in plan.units]})
        rows = [row for table in IngestWorker(plan.reader, 0)(block) for row in table.to_pylist()]
        assert len(rows) == plan.rows
        return rows

    return run
