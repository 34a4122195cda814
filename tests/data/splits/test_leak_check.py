"""The leak check of an artifact: bounded, kept, and honest about what it looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from crossray.core.artifacts import Artifact, cache_dir, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.phantom import PhantomConfig, generate
from crossray.data.schema import PAIR_SCHEMA, iter_pairs
from crossray.data.shards import PairWriter
from crossray.data.split import SPLITS
from crossray.data.splits import leaks
from crossray.data.splits.leaks import LEAK_COLUMNS, LeakCheck, check_leaks, find_leaks

SPLIT_OF = {0: "val", 1: "test"}  # of ten items; the others train


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what another kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def publish(folder: Path, items: int, **changes: Any) -> Artifact:
    """Items whose every film stands once in train and once in val or test."""
    empty: dict[str, Any] = {"sections": [], "labels": [], "boxes": [], "meta": []}
    films = [row["image"] for row in generate(PhantomConfig(items=20, seed=3), 0, 20)]
    rows = [
        {
            "item_id": f"{n}", "group_id": f"{n}", "split": SPLIT_OF.get(n % 10, "train"),
            "image": films[n % 20], "texts": [f"report {n}"], **empty, **changes,
        }
        for n in range(items)
    ]  # fmt: skip
    with create(str(folder), "pairs", {}) as draft, PairWriter(draft.path) as writer:
        writer.write(pa.Table.from_pylist(rows, schema=PAIR_SCHEMA))
        splits = {split: sum(row["split"] == split for row in rows) for split in SPLITS}
        images = sum(row["image"] is not None for row in rows)
        draft.metrics.update(splits=splits, images=images)
    return open_artifact(str(folder))


def test_a_small_set_is_compared_whole(tmp_path: Path) -> None:
    """An evaluation would call a set clean that `crossray check` does not."""
    pairs = publish(tmp_path / "pairs", 40, texts=["the same"])
    check = check_leaks(pairs, "test")
    assert check == LeakCheck(tuple(find_leaks(iter_pairs(pairs, LEAK_COLUMNS))), 40, 40)
    assert {leak.kind for leak in check.leaks} == {"text"}, "films repeat within a split only"


def test_the_second_evaluation_decodes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of ten evaluations of a data set would wait for the same answer."""
    pairs = publish(tmp_path / "pairs", 30, group_id="one patient")
    first = check_leaks(pairs, "test")
    assert first.leaks

    def refuse(*_: Any) -> None:
        raise AssertionError("it was looked for again")

    with monkeypatch.context() as patch:
        patch.setattr(leaks, "find_leaks", refuse)
        assert check_leaks(pairs, "test") == first
        assert check_leaks(pairs, "val") == first, "of a set compared whole there is one answer"
    other = publish(tmp_path / "other", 30)
    assert check_leaks(other, "test").leaks == ()


@pytest.mark.parametrize("damage", ["", "{", '{"leaks": 3}', "[]"])
def test_a_damaged_answer_is_looked_for_again(tmp_path: Path, damage: str) -> None:
    """A full disk would stop every later evaluation, or call a leaking set clean."""
    pairs = publish(tmp_path / "pairs", 30, group_id="one patient")
    first = check_leaks(pairs, "test")
    (kept,) = (cache_dir() / "leaks").iterdir()
    kept.write_text(damage)
    assert check_leaks(pairs, "test") == first


@pytest.mark.parametrize("split", ["test", "train"])
def test_of_a_large_set_a_sample_is_compared_and_counted(tmp_path: Path, split: Any) -> None:
    """Hours would pass before an evaluation, or a report would claim to have seen all images."""
    pairs = publish(tmp_path / "pairs", 600, texts=["the same"])
    check = check_leaks(pairs, split, images=120)
    assert check.of_images == 600
    assert 80 < check.images < 160, "about as many as allowed"
    texts = [leak.count for leak in check.leaks if leak.kind == "text"]
    assert texts == [60, 60, 60], "ids, groups and texts are compared whole"
    assert check_leaks(pairs, split, images=600).images == 600


def test_a_sample_takes_all_of_a_small_split(tmp_path: Path) -> None:
    """The split that is evaluated is what a leak would spoil."""
    pairs = publish(tmp_path / "pairs", 1000)
    taken: list[str] = []
    sample = leaks._Sample(leaks._shares(pairs.manifest.metrics["splits"], "test", 400))
    for table in iter_pairs(pairs, ["item_id", "split"]):
        taken += [row["split"] for row in table.to_pylist() if sample(row["item_id"], row["split"])]
    assert taken.count("test") == 100
    assert sample.taken == len(taken)
    assert 240 < len(taken) - 100 < 360


def test_items_without_images_have_none_to_compare(tmp_path: Path) -> None:
    """A set of texts would be said to have had its images checked."""
    pairs = publish(tmp_path / "pairs", 30, image=None)
    assert check_leaks(pairs, "test") == LeakCheck((), 0, 0)


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    """A user could not tell which image stops the evaluation."""
    pairs = publish(tmp_path / "pairs", 10, image=b"broken")
    with pytest.raises(CrossRayError, match="'0' cannot be checked"):
        check_leaks(pairs, "test")
