"""What `make demo` runs besides the commands that users know."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crossray.cli import cluster, questions, submit
from crossray.cli.cluster import LocalCluster
from crossray.cli.questions import QUESTIONS
from crossray.cli.submit import Submission
from crossray.core.errors import CrossRayError
from crossray.data.phantom.labels import label_vocabulary
from crossray.serving.access_token import TOKEN_VARIABLE
from crossray.serving.client import Endpoint


def test_questions_ask_for_labels_that_there_are() -> None:
    """A label that no film carries would make every answer wrong."""
    wanted = {label for labels in QUESTIONS.values() for label in labels}
    assert wanted <= set(label_vocabulary())
    assert len(QUESTIONS) == 5


def test_hits_are_judged_by_their_labels(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first thing a newcomer reads about the product's quality would not be true."""
    asked: list[dict[str, object]] = []
    effusion = next(iter(QUESTIONS))

    def ask(self: Endpoint, body: dict[str, dict[str, object]]) -> dict[str, object]:
        asked.append(body["json"])
        left, large = QUESTIONS[effusion]
        labels = [[left, large], [left], [large, left, "Edema"], [], [large]]
        return {"hits": [{"labels": found} for found in labels]}

    monkeypatch.setattr(Endpoint, "ask", ask)
    monkeypatch.setenv(TOKEN_VARIABLE, "token-of-the-demo")
    questions.Questions().run()
    assert asked == [{"text": text, "k": 5, "target": "image"} for text in QUESTIONS]
    told = capsys.readouterr().out
    (line,) = (line for line in told.splitlines() if effusion in line)
    assert "right wrong right wrong wrong" in line
    assert "2 of 5" in line
    assert told.count("0 of 5") == 4


def test_a_cluster_that_runs_is_taken(
    ray_cluster: str, ray_dashboard: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """`make demo` would start a second Ray over the user's own, or beside it."""

    def start(cpus: int) -> None:
        raise AssertionError("a second cluster")

    monkeypatch.setenv("RAY_ADDRESS", ray_cluster)
    monkeypatch.setattr(cluster, "_start", start)
    LocalCluster(2).run()
    told = capsys.readouterr().out
    assert told == f"The Ray cluster runs at {ray_cluster}; its dashboard: {ray_dashboard}\n"


def test_a_cluster_that_is_started_takes_free_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another Ray on the usual ports a second one does not start, or nobody finds it."""
    (tmp_path / "ray").write_text(
        '#!/bin/sh\necho "$@" > "$0.said"; echo; echo "No room. "; exit 1\n'
    )
    (tmp_path / "ray").chmod(0o755)
    monkeypatch.setattr(cluster.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(cluster, "_free", lambda port: port != 8265)
    monkeypatch.setattr(cluster, "_any_free", lambda: 41234)
    with pytest.raises(CrossRayError, match=r"^Ray cannot be started: No room\.$"):
        cluster._start(3)
    said = (tmp_path / "ray.said").read_text().split()
    assert {"--head", "--num-cpus=3", "--dashboard-host=127.0.0.1"} <= set(said)
    assert {"--port=6379", "--dashboard-port=41234"} <= set(said)


JOB = "import sys; print('one line', flush=True); sys.exit({})"


@pytest.mark.parametrize("status", [0, 3])
def test_a_job_shows_its_own_output_alone(ray_cluster: str, tmp_path: Path, status: int) -> None:
    """Ray's words about a submission are thirty lines, and a failure must not look like success."""
    environment = {**os.environ, "RAY_ADDRESS": ray_cluster, "RAY_API_SERVER_ADDRESS": "http://x:1"}
    command = [
        sys.executable,
        "-m",
        "crossray.cli.submit",
        sys.executable,
        "-c",
        JOB.format(status),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment,
        timeout=280,
    )  # fmt: skip
    assert done.returncode == (2 if status else 0)
    assert done.stdout == "one line\n"
    told = done.stderr.splitlines()
    assert len(told) == (1 if status else 0), done.stderr
    assert all("ended as FAILED; its output is above and in `ray job logs" in line for line in told)


def test_without_a_cluster_there_is_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's client would send the job to whatever answers at the usual port."""
    monkeypatch.setattr(submit, "find_cluster", lambda: None)
    with pytest.raises(CrossRayError, match="no Ray cluster runs here; start one"):
        Submission(["true"]).run()
