"""A trained model as a function from texts and encoded images to vectors, codes and scores."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossray.codes import binarise, pack
from crossray.core.artifacts import Artifact
from crossray.core.modality import Modality
from crossray.core.types import ImageBatch, Representation, TextBatch, move
from crossray.data.transforms import evaluation_transform
from crossray.encoders.image import normalisation
from crossray.index.representations import Parts, stacked
from crossray.models.artifact import load_model

CANDIDATES_AT_A_TIME = 64
_ENDS = 2  # the tokens that stand before and after a text


class Encoded(NamedTuple):
    """`z_BD`: float32, unit length. `codes_BY`: packed codes, Y = bits / 8.

    `parts`: what the model's score needs to know of each item, where that was requested.
    """

    z_BD: NDArray[np.float32]
    codes_BY: NDArray[np.uint8]
    parts: list[Parts] | None = None


class TextFit(NamedTuple):
    """How much of a text a model reads: `tokens` it has, `read` of them, `known` words in these."""

    tokens: int
    read: int
    known: int


class ModelEncoder:
    """A `teacher` or `student` artifact, ready to encode queries and items.

    `dim`: dimensions of the vectors. `bits`: of the codes, 0 for a method that makes none.
    `reads_texts`: False for a method of images alone. `transform`: from an encoded image to what
    `seen` takes.
    """

    def __init__(self, artifact: Artifact, device: torch.device | str = "cpu") -> None:
        model = load_model(artifact)
        self._method = model.method.to(device)
        self._tokenizer, self._max_tokens = model.tokenizer, model.max_tokens
        self._device = device
        config = model.method.config
        image = config.image
        self.transform = evaluation_transform(image.image_size, *normalisation(image))
        self.reads_texts = "images_only" not in config.capabilities
        self.dim = config.embedding if self.reads_texts else self._width()
        self.bits = config.code_bits

    @torch.inference_mode()
    def _width(self) -> int:
        """Of an image's vector; some methods of images alone have it from their tower."""
        side = self._method.config.image.image_size
        blank = ImageBatch(torch.zeros(1, 3, side, side))
        return int(self._method.encode_image(move(blank, self._device)).shape[1])

    @torch.inference_mode()
    def texts(self, texts: Sequence[Sequence[str]], represent: bool = False) -> Encoded:
        """Vectors and codes of texts, each given as its sentences.

        Representations are made of each text alone, without padding, so that they do not depend on
        the others. Raises `CrossRayError` for a text without a single token.
        """
        batch = move(self._tokenizer.encode(texts, self._max_tokens), self._device)
        if not represent:
            return self._encoded("text", self._method.encode_text(batch))
        states_BTD = self._method.text_states(batch)
        rows = []
        for row, length in enumerate(batch.mask_BT.sum(dim=1).tolist()):
            tokens = (slice(row, row + 1), slice(length))
            text = TextBatch(
                batch.mask_BT[tokens], batch.sentence_BT[tokens], None, states_BTD[tokens]
            )
            rows.append(self._method.represent_text(text))
        z_BD = torch.cat([part["z"] for part in rows])
        return self._encoded("text", z_BD, [row for part in rows for row in _rows(part)])

    def fit(self, text: str) -> TextFit:
        """How much of a text `texts` reads, and how much of that the vocabulary knows."""
        known = self._tokenizer.known(text)
        read = known[: self._max_tokens - _ENDS]
        return TextFit(len(known), len(read), sum(read))

    def images(self, images: Sequence[bytes], represent: bool = False) -> Encoded:
        """Vectors and codes of encoded images.

        Raises `CrossRayError` for what is not a complete image of an allowed size.
        """
        return self.seen([self.transform(image) for image in images], represent)

    @torch.inference_mode()
    def seen(self, pixels: Sequence[Tensor], represent: bool = False) -> Encoded:
        """Vectors and codes of images that `transform` has read."""
        batch = move(ImageBatch(torch.stack(list(pixels))), self._device)
        if not represent:
            return self._encoded("image", self._method.encode_image(batch))
        part = self._method.represent_image(batch)
        return self._encoded("image", part["z"], _rows(part))

    @torch.inference_mode()
    def scores(
        self, query: Parts, target: Modality, candidates: Sequence[Parts]
    ) -> NDArray[np.float32]:
        """`scores_C`: the method's full score of a query with each candidate.

        Candidates are of the modality `target`, the query is of the other. Equal candidates are
        scored once, so that rounding gives them one score.
        """
        different, places_C = _distinct(candidates)
        query_batch, scores = self._batch([query]), []
        for start in range(0, len(different), CANDIDATES_AT_A_TIME):
            found = self._batch(different[start : start + CANDIDATES_AT_A_TIME])
            if target == "image":
                scores.append(self._method.full_score(found, query_batch).text_to_image_BC[:, 0])
            else:
                scores.append(self._method.full_score(query_batch, found).image_to_text_BC[0])
        scores_C: NDArray[np.float32] = torch.cat(scores).float().cpu().numpy()[places_C]
        return scores_C

    def _encoded(
        self, modality: Modality, z_BD: Tensor, parts: list[Parts] | None = None
    ) -> Encoded:
        codes_BY = np.zeros((len(z_BD), 0), np.uint8)
        if (hashing := self._method.hashing()) is not None:
            hashed = hashing.hash_image if modality == "image" else hashing.hash_text
            codes_BY = pack(binarise(hashed(z_BD).float().cpu().numpy()))
        return Encoded(z_BD.float().cpu().numpy(), codes_BY, parts)

    def _batch(self, rows: Sequence[Parts]) -> Representation:
        tensors = {name: torch.from_numpy(array) for name, array in stacked(rows).items()}
        return {
            name: tensor.to(self._device, torch.float32 if tensor.is_floating_point() else None)
            for name, tensor in tensors.items()
        }


def _rows(part: Representation) -> list[Parts]:
    arrays = {name: tensor.cpu().numpy() for name, tensor in part.items()}
    return [{name: array[row] for name, array in arrays.items()} for row in range(len(arrays["z"]))]


def _distinct(rows: Sequence[Parts]) -> tuple[list[Parts], list[int]]:
    """The distinct rows, and the place of each row among them."""
    places: dict[tuple[tuple[tuple[int, ...], bytes], ...], int] = {}
    different: list[Parts] = []
    place_of = []
    for row in rows:
        key = tuple((array.shape, array.tobytes()) for _, array in sorted(row.items()))
        if key not in places:
            places[key] = len(different)
            different.append(row)
        place_of.append(places[key])
    return different, place_of
