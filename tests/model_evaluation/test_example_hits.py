"""The examples of a report."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from crossray.evaluation.report.gallery import Card
from crossray.model_evaluation.example_hits import (
    CHARACTERS,
    HITS,
    QUERIES,
    SIDE,
    sample_gallery,
    thumbnail,
)
from crossray.model_evaluation.scoring import ScoreMatrices


class Items:
    """Items of one or two texts; the last two show one study, and 0 and 1 share a label."""

    keys_N = torch.tensor([10, 11, 12, 13, 14, 15, 16, 16])
    labels = [["a"], ["a", "b"], [], ["c"], ["d"], ["e"], ["f"], ["f"]]

    def __len__(self) -> int:
        return 8

    def text_count(self, row: int) -> int:
        return 1 + row % 2

    def text(self, row: int, number: int) -> list[str]:
        return [f"item {row}", f"text {number}", "x" * (500 if row == 2 else 1)]

    def picture(self, row: int) -> bytes:
        buffer = BytesIO()
        Image.new("L", (300, 200), 30 * row).save(buffer, "PNG")
        return buffer.getvalue()


@pytest.mark.parametrize("direction", ["image_to_text", "text_to_image"])
def test_hits_are_the_best_and_judged_rightly(direction: str) -> None:
    """A reader would take a wrong hit for a right one."""
    corpus: Any = Items()
    rng = np.random.default_rng(5)
    text_rows = [row for row in range(8) for _ in range(corpus.text_count(row))]
    to_text, to_image = rng.normal(size=(2, 8, 12)).astype("f4")
    scores = ScoreMatrices(to_text, to_image, np.array(text_rows))
    examples = sample_gallery(scores, corpus, seed=1)[direction]
    assert examples == sample_gallery(scores, corpus, seed=1)[direction], "equal reports, one id"
    assert len(examples) == QUERIES
    queries, items, scored = list(range(8)), text_rows, to_text
    if direction == "text_to_image":
        queries, items, scored = items, queries, to_image.T
    for example in examples:
        asked = _row(example.query)
        ranked = [
            [items[n] for n in np.argsort(-scored[number])]
            for number, row in enumerate(queries)
            if row == asked
        ]
        found = [_row(hit.card) for hit in example.hits]
        (order,) = [rows for rows in ranked if rows[:HITS] == found]
        own = [corpus.keys_N[row] == corpus.keys_N[asked] for row in order]
        assert example.rank == 1 + own.index(True)
        for hit, row, same in zip(example.hits, found, own, strict=False):
            shared = set(corpus.labels[row]) & set(corpus.labels[asked])
            assert hit.verdict == ("own" if same else "label" if shared else "wrong")


def _row(card: Card) -> int:
    """The item that a card shows, by its text or by the grey of its picture."""
    if card.picture is None:
        assert len(card.text) <= CHARACTERS + 4
        return int(card.text.split()[1])
    with Image.open(BytesIO(card.picture)) as picture:
        assert max(picture.size) == SIDE
        return round(np.asarray(picture).mean() / 30)


def test_pictures_stand_upright() -> None:
    """A film that lies on its side, or black where it is transparent, misleads who reads on."""
    halves = Image.new("L", (40, 20), 0)
    halves.paste(255, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    buffer = BytesIO()
    halves.save(buffer, "JPEG", exif=exif)
    with Image.open(BytesIO(thumbnail(buffer.getvalue()))) as picture:
        assert picture.size == (20, 40)
        grey_YX = np.asarray(picture.convert("L"))
    assert grey_YX[:15].min() > 240
    assert grey_YX[25:].max() < 15
    buffer = BytesIO()
    Image.new("LA", (8, 8), (0, 0)).save(buffer, "PNG")
    with Image.open(BytesIO(thumbnail(buffer.getvalue()))) as picture:
        assert np.asarray(picture).min() == 255
