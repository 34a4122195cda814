"""Examples for a report: queries of a corpus with the first hits of its scores."""

from collections.abc import Callable, Iterable, Mapping
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from crossray.data.corpora.corpus import PairCorpus
from crossray.data.corpora.joined import JoinedCorpus
from crossray.data.transforms import to_rgb
from crossray.evaluation.report.gallery import Card, Example, Gallery, GalleryHit, HitKind
from crossray.model_evaluation.scoring import ScoreMatrices

QUERIES, HITS = 6, 5  # a direction, a query
SIDE = 240  # of a picture's longer side, in pixels
CHARACTERS = 400

RankedRow = Callable[[int], NDArray[np.float32]]  # the scores of a query's items
Thing = tuple[
    int, int | None
]  # a row of the corpus, and the number of its text, None for its image


def sample_gallery(
    ranked: ScoreMatrices | Mapping[str, RankedRow],
    corpus: PairCorpus | JoinedCorpus,
    seed: int,
    queries: int | None = None,
) -> Gallery:
    """`QUERIES` queries a direction, drawn at random, each with its `HITS` first hits.

    `ranked` are the scores of the corpus, or those of a query by direction. A hit is right where it
    belongs to the study of the query. An image that is a query for images is no hit of itself. The
    first `queries` items are queries for the others; None: all for all.
    """
    rows = range(len(corpus))
    images, texts = _things(corpus, rows)
    asking = (images, texts) if queries is None else _things(corpus, rows[:queries])
    found = (images, texts) if queries is None else _things(corpus, rows[queries:])
    sides = {
        "image_to_text": (asking[0], found[1]),
        "text_to_image": (asking[1], found[0]),
        "image_to_image": (images, images),
    }
    rng = np.random.default_rng(seed)
    by_direction = ranked_by_scores(ranked) if isinstance(ranked, ScoreMatrices) else ranked
    return {name: _examples(corpus, row, *sides[name], rng) for name, row in by_direction.items()}


def _things(
    corpus: PairCorpus | JoinedCorpus, rows: Iterable[int]
) -> tuple[list[Thing], list[Thing]]:
    """The images and the texts of some items."""
    return (
        [(row, None) for row in rows],
        [(row, n) for row in rows for n in range(corpus.text_count(row))],
    )


def ranked_by_scores(scores: ScoreMatrices) -> dict[str, RankedRow]:
    """The scores of a query's items, by direction."""
    return {
        "image_to_text": lambda query: scores.image_to_text_NC[query],
        "text_to_image": lambda query: scores.text_to_image_NC[:, query],
    }


def _examples(
    corpus: PairCorpus | JoinedCorpus,
    ranked: RankedRow,
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
        item_N = np.argsort(-ranked(number), kind="stable")
        first_own = int((key_N[item_N] == keys[query[0]]).argmax())
        others = [items[n] for n in item_N[: HITS + 1].tolist() if items[n] != query]
        hits = tuple(
            GalleryHit(_card(corpus, item), _verdict(corpus, query, item)) for item in others[:HITS]
        )
        rank = None if queries is items else 1 + first_own
        examples.append(Example(_card(corpus, query), hits, rank))
    return examples


def _verdict(corpus: PairCorpus | JoinedCorpus, query: Thing, item: Thing) -> HitKind:
    if corpus.keys_N[query[0]] == corpus.keys_N[item[0]]:
        return "own"
    return "wrong" if set(corpus.labels[query[0]]).isdisjoint(corpus.labels[item[0]]) else "label"


def _card(corpus: PairCorpus | JoinedCorpus, thing: Thing) -> Card:
    row, number = thing
    if number is None:
        return Card(picture=thumbnail(corpus.picture(row)))
    text = " ".join(corpus.text(row, number))
    return Card(text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} ...")


def thumbnail(data: bytes) -> bytes:
    """A stored image as a JPEG of `SIDE` pixels at most, upright, opaque on white."""
    buffer = BytesIO()
    with Image.open(BytesIO(data)) as image:
        image.draft("RGB", (SIDE, SIDE))
        small = to_rgb(ImageOps.exif_transpose(image))
        small.thumbnail((SIDE, SIDE))
        small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
