"""Examples for a report: queries of a corpus with the first hits of its scores."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossray.data.corpus import PairCorpus
from crossray.evaluation.gallery import Card, Example, Gallery, Hit, Verdict
from crossray.training.scoring import ScoreMatrices

QUERIES, HITS = 6, 5  # a direction, a query
SIDE = 240  # of a picture's longer side, in pixels
CHARACTERS = 400

Thing = tuple[
    int, int | None
]  # a row of the corpus, and the number of its text, None for its image


def sample_gallery(scores: ScoreMatrices, corpus: PairCorpus, seed: int) -> Gallery:
    """`QUERIES` queries a direction, drawn at random, each with its `HITS` first hits.

    `scores` are those of the whole corpus. What shows the query's study is its own.
    """
    rows = range(len(corpus))
    images: list[Thing] = [(row, None) for row in rows]
    texts: list[Thing] = [(row, n) for row in rows for n in range(corpus.text_count(row))]
    rng = np.random.default_rng(seed)
    return {
        "image_to_text": _examples(corpus, scores.image_to_text_NC, images, texts, rng),
        "text_to_image": _examples(corpus, scores.text_to_image_NC.T, texts, images, rng),
    }


def _examples(
    corpus: PairCorpus,
    scores_QN: NDArray[np.float32],
    queries: list[Thing],
    items: list[Thing],
    rng: np.random.Generator,
) -> list[Example]:
    keys = corpus.keys_N.numpy()
    key_N = keys[[row for row, _ in items]]
    drawn = rng.choice(len(queries), min(QUERIES, len(queries)), replace=False)
    examples = []
    for number in np.sort(drawn).tolist():
        query = queries[number]
        item_N = np.argsort(-scores_QN[number], kind="stable")
        first_own = int((key_N[item_N] == keys[query[0]]).argmax())
        found = [items[n] for n in item_N[:HITS].tolist()]
        hits = tuple(Hit(_card(corpus, item), _verdict(corpus, query, item)) for item in found)
        examples.append(Example(_card(corpus, query), hits, 1 + first_own))
    return examples


def _verdict(corpus: PairCorpus, query: Thing, item: Thing) -> Verdict:
    if corpus.keys_N[query[0]] == corpus.keys_N[item[0]]:
        return "own"
    return "wrong" if set(corpus.labels[query[0]]).isdisjoint(corpus.labels[item[0]]) else "label"


def _card(corpus: PairCorpus, thing: Thing) -> Card:
    row, number = thing
    if number is None:
        return Card(picture=_thumbnail(corpus.picture(row)))
    text = " ".join(corpus.text(row, number))
    return Card(text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} ...")


def _thumbnail(data: bytes) -> bytes:
    buffer = BytesIO()
    with Image.open(BytesIO(data)) as image:
        image.draft("RGB", (SIDE, SIDE))
        small = image.convert("RGB")
        small.thumbnail((SIDE, SIDE))
        small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
