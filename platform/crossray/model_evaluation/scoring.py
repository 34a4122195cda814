"""Scores of every image against every text of a corpus, shared out over the processes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossray.codes import binarise, pack
from crossray.core.errors import CrossRayError
from crossray.core.types import Representation, move
from crossray.data.corpora.corpus import Corpus
from crossray.methods.contract import Encoder
from crossray.model_evaluation.distributed_map import blocks_of, shared_out

IMAGE_BLOCK = 64
TEXT_BLOCK = 256


@dataclass(frozen=True)
class ScoreMatrices:
    """Scores of N images (rows) and C texts (columns), float32, larger is better.

    `text_rows_C` is the image row that each text belongs to.
    """

    image_to_text_NC: NDArray[np.float32]
    text_to_image_NC: NDArray[np.float32]
    text_rows_C: NDArray[np.int64]


@dataclass(frozen=True)
class Represented:
    """The items of a corpus as a method sees them, in blocks; `text_rows_C` as in the scores."""

    images: list[Representation]
    texts: list[Representation]
    text_rows_C: NDArray[np.int64]


def score_corpus(
    method: Encoder,
    corpus: Corpus,
    rerank: int,
    items: int | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> ScoreMatrices:
    """Score the first `items` items of a corpus against all their texts, both directions.

    A query's `rerank` best candidates by `Encoder.score` get `Encoder.refine` added and stay ahead
    of the rest. Every process calls this and gets the complete result.
    """
    represented = represent_corpus(method, corpus, items, device, dtype)
    return score_represented(method, represented, rerank)


@torch.inference_mode()
def represent_corpus(
    method: Encoder,
    corpus: Corpus,
    items: int | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    texts: bool = True,
) -> Represented:
    """Represent the first `items` items of a corpus and all their texts, or none of these.

    Every process calls this and gets the complete result.
    """
    method.eval()
    rows = range(min(items or len(corpus), len(corpus)))
    chosen = [(row, number) for row in rows if texts for number in range(corpus.text_count(row))]

    def represent_images(block: Sequence[int]) -> Representation:
        batch = corpus.collate_images([corpus.image(row) for row in block])
        return method.represent_image(move(batch, device, dtype))

    def represent_texts(block: Sequence[tuple[int, int]]) -> Representation:
        batch = corpus.collate_texts([corpus.text(row, number) for row, number in block])
        return method.represent_text(move(batch, device, dtype))

    return Represented(
        shared_out(blocks_of(rows, IMAGE_BLOCK), represent_images),
        shared_out(blocks_of(chosen, TEXT_BLOCK), represent_texts),
        np.array([row for row, _ in chosen], dtype=np.int64),
    )


@torch.inference_mode()
def score_represented(method: Encoder, represented: Represented, rerank: int) -> ScoreMatrices:
    """`score_corpus` of what `represent_corpus` gave."""
    images, texts = represented.images, represented.texts
    to_text_NC, to_image_NC = _coarse(method, images, texts)
    if rerank:
        to_text_NC, to_image_NC = _refined(method, images, texts, to_text_NC, to_image_NC, rerank)
    return ScoreMatrices(to_text_NC.numpy(), to_image_NC.numpy(), represented.text_rows_C)


def _coarse(
    method: Encoder, images: list[Representation], texts: list[Representation]
) -> tuple[Tensor, Tensor]:
    def rows(block: Representation) -> tuple[Tensor, Tensor]:
        parts = [method.score(block, text) for text in texts]
        return (
            torch.cat([part.image_to_text_BC.float().cpu() for part in parts], dim=1),
            torch.cat([part.text_to_image_BC.float().cpu() for part in parts], dim=1),
        )

    to_text, to_image = zip(*shared_out(images, rows), strict=True)
    return torch.cat(to_text), torch.cat(to_image)


def _refined(
    method: Encoder,
    images: list[Representation],
    texts: list[Representation],
    to_text_NC: Tensor,
    to_image_NC: Tensor,
    rerank: int,
) -> tuple[Tensor, Tensor]:
    chosen_text_NC = top_mask(to_text_NC, rerank)
    chosen_image_NC = top_mask(to_image_NC.T, rerank).T
    chosen_NC = chosen_text_NC | chosen_image_NC
    image_sizes = [len(block["z"]) for block in images]
    text_sizes = [len(block["z"]) for block in texts]

    def rows(at: tuple[Representation, Tensor]) -> tuple[Tensor, Tensor] | None:
        image, chosen_BC = at
        added_text, added_image = torch.zeros(chosen_BC.shape), torch.zeros(chosen_BC.shape)
        start = 0
        for text, size in zip(texts, text_sizes, strict=True):
            pairs_P2 = chosen_BC[:, start : start + size].nonzero()
            added = method.refine(image, text, pairs_P2.to(image["z"].device))
            if added is None:
                return None
            row, column = pairs_P2[:, 0], pairs_P2[:, 1] + start
            added_text[row, column] = added.image_to_text_BC.float().cpu()
            added_image[row, column] = added.text_to_image_BC.float().cpu()
            start += size
        return added_text, added_image

    blocks = list(zip(images, torch.split(chosen_NC, image_sizes), strict=True))
    parts = [part for part in shared_out(blocks, rows) if part is not None]
    if not parts:
        return to_text_NC, to_image_NC
    added_text_NC, added_image_NC = (torch.cat(part) for part in zip(*parts, strict=True))
    return (
        ahead_of_rest(to_text_NC + added_text_NC, to_text_NC, chosen_text_NC),
        ahead_of_rest(to_image_NC + added_image_NC, to_image_NC, chosen_image_NC),
    )


def top_mask(scores_QN: Tensor, count: int) -> Tensor:
    """`chosen_QN`: bool, True at each query's `count` best candidates."""
    best = scores_QN.topk(min(count, scores_QN.shape[1]), dim=1).indices
    return torch.zeros_like(scores_QN, dtype=torch.bool).scatter_(1, best, True)


def ahead_of_rest(refined: Tensor, coarse: Tensor, chosen: Tensor) -> Tensor:
    """Refined scores where chosen, and coarse ones, all lowered below them, elsewhere."""
    if chosen.all():
        return refined
    drop = (coarse.max() - torch.where(chosen, refined, torch.inf).min()).clamp(min=0) + 1
    return torch.where(chosen, refined, coarse - drop)


def joined_part(blocks: Sequence[Representation], name: str) -> NDArray[np.float32]:
    """A part of all blocks, one row an item."""
    return torch.cat([block[name].float().cpu() for block in blocks]).numpy()


def packed_codes(blocks: Sequence[Representation]) -> NDArray[np.uint8]:
    """`codes_NY`, eight bits a byte, of a method's codes or of its hash outputs.

    Raises CrossRayError where there are neither.
    """
    name = next((name for name in ("code", "h") if name in blocks[0]), None)
    if name is None:
        raise CrossRayError("the model makes no codes; choose one that does, or another metric.")
    return pack(binarise(joined_part(blocks, name)))
