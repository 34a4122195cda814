"""A trained student as a function from texts and encoded images to vectors and codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossray.codes import binarise, pack
from crossray.core.artifacts import Artifact
from crossray.core.types import ImageBatch, move
from crossray.data.transforms import evaluation_transform
from crossray.distill.models import load_model
from crossray.distill.student import Student
from crossray.encoders.image import normalisation


class Encoded(NamedTuple):
    """`z_BD`: float32, unit length. `codes_BY`: packed codes, Y = bits / 8."""

    z_BD: NDArray[np.float32]
    codes_BY: NDArray[np.uint8]


class StudentEncoder:
    """A `student` artifact, ready to encode queries and items.

    `dim`: dimensions of the vectors. `bits`: of the codes.
    """

    def __init__(self, artifact: Artifact, device: torch.device | str = "cpu") -> None:
        model = load_model(artifact)
        assert isinstance(model.method, Student)
        self._student = model.method.to(device)
        self._tokenizer, self._max_tokens = model.tokenizer, model.max_tokens
        self._device = device
        image = model.method.config.image
        self._transform = evaluation_transform(image.image_size, *normalisation(image))
        self.dim, self.bits = model.method.config.embedding, model.method.config.bits

    @torch.inference_mode()
    def texts(self, texts: Sequence[Sequence[str]]) -> Encoded:
        """Vectors and codes of texts, each given as its sentences.

        Raises `CrossRayError` for a text without a single token.
        """
        batch = move(self._tokenizer.encode(texts, self._max_tokens), self._device)
        z_BD = self._student.encode_text(batch)
        return _encoded(z_BD, self._student.hash_text(z_BD))

    @torch.inference_mode()
    def images(self, images: Sequence[bytes]) -> Encoded:
        """Vectors and codes of encoded images.

        Raises `CrossRayError` for what is not a whole image of an allowed size.
        """
        pixels_BCYX = torch.stack([self._transform(image) for image in images])
        z_BD = self._student.encode_image(move(ImageBatch(pixels_BCYX), self._device))
        return _encoded(z_BD, self._student.hash_image(z_BD))


def _encoded(z_BD: Tensor, h_BK: Tensor) -> Encoded:
    codes_BY = pack(binarise(h_BK.float().cpu().numpy()))
    return Encoded(z_BD.float().cpu().numpy(), codes_BY)
