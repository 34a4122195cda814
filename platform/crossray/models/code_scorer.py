"""Models seen through their codes, for evaluation."""

from __future__ import annotations

import torch
from torch import Tensor

from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, Representation, TextBatch
from crossray.methods.contract import Encoder, Hashing, PairScores


class SignCodes(Encoder):
    """The signs of a method's first embedding dimensions as codes, for methods that learn none."""

    def __init__(self, method: Encoder, bits: int) -> None:
        """At most `bits`, and no more full bytes than the method has dimensions.

        Raises CrossRayError for a method of less than eight dimensions.
        """
        super().__init__()
        self.config, self.method = method.config, method
        self.bits = min(bits, method.config.embedding) // 8 * 8
        if not self.bits:
            raise CrossRayError(
                f"{method.config.embedding} dimensions do not fill a byte of code; use a method "
                "with 8 or more."
            )

    def encode_image(self, image: ImageBatch) -> Tensor:
        """The method's."""
        return self.method.encode_image(image)

    def encode_text(self, text: TextBatch) -> Tensor:
        """The method's."""
        return self.method.encode_text(text)

    def represent_image(self, image: ImageBatch) -> Representation:
        """The embedding `z` and the `code`."""
        z_BD = self.method.encode_image(image)
        return {"z": z_BD, "code": _signs(z_BD[:, : self.bits])}

    def represent_text(self, text: TextBatch) -> Representation:
        """The embedding `z` and the `code`."""
        z_BD = self.method.encode_text(text)
        return {"z": z_BD, "code": _signs(z_BD[:, : self.bits])}


class CodeScorer(Encoder):
    """A method by the Hamming distance of its codes; `refine` makes the cosine of a score."""

    def __init__(self, method: Hashing) -> None:
        super().__init__()
        self.config, self.method = method.config, method

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`code_BK` of -1 and +1; sign(0) = +1."""
        return _signs(self.method.represent_image(image)["h"])

    def encode_text(self, text: TextBatch) -> Tensor:
        """`code_BK` of -1 and +1; sign(0) = +1."""
        return _signs(self.method.represent_text(text)["h"])

    def represent_image(self, image: ImageBatch) -> Representation:
        """The embedding `z` and the `code`."""
        part = self.method.represent_image(image)
        return {"z": part["z"], "code": _signs(part["h"])}

    def represent_text(self, text: TextBatch) -> Representation:
        """The embedding `z` and the `code`."""
        part = self.method.represent_text(text)
        return {"z": part["z"], "code": _signs(part["h"])}

    def score(self, images: Representation, texts: Representation) -> PairScores:
        """`1 - 2 d / K` of all pairs, d the Hamming distance of their K bits."""
        scores_BC = images["code"] @ texts["code"].T / images["code"].shape[1]
        return PairScores(scores_BC, scores_BC)

    def refine(
        self, images: Representation, texts: Representation, pairs_P2: Tensor
    ) -> PairScores | None:
        """The cosine of the embeddings less the score of the codes, for the chosen pairs."""
        image, text = pairs_P2.unbind(dim=1)
        codes_P = (images["code"][image] * texts["code"][text]).mean(dim=1)
        added_P = (images["z"][image] * texts["z"][text]).sum(dim=1) - codes_P
        return PairScores(added_P, added_P)


def _signs(h_BK: Tensor) -> Tensor:
    return torch.where(h_BK >= 0, 1.0, -1.0).to(h_BK.dtype)
