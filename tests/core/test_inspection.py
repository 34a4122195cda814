"""What `crossray inspect` and `crossray summary` show."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.inspection import describe_artifact, print_stage, summary


def publish(uri: Path, kind: str, parents: tuple[Artifact, ...], text: str = "x") -> Artifact:
    """An artifact with the metrics that every stage writes."""
    with create(str(uri), kind, {"lr": 0.5}, parents) as draft:  # type: ignore[arg-type]
        (draft.path / "payload").write_text(text)
        draft.metrics.update(items=1234, seconds=5.6, headline={"R@10": 0.25})
        draft.notes.append("synthetic")
    return open_artifact(str(uri))


def shown(what: object) -> str:
    """What a terminal of 200 columns would show."""
    text = StringIO()
    Console(width=200, file=text).print(what)
    return text.getvalue()


def test_inspect_shows_everything_that_made_an_artifact(tmp_path: Path) -> None:
    """Kind, id, parents as a tree, configuration, metrics and notes."""
    pairs = publish(tmp_path / "p", "pairs", ())
    teacher = publish(tmp_path / "t", "teacher", (pairs,))
    text = shown(describe_artifact(teacher))
    assert teacher.id in text
    assert f"pairs {pairs.id[:12]}" in text
    assert '"lr": 0.5' in text
    assert '"items": 1234' in text
    assert "note: synthetic" in text


def test_inspect_says_what_became_of_a_parent(tmp_path: Path) -> None:
    """A parent that is gone or was replaced must not be shown as if it were there."""
    pairs = publish(tmp_path / "p", "pairs", ())
    teacher = publish(tmp_path / "t", "teacher", (pairs,))
    (tmp_path / "p").rename(tmp_path / "gone")
    assert "no longer there" in shown(describe_artifact(teacher))
    other = publish(tmp_path / "p", "pairs", (), "other")
    assert f"replaced since by {other.id[:12]}" in shown(describe_artifact(teacher))


def test_summary_has_one_line_a_stage(tmp_path: Path) -> None:
    """Stages come in the order they were made, each once, with items, seconds and headline."""
    pairs = publish(tmp_path / "p", "pairs", ())
    features = publish(tmp_path / "f", "features", (pairs,))
    teacher = publish(tmp_path / "t", "teacher", (pairs, features))
    lines = shown(summary(teacher)).splitlines()
    stages = [line.split()[1] for line in lines if line.startswith("│")]
    assert stages == ["pairs", "features", "teacher"]
    assert "1,234" in lines[-2]
    assert "R@10 0.250" in lines[-2]
    (tmp_path / "f").rename(tmp_path / "gone")
    stages = [line.split()[1] for line in shown(summary(teacher)).splitlines() if "│" in line]
    assert stages == ["pairs", "teacher"], "what is gone is left out"


def test_both_directions_of_a_figure_share_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table of every direction in a line of its own does not fit a screen."""
    headline = {
        "R@10 image to text": 0.5, "mAP text to image": 0.1, "R@10 text to image": 0.25,
        "mAP@10 image to image": 0.125,
    }  # fmt: skip
    with create(str(tmp_path / "r"), "report", {}, ()) as draft:
        draft.metrics.update(items=7, seconds=1.0, headline=headline)
    report = open_artifact(str(tmp_path / "r"))
    print_stage(report)
    told = "R@10 0.500 / 0.250, mAP text to image 0.100, mAP@10 image to image 0.125"
    assert capsys.readouterr().out.strip().endswith(told)
    text = shown(summary(report))
    assert "R@10 0.500 / 0.250" in text
    assert "image to text / text to image" in text


def test_a_stage_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table after every stage repeats all earlier ones, and fills the screen."""
    teacher = publish(tmp_path / "t", "teacher", ())
    print_stage(teacher)
    assert capsys.readouterr().out == (
        f"teacher {teacher.id[:12]} at {teacher.uri}: 1,234 items, 6 s, R@10 0.250\n"
    )
