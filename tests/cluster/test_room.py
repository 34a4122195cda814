"""A run that finds no room on the cluster says why, and begins when there is some."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ray.util import state
from ray.util.state.exception import ServerUnavailable

from crossray.cluster import room
from crossray.cluster.placement import adds_nodes
from crossray.cluster.room import Need, places_for, wait_for_room
from crossray.core.errors import CrossRayError
from crossray.data.sources.phantom import PhantomConfig, PhantomSource
from crossray.stages.ingest import ingest
from support.taken import taken_cores

PAIR = Need(2, {"CPU": 1.0}, "train", "lower --train.workers")


@pytest.mark.usefixtures("ray_cluster")
def test_a_run_that_waits_says_who_holds_the_cores(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that finds its cores taken would stand still without a word, and for ever."""
    with taken_cores(0.5) as told:
        wait_for_room(PAIR)
    (holder,) = told[0]
    assert holder.amount == 0.5
    assert holder.end == f"`kill {os.getpid()}`"
    assert capsys.readouterr().err == (
        "the run needs 2 workers of 1 CPU each and waits, because 0.5 of 2 CPUs are taken: 0.5 by "
        f"{holder.name}; make room with `kill {os.getpid()}`, or lower --train.workers.\n"
    )
    wait_for_room(PAIR)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("ray_cluster")
def test_an_endpoint_is_called_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Its replicas belong to a process that is gone; the user knows of an endpoint."""
    with taken_cores(1.5, "ServeReplica:demo:Fused"):
        wait_for_room(PAIR)
    said = capsys.readouterr().err
    assert "1.5 by the endpoint demo; make room with `serve shutdown -y`, or" in said


@pytest.mark.usefixtures("ray_cluster")
def test_who_holds_cores_in_a_group_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """Training workers run in placement groups, whose actors reserve nothing by themselves."""
    with taken_cores(0.5, grouped=1.25):
        wait_for_room(PAIR)
    assert "because 1.75 of 2 CPUs are taken: 1.75 by" in capsys.readouterr().err


@pytest.mark.usefixtures("ray_cluster")
def test_without_a_dashboard_a_run_still_says_that_it_waits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ray start --include-dashboard=false` leaves nobody who knows what is taken by whom."""

    def gone(*args: Any, **options: Any) -> None:
        raise ServerUnavailable

    monkeypatch.setattr(state, "list_actors", gone)
    with taken_cores(1.5) as told:
        wait_for_room(PAIR)
    assert told == [[]]
    assert "waits for room; see with `ray status` what is taken" in capsys.readouterr().err


@pytest.mark.usefixtures("ray_cluster")
def test_what_never_fits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's end makes room for more workers than the cluster has cores."""
    need = Need(3, {"CPU": 1.0}, "train", "lower --train.workers")
    sentence = "3 workers of 1 CPU each, and the cluster has room for 2 even when nothing else runs"
    with pytest.raises(CrossRayError, match=sentence):
        wait_for_room(need)
    with pytest.raises(CrossRayError, match="1 worker of 4 CPUs, and the cluster has room for 0"):
        wait_for_room(Need(1, {"CPU": 4.0}, None, room.ALONE))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert adds_nodes()


def test_places() -> None:
    """A worker is whole on one node, so that halves on two nodes are no place."""
    assert places_for({"CPU": 2.0}, [{"CPU": 5.0}, {"CPU": 3.0}, {"CPU": 1.0}, {}]) == 3
    gpus = [{"CPU": 8.0, "GPU": 1.0}, {"CPU": 3.0, "GPU": 4.0}]
    assert places_for({"CPU": 2.0, "GPU": 1.0}, gpus) == 2


@pytest.mark.usefixtures("ray_cluster")
def test_an_ingest_waits_for_its_core(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ray Data waits without a word while training holds the cores."""
    with taken_cores(2.0) as told:
        ingest(PhantomSource(PhantomConfig(items=2)), str(tmp_path / "pairs"))
    assert len(told) == 1
    assert "the run needs 1 worker of 1 CPU and waits, because 2 of 2 CPUs" in (
        capsys.readouterr().err
    )
