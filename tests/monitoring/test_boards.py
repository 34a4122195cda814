"""The dashboards are what Grafana takes, and their JSON is what the code says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crossray.monitoring.boards import BOARDS, write
from crossray.monitoring.boards.panels import Board, Panel, Series

FOLDER = Path(__file__).parents[2] / "serve" / "dashboards"
NAMES = ("training", "sweeps", "cluster", "serving")


def test_the_files_are_those_that_the_code_writes(tmp_path: Path) -> None:
    """Whoever imports the files sees other panels than `make dashboards` shows.

    `python -m crossray.monitoring.boards serve/dashboards` writes them anew.
    """
    write(tmp_path)
    written = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    assert sorted(written) == sorted(f"{name}.json" for name in NAMES)
    assert written == {f.name: f.read_text(encoding="utf-8") for f in FOLDER.glob("*.json")}


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_can_be_read(name: str) -> None:
    """A picture without title or unit tells nobody what it shows; panels would hide each other."""
    board = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    panels: list[dict[str, Any]] = board["panels"]
    assert len({panel["id"] for panel in panels}) == len({p["title"] for p in panels}) > 2
    for panel in panels:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert board["uid"] == f"crossray-{name}"
    chosen = [variable["name"] for variable in board["templating"]["list"]]
    used = {word for word in ("run",) if f"${word}" in json.dumps(panels)}
    assert chosen == ["datasource", *used]


def test_dashboards_have_names_of_their_own() -> None:
    """Grafana keeps one dashboard of a uid and throws the others away."""
    assert len({board.to_dict()["uid"] for board in BOARDS}) == len(BOARDS)


def test_a_panel_says_its_range_where_values_are_shares() -> None:
    """A waiting share of 0.01 would fill its picture like one of 0.9."""
    series = (Series("up", "{{job}}"),)
    board = Board(
        "some",
        "some",
        (
            Panel("Share", "percentunit", series, "Read it.", share=True),
            Panel("Count", "none", series, "Read it.", kind="stat"),
        ),
    )
    share, plain = board.to_dict()["panels"]
    assert share["fieldConfig"]["defaults"] == {"unit": "percentunit", "min": 0, "max": 1}
    assert plain["fieldConfig"]["defaults"] == {"unit": "none"}
    assert (share["type"], plain["type"]) == ("timeseries", "stat")
