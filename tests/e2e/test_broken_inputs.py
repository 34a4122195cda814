"""Broken input at the command line: one clear sentence, a non-zero exit, nothing half-written."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crossray.cli import main
from crossray.cli.jobs import (
    distill_job,
    embed_job,
    evaluate_job,
    features_job,
    index_job,
    pretrain_job,
)
from crossray.core.artifacts import Kind, create
from support.images import encoded_image, png

ROWS = 6


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the test's own, which does not exist yet."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "store"


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., list[str]]:
    """Writes a table of images; gives the arguments that ingest it."""

    def write(
        rows: list[dict[str, str]] | None = None, images: dict[int, bytes] | None = None
    ) -> list[str]:
        folder = tmp_path / "images"
        folder.mkdir(exist_ok=True)
        plain = [
            {"image": f"{n}.jpg", "id": str(n), "text": f"a film {n}", "group": f"g{n}",
             "split": ("train", "val", "test")[n % 3], "labels": "a|b"}
            for n in range(ROWS)
        ]  # fmt: skip
        for n in range(ROWS):
            (folder / f"{n}.jpg").write_bytes((images or {}).get(n, encoded_image(n)))
        for n, change in enumerate(rows or []):
            plain[n] |= change
        with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, plain[0])
            writer.writeheader()
            writer.writerows(plain)
        return [
            "ingest", "csv", str(tmp_path / "table.csv"), "--images", str(folder), "--out", "p",
            "--text-columns", "text", "--id-column", "id", "--label-column", "labels",
            "--group-column", "group", "--split-column", "split",
        ]  # fmt: skip

    return write


def refused(
    run: Callable[[list[str]], None], args: list[str], capsys: pytest.CaptureFixture[str]
) -> str:
    """Run a command that must fail; gives its one sentence."""
    with pytest.raises(SystemExit) as caught:
        run(args)
    assert caught.value.code not in (0, None)
    errors = capsys.readouterr().err
    sentences = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(sentences) == 1, errors
    assert "Traceback" not in errors
    return sentences[0]


def nothing_written(store: Path) -> bool:
    """Whether the store has no file."""
    return not store.exists() or not [p for p in store.rglob("*") if p.is_file()]


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(
    ("rows", "images", "words"),
    [
        ([], {2: encoded_image(2)[:300]}, "broken image"),
        ([], {2: b"no image"}, "broken image"),
        ([], {2: png(30_000, 30_000)}, "image too large"),
        ([{}, {"text": "word " * 200_000}], {}, "text too long"),
        ([{}, {"text": " "}], {}, "missing text"),
        ([{}, {"id": "0"}], {}, "duplicate id"),
        ([{}, {"group": "g0"}], {}, "group crosses splits"),
        ([{}, {"split": "holdout"}], {}, "unknown split"),
        ([{}, {"image": "../table.csv"}], {}, "image outside the folder"),
        ([{}, {"image": "none.jpg"}], {}, "missing image"),
    ],
)
def test_rows_that_cannot_be_taken(  # type: ignore[no-untyped-def]
    store, table, capsys, rows, images, words
) -> None:
    """Above the allowed share, the reason is told and no pairs are published."""
    sentence = refused(main, table(rows, images), capsys)
    assert words in sentence
    assert nothing_written(store)


@pytest.mark.usefixtures("ray_cluster")
def test_rejects_below_the_allowed_share_are_kept_with_their_reason(  # type: ignore[no-untyped-def]
    store, table
) -> None:
    """A row is never dropped silently."""
    main([*table([{}, {"id": "0"}]), "--max-rejected", "0.5"])
    assert (store / "p" / "rejected.parquet").is_file()
    metrics = json.loads((store / "p" / "manifest.json").read_text())["metrics"]
    assert metrics["items"] == ROWS - 1


def test_whole_inputs_that_cannot_be_read(store, table, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    """A wrong column, an empty table, a missing one: refused before any work."""
    args = table()
    wrong = [a if a != "text" else "caption" for a in args]
    assert "'caption'" in refused(main, wrong, capsys).replace('"', "'")
    (tmp_path / "table.csv").write_text("image,id,text,group,split,labels\n")
    assert "no rows" in refused(main, args, capsys)
    (tmp_path / "table.csv").write_text("")
    refused(main, args, capsys)
    (tmp_path / "table.csv").unlink()
    assert "table.csv" in refused(main, args, capsys)
    flickr8k = ["ingest", "flickr8k", str(tmp_path), "--out", "p"]
    assert "Flickr8k.token.txt" in refused(main, flickr8k, capsys)
    openclipart = ["ingest", "openclipart", "--root", str(tmp_path / "no"), "--out", "p"]
    assert "openclipart-svg" in refused(main, openclipart, capsys)
    assert nothing_written(store)


def test_outputs_that_cannot_be_written(store, table, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    """An existing artifact, a folder without permission, a path inside a file."""
    args = table()
    (store / "p").mkdir(parents=True)
    assert "already exists" in refused(main, args, capsys)
    at = args.index("p")
    (tmp_path / "file").write_text("")
    args[at] = str(tmp_path / "file" / "p")
    assert "cannot be written" in refused(main, args, capsys)
    args[at] = "no good name"
    assert "not an artifact name" in refused(main, args, capsys)
    if os.geteuid() != 0:  # root may write everywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        args[at] = str(tmp_path / "locked" / "p")
        assert "cannot be written" in refused(main, args, capsys)


def publish(uri: Path, kind: Kind = "pairs") -> None:
    """An artifact with one payload file."""
    with create(str(uri), kind, {}) as draft:
        (draft.path / "part-00000.parquet").write_bytes(b"x" * 10)


def test_artifacts_that_cannot_be_used(store, capsys) -> None:  # type: ignore[no-untyped-def]
    """Missing, half-written, damaged, of another kind."""
    train = ["--recipe", "hier_tiny", "--out", "t", "--pairs"]
    assert "no artifact" in refused(pretrain_job, [*train, "none"], capsys)
    (store / "half").mkdir(parents=True)
    (store / "half" / "part-00000.parquet").write_bytes(b"x")
    assert "not a whole artifact" in refused(main, ["inspect", "half"], capsys)
    assert "not a whole artifact" in refused(pretrain_job, [*train, "half"], capsys)
    publish(store / "r", "report")
    assert "is a report artifact" in refused(pretrain_job, [*train, "r"], capsys)
    publish(store / "p")
    (store / "p" / "part-00000.parquet").write_bytes(b"x")
    assert "damaged" in refused(main, ["inspect", "p"], capsys)
    evaluate = ["--model", "r", "--pairs", "p", "--out", "x"]
    assert "teacher or student was expected" in refused(evaluate_job, evaluate, capsys)
    distil = ["--recipe", "student_tiny", "--teacher", "r", "--pairs", "p", "--out", "x"]
    assert "teacher was expected" in refused(distill_job, distil, capsys)
    assert "teacher or student was expected" in refused(embed_job, evaluate, capsys)
    assert "vectors was expected" in refused(index_job, ["--vectors", "r", "--out", "x"], capsys)
    assert not (store / "x").exists()
    assert not (store / "t").exists()


def test_settings_that_do_not_exist(store, capsys) -> None:  # type: ignore[no-untyped-def]
    """An unknown recipe, no recipe, sizes that do not fit, a relative output in a job."""
    pairs = ["--pairs", "p", "--out", "t"]
    assert "hier_tiny" in refused(pretrain_job, ["--recipe", "hier_huge", *pairs], capsys)
    assert "--recipe" in refused(pretrain_job, pairs, capsys)
    tiny = ["--recipe", "hier_tiny", *pairs]
    sizes = ["--train.workers", "3", "--train.batch-size", "64"]
    assert "multiple of 3" in refused(pretrain_job, [*tiny, *sizes], capsys)
    relative = ["--recipe", "hier_tiny", "--pairs", "p", "--out", "./t"]
    assert "would be lost" in refused(pretrain_job, relative, capsys)
    levels = [*tiny, "--method.level-weights", "0.4", "0.3", "-1"]
    with pytest.raises(SystemExit, match="2"):
        pretrain_job(levels)
    # The parser puts what a configuration refuses into a box of its own.
    assert "level_weights=(0.4, 0.3, -1.0) must all be" in capsys.readouterr().err
    publish(store / "p")
    assert "towers are trained" in refused(features_job, tiny, capsys)


@pytest.mark.parametrize("run", [main, pretrain_job, evaluate_job])
def test_unknown_fields_are_refused(run: Callable[[list[str]], None], store: Path) -> None:
    """A mistyped field that is ignored is a setting that silently does nothing."""
    args = {
        main: ["inspect", "p", "--colour", "red"],
        pretrain_job: ["--recipe", "hier_tiny", "--pairs", "p", "--out", "t", "--train.epoch", "3"],
        evaluate_job: ["--model", "t", "--pairs", "p", "--out", "r", "--k", "3"],
    }[run]
    with pytest.raises(SystemExit) as caught:
        run(args)
    assert caught.value.code == 2
    assert nothing_written(store)
