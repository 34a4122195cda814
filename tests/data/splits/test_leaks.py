"""The leak check finds what was planted, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crossray import cli
from crossray.core.artifacts import create
from crossray.core.errors import CrossRayError
from crossray.data.phantom import PhantomConfig, generate
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.shards import PairWriter
from crossray.data.split import SPLITS
from crossray.data.splits.leaks import Leak, find_leaks, normalised

Rows = list[dict[str, Any]]


def _row(item_id: str, split: str, **values: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"image": None, "texts": [], "sections": [], "labels": [], "boxes": []}
    return {"item_id": item_id, "group_id": item_id, "split": split, "meta": [], **empty, **values}


def _tables(rows: Rows, size: int = 7) -> Iterator[pa.Table]:
    for start in range(0, len(rows), size):
        yield pa.Table.from_pylist(rows[start : start + size], schema=PAIR_SCHEMA)


def _leaks(rows: Rows) -> list[Leak]:
    return find_leaks(_tables(rows))


@pytest.fixture(scope="module")
def clean() -> Rows:
    """Chest films of patients whose reports say who they are about."""
    rows = generate(PhantomConfig(items=36, seed=11), 0, 36)
    films = list({row["group_id"]: row["image"] for row in rows}.values())
    return [
        _row(f"item-{n}", SPLITS[n % 3], image=film, texts=[f"Report {n}.", "No effusion seen."],
             sections=[{"name": "findings", "start": 0, "stop": 2}])
        for n, film in enumerate(films)
    ]  # fmt: skip


def test_a_clean_set_has_no_leak(clean: Rows) -> None:
    """Nobody would heed a check that cries wolf at every chest film."""
    assert _leaks(clean) == []


def test_a_patient_in_two_splits_is_found(clean: Rows) -> None:
    """A model would be praised for knowing its training patients again."""
    later = [_row("new-1", "test", group_id="item-0"), _row("new-2", "test", group_id="item-0")]
    examples = (("item-0", "new-1"), ("item-0", "new-2"))
    assert _leaks(clean + later) == [Leak("group", ("train", "test"), 2, examples)]


@pytest.mark.parametrize("scale", [0.9, 1.1])
def test_a_re_encoded_image_is_found(clean: Rows, scale: float) -> None:
    """A resized copy of a training image would be a test image."""
    image = Image.open(io.BytesIO(clean[3]["image"]))
    size = round(image.width * scale), round(image.height * scale)
    image.resize(size).save(copy := io.BytesIO(), "JPEG", quality=60)
    found = _leaks([*clean, _row("copy", "val", image=copy.getvalue())])
    assert found == [Leak("image", ("train", "val"), 1, (("item-3", "copy"),))]


def test_a_repeated_text_is_found_whatever_its_punctuation(clean: Rows) -> None:
    """A caption of the training set would be a test query."""
    copy = _row("copy", "train", texts=["a caption", "REPORT 1: no  effusion seen"])
    assert _leaks([*clean, copy]) == [Leak("text", ("train", "val"), 1, (("copy", "item-1"),))]


def test_sentences_of_a_report_are_no_texts_of_their_own(clean: Rows) -> None:
    """`No effusion seen.` stands in every other report: each would count as a copy."""
    assert _leaks([*clean, _row("other", "test", texts=["Report 0."])]) == []


def test_an_id_in_two_splits_is_found() -> None:
    """One item would be learnt from and tested on."""
    rows = [_row("a", "val"), _row("b", "train"), _row("a", "test")]
    expected = ("val", "test"), 1, (("a", "a"),)
    assert _leaks(rows) == [Leak("item id", *expected), Leak("group", *expected)]


def test_twins_within_a_split_are_no_leak(clean: Rows) -> None:
    """Two films of one patient in training are what a data set looks like."""
    twin = {**clean[0], "item_id": "twin"}
    assert _leaks([*clean, twin]) == []


def test_only_the_first_examples_are_kept() -> None:
    """A data set with a million repeated texts would fill the screen."""
    rows = [_row(f"{split}-{n}", split, texts=["same"]) for split in SPLITS for n in range(9)]
    found = _leaks(rows)
    assert [(leak.splits, leak.count, len(leak.examples)) for leak in found] == [
        (("train", "val"), 9, 3), (("train", "test"), 9, 3), (("val", "test"), 9, 3),
    ]  # fmt: skip


def test_empty_texts_are_no_twins() -> None:
    """Items without words would all be copies of each other."""
    assert _leaks([_row("a", "train", texts=["", " - "]), _row("b", "test", texts=["..."])]) == []
    assert _leaks([]) == []


def test_a_broken_image_names_its_item() -> None:
    """A user could not tell which of a million images is broken."""
    with pytest.raises(CrossRayError, match="'bad' cannot be checked"):
        _leaks([_row("bad", "train", image=b"broken")])


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_counts_are_those_of_a_loop_over_all_pairs(data: st.DataObject) -> None:
    """A leak would be missed or counted twice where items share several texts."""
    words = st.lists(st.sampled_from(["One dog", "one, dog!", "two", "three", ""]), max_size=3)
    number = st.integers(0, 6).map(str)
    rows = [
        _row(data.draw(number), data.draw(st.sampled_from(SPLITS)), group_id=data.draw(number),
             texts=data.draw(words))
        for _ in range(data.draw(st.integers(0, 12)))
    ]  # fmt: skip
    expected = {}
    for first, earlier in enumerate(SPLITS):
        for later in SPLITS[first + 1 :]:
            for kind, values in _VALUES.items():
                known = set().union(*(values(row) for row in rows if row["split"] == earlier))
                hits = [bool(values(row) & known) for row in rows if row["split"] == later]
                if any(hits):
                    expected[kind, (earlier, later)] = sum(hits)
    assert {(leak.kind, leak.splits): leak.count for leak in _leaks(rows)} == expected


_VALUES = {
    "item id": lambda row: {row["item_id"]},
    "group": lambda row: {row["group_id"]},
    "text": lambda row: {normalised(text) for text in row["texts"]} - {""},
}


def test_the_command_prints_leaks_and_exits_with_1(
    clean: Rows, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipeline that checks before it trains would train on a leaking set."""
    rng = np.random.default_rng(0)
    for name, extra in {"clean": [], "leaking": [_row("copy", "test", group_id="item-0")]}.items():
        with create(str(tmp_path / name), "pairs", {}) as draft, PairWriter(draft.path) as writer:
            rows = clean + extra
            order = rng.permutation(len(rows))
            writer.write(pa.Table.from_pylist([rows[n] for n in order], schema=PAIR_SCHEMA))
    cli.main(["check", str(tmp_path / "clean")])
    assert "nothing leaks" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        cli.main(["check", str(tmp_path / "leaking")])
    assert stop.value.code == 1
    assert "copy = item-0" in capsys.readouterr().out
