"""Heat maps judged by boxes, with makers of maps whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.data.report_labels.sentence import sentence_findings
from crossray.explain import findings
from crossray.explain.finding_cases import finding_cases
from crossray.explain.findings import check_findings
from support.pairs import phantom_pairs, read_pairs, write_pairs

SIDE = 16


class Known:
    """Stands for an explainer: its maps are those that `of` makes of the boxes' cells."""

    side = SIDE

    def __init__(self, pairs: Artifact, of: Any) -> None:
        cases = list(finding_cases(pairs, "test", 99, False, SIDE))
        self._inside = iter(np.stack([case.inside_YX for case in cases]))
        self._of = of
        self.texts: list[list[str]] = []
        self.rests: list[list[str]] = []

    def images(self, images: Sequence[bytes]) -> int:
        return len(images)

    def heat(
        self, count: int, texts: Sequence[list[str]], less: Sequence[list[str]] | None
    ) -> Tensor:
        self.texts += texts
        self.rests += less or []
        maps = [self._of(next(self._inside)) for _ in range(count)]
        return torch.from_numpy(np.stack(maps)).float()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Films of the phantom with boxes."""
    return phantom_pairs(str(tmp_path_factory.mktemp("pairs") / "pairs"), 60)


def checked(pairs: Artifact, of: Any, **options: Any) -> tuple[Known, list[findings.FindingLift]]:
    """The findings as judged of known maps."""
    known = Known(pairs, of)
    return known, check_findings(known, pairs, "test", 99, **options)  # type: ignore[arg-type]


def test_maps_of_the_boxes_reach_the_limit_and_even_ones_do_not(pairs: Artifact) -> None:
    """A table that says that a blind map finds something, or a perfect one nothing, misleads."""
    _, perfect = checked(pairs, lambda inside: inside > 0.999)
    _, even = checked(pairs, np.ones_like)
    _, empty = checked(pairs, np.zeros_like)
    assert len(perfect) > 5
    for best, blind, none in zip(perfect, even, empty, strict=True):
        assert blind.lift == pytest.approx(1)
        assert blind.inside == pytest.approx(blind.box)
        assert blind.low == pytest.approx(blind.high) == pytest.approx(blind.place)
        if best.empty == 0:
            assert best.inside == pytest.approx(1)
            assert best.lift == pytest.approx(best.limit)
        assert none.empty == none.items
        assert np.isnan(none.lift)


def test_the_place_alone_is_told_apart(pairs: Artifact) -> None:
    """A map that is always in the middle must not pass for one that reads the text."""
    middle = np.zeros((SIDE, SIDE))
    middle[4:12, 4:12] = 1
    _, found = checked(pairs, lambda inside: middle)
    for one in found:
        assert one.lift == pytest.approx(one.place)


def test_counts_and_boxes_are_those_of_the_data(pairs: Artifact) -> None:
    """Each label counts the test items that have a box of it."""
    _, found = checked(pairs, np.ones_like)
    rows = read_pairs(pairs, ["boxes"], "test").to_pylist()
    for one in found:
        areas = []
        for row in rows:
            seen = np.zeros((200, 200), dtype=bool)
            for box in row["boxes"]:
                if box["label"] == one.label:
                    x0, x1, y0, y1 = (round(200 * box[c]) for c in ("x0", "x1", "y0", "y1"))
                    seen[y0:y1, x0:x1] = True
            areas += [seen.mean()] if seen.any() else []
        assert one.items == one.boxed == len(areas)
        assert one.box == pytest.approx(np.mean(areas), abs=0.01)


def test_texts_are_what_the_report_states(pairs: Artifact) -> None:
    """A map of another sentence cannot be expected in the finding's box."""
    known, found = checked(pairs, np.ones_like)
    assert len(known.texts) == sum(one.items for one in found)
    cases = list(finding_cases(pairs, "test", 99, False, SIDE))
    for case in cases:
        assert case.text == [case.label.lower()] or all(
            sentence_findings(text)[case.label] == "positive" for text in case.text
        )
        assert not set(case.text) & set(case.rest)
    known, _ = checked(pairs, np.ones_like, in_report=True)
    for text, rest, case in zip(known.texts, known.rests, cases, strict=True):
        assert set(text) == {*rest, *case.text}


def test_at_most_so_many_items_a_finding(pairs: Artifact) -> None:
    """A look at a few items must be a look at a few."""
    known = Known(pairs, np.ones_like)
    found = check_findings(known, pairs, "test", 1)  # type: ignore[arg-type]
    assert {one.items for one in found} == {1}
    boxed = [one.boxed for one in found]
    assert boxed == sorted(boxed, reverse=True)
    assert boxed[0] > 1
    with pytest.raises(CrossRayError, match="0 items"):
        check_findings(known, pairs, "test", 0)  # type: ignore[arg-type]


def test_pairs_without_boxes_are_refused(pairs: Artifact, tmp_path: Path) -> None:
    """An empty table would look like a result."""
    rows = [{**row, "boxes": []} for row in read_pairs(pairs).to_pylist()]
    bare = write_pairs(str(tmp_path / "bare"), rows)
    with pytest.raises(CrossRayError, match="give pairs with boxes"):
        check_findings(Known(pairs, np.ones_like), bare, "test", 5)  # type: ignore[arg-type]
