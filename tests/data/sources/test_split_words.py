"""What names of files, folders and cells say of the split."""

from __future__ import annotations

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.rejection import Rejected
from crossray.data.sources.split_words import split_words

NAMED = {
    "train-00000-of-00002.parquet": "train",
    "train-00001-of-00002-0a1b2c.parquet": "train",
    "data/validation-00000-of-00001.parquet": "val",
    "parquet-test.arrow": "test",
    "set-train-00000-of-00003.arrow": "train",
    "train-clean-100.parquet": "train",
    "TRAIN.parquet": "train",
    "dev/part-0.parquet": "val",
    "test/deep/x.parquet": "test",
    "train/test.parquet": "test",
    "test/testA.parquet": "test",
}
UNNAMED = (
    "restval.parquet", "minival.parquet", "trainval.parquet", "testdev.parquet", "eval.parquet",
    "train_0001.parquet", "train0001.parquet", "testA.parquet", "testB-00000-of-00001.parquet",
    "val2014.parquet", "test-dev2015.parquet", "train-val.parquet", "coco.train.parquet",
    "unsupervised.parquet", "extra.parquet", "part-0.parquet", "train/testA.parquet",
    "restval/data-00000-of-00001.arrow", "test_images/x.parquet", "TEST_A.parquet",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_names_of_splits(name: str) -> None:
    """What the hub and its library write must be read without a question."""
    assert split_words(()).files([name], "") == [NAMED[name]]


@pytest.mark.parametrize("name", UNNAMED)
def test_names_beside_those_of_splits(name: str) -> None:
    """A guess, or a draw, would put a set's test images into training."""
    with pytest.raises(CrossRayError) as error:
        split_words(()).files(["train/x.parquet", name, "test.parquet"], "data")
    stem = name.partition(".")[0] if not name.startswith("coco") else "coco.train"
    assert repr(stem.partition("-0")[0].removesuffix("-0")) in str(error.value)
    assert "beside 'train/x', 'test'" in str(error.value)


def test_names_that_say_nothing() -> None:
    """A set without splits is drawn; one whose names only seem to have them is a question."""
    words = split_words(())
    assert words.files(["part-0.parquet", "latest.parquet", "interval.parquet"], "films") == [
        None, None, None,
    ]  # fmt: skip
    for name in ("train_0001", "testA", "val2014", "restval", "eval", "test_images/a"):
        with pytest.raises(CrossRayError, match="names no split for sure"):
            words.files([f"{name}.parquet", "part-0.parquet"], "")


def test_the_given_folder_has_the_last_word() -> None:
    """A folder's name counts for what lies in it, and not beside files that say otherwise."""
    words = split_words(())
    assert words.files(["part-0.parquet", "test_0001.parquet"], "test") == ["test", "test"]
    with pytest.raises(CrossRayError, match="'test_0001' names no known split, beside 'part'"):
        words.files(["part-0.parquet", "test_0001.parquet"], "train")
    with pytest.raises(CrossRayError, match="'part' names no known split, beside 'train'"):
        words.files(["train.parquet", "part-0.parquet"], "test")


def test_what_the_user_says_comes_first() -> None:
    """The map must reach every name that an error message shows, and overrule a known one."""
    names = ["train_0001.parquet", "train_0002.parquet", "restval/data-0.arrow", "test.parquet",
             "testA/x.parquet", "extra/y.parquet"]  # fmt: skip
    words = split_words(("train_*=train, RestVal=training", "test=val,test?=test", "extra/y=val"))
    assert words.files(names, "") == ["train", "train", "train", "val", "test", "val"]
    assert words.split(" TestB ") == "test"
    assert words.split("dev") == "val"


def test_many_names_are_not_all_shown() -> None:
    """A message of a thousand names hides what to do."""
    names = [f"shard_{at}.parquet" for at in range(1000)]
    with pytest.raises(CrossRayError, match=r"'shard_0', .*'shard_4' and 995 more name no known"):
        split_words(()).files([*names, "train.parquet"], "")


@pytest.mark.parametrize("entry", ["restval", "restval=", "=train", "restval=drawn", "a=b=c"])
def test_entries_that_map_nothing(entry: str) -> None:
    """A mistyped map must not be taken for none."""
    with pytest.raises(CrossRayError, match="give WORD=SPLIT"):
        split_words((entry,))


def test_cells() -> None:
    """A cell that means no split costs its row, and the user reads what to do."""
    words = split_words(("fold 3=test",))
    assert [words.cell(word) for word in ("Fold 3", "validate")] == ["test", "val"]
    for word, detail in (("", "is blank"), ("fold 4", "--split-map fold 4=train")):
        with pytest.raises(Rejected, match=f"unknown split: .*{detail}"):
            words.cell(word)
