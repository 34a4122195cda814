"""Split assignment."""

from __future__ import annotations

from collections import Counter

import pytest

from crossray.data.split import assign_split, parse_split


def test_shares_follow_the_fractions() -> None:
    """A wrong share leaves a user without a test set, or trains on too little."""
    fractions = (0.6, 0.15, 0.25)
    count = Counter(assign_split(f"patient-{i}", 3, fractions) for i in range(20_000))
    for split, fraction in zip(("train", "val", "test"), fractions, strict=True):
        assert count[split] / 20_000 == pytest.approx(fraction, abs=0.015)


def test_assignment_never_changes() -> None:
    """A changed hash moves test patients into the training set of an existing model."""
    found = "".join(assign_split(f"patient-{i}", 7, (0.4, 0.3, 0.3))[1] for i in range(24))
    assert found == "reerearraaererrarreraerr"


def test_seed_matters() -> None:
    """Repeating an experiment over seeds would measure one split again and again."""
    groups = [f"patient-{i}" for i in range(300)]
    assert [assign_split(g, 1) for g in groups] != [assign_split(g, 2) for g in groups]


@pytest.mark.parametrize("fractions", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_whole_fraction_takes_all(fractions: tuple[float, float, float]) -> None:
    """An evaluation-only set would lose items to splits that nobody asked for."""
    assert len({assign_split(str(i), 0, fractions) for i in range(500)}) == 1


def test_words_of_other_data_sets() -> None:
    """A set that says `validate` (as MIMIC-CXR does) would be rejected whole."""
    words = ("train", " Training", "VALIDATE", "dev", "valid", "validation", "test", "fold3", "")
    assert [parse_split(word) for word in words] == [
        "train", "train", "val", "val", "val", "val", "test", None, None,
    ]  # fmt: skip
