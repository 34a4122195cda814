"""The four dashboards. `python -m crossray.monitoring.boards FOLDER` writes them as JSON."""

import json
from pathlib import Path

from crossray.monitoring.boards.cluster import CLUSTER
from crossray.monitoring.boards.panels import Board
from crossray.monitoring.boards.serving import SERVING
from crossray.monitoring.boards.sweeps import SWEEPS
from crossray.monitoring.boards.training import TRAINING

BOARDS: tuple[Board, ...] = (TRAINING, SWEEPS, CLUSTER, SERVING)


def write(folder: Path) -> None:
    """One JSON file a dashboard, under its name."""
    for board in BOARDS:
        text = json.dumps(board.to_dict(), indent=1, ensure_ascii=False) + "\n"
        (folder / f"{board.name}.json").write_text(text, encoding="utf-8")
