"""A trained model that explains its scores of images and texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossray.codes import binarise
from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, Representation, TextBatch
from crossray.data.sentences import split_sentences
from crossray.data.transforms import evaluation_transform
from crossray.data.words import Word, words_of
from crossray.encoders.image import normalisation
from crossray.explain.contributions import bit_contributions, dimension_contributions, word_shares
from crossray.explain.heat_maps import Cam, heat_maps
from crossray.explain.occlusion import mean_image
from crossray.explain.visible_area import seen_square
from crossray.methods.contract import Alignment, Encoder
from crossray.models.artifact import load_model

Of = Literal["score", "cosine"]
Arrays = NDArray[np.floating]


def matched_scores(
    method: Encoder, images: Representation, texts: Representation, of: Of
) -> Tensor:
    """`scores_B` of image i with text i.

    `score` is the model's where the text asks for the image, the costlier part of `refine`
    included; `cosine` is that of the two embeddings, what an index ranks by.
    """
    if of == "cosine":
        return (images["z"] * texts["z"]).sum(dim=1)
    scores_B = method.score(images, texts).text_to_image_BC.diagonal()
    rows = torch.arange(len(scores_B), device=scores_B.device)
    added = method.refine(images, texts, torch.stack([rows, rows], dim=1))
    return scores_B if added is None else scores_B + added.text_to_image_BC


def repeated(part: Representation, count: int) -> Representation:
    """A single row `count` times."""
    return {name: tensor.expand(count, *tensor.shape[1:]) for name, tensor in part.items()}


@dataclass(frozen=True)
class WordContributions:
    """The words of a text and what each adds to the score, NaN for those that were cut off."""

    words: Sequence[Word]
    shares_W: Arrays


@dataclass(frozen=True)
class Explanation:
    """Why an image and a text have their score.

    Attributes:
        of: what the score is.
        score: of the image with the text.
        phrase: the part of the text whose heat map this is; None for all of the text.
        picture_YXC: what of the image the model sees.
        heat_YX: where in it the score comes from, at least 0; cells of a feature map, or pixels.
        words: of the text.
        parts: names of the parts of the text, or those of the method, that it finds in the image.
        maps_PYX: the share of each cell in each of these parts; none without an attention.
        dimensions_D: contributions to the cosine of the embeddings, which is their sum.
        bits_K: contributions to the similarity of the codes, their sum; None without codes.
    """

    of: Of
    score: float
    phrase: str | None
    picture_YXC: NDArray[np.uint8]
    heat_YX: Arrays
    words: WordContributions
    dimensions_D: NDArray[np.float64]
    parts: Sequence[str] = ()
    maps_PYX: Arrays = field(default_factory=lambda: np.zeros((0, 1, 1)))
    bits_K: NDArray[np.float64] | None = None


class Explainer:
    """A `teacher` or `student` artifact, ready to explain.

    Args:
        artifact: the model.
        of: the score to explain.
        cam: the kind of heat map.
        level: of the image tower that heat maps show; None for its last map.
        background: pairs whose mean training image occlusion puts in place of what it hides; None
            for a blur of the image.

    Raises:
        CrossRayError: a model that reads no texts, that needs boxes, or that was trained on a
            feature set and has no towers; a background for another map than occlusion, or one
            without training images.
    """

    def __init__(
        self,
        artifact: Artifact,
        of: Of = "score",
        cam: Cam = "hires-cam",
        level: int | None = None,
        background: Artifact | None = None,
    ) -> None:
        if background is not None and cam != "occlusion":
            raise CrossRayError(
                f"a background is for places that occlusion hides, and the map {cam!r} hides none; "
                "give --cam occlusion with it, or leave it out."
            )
        model = load_model(artifact)
        if "images_only" in model.method.config.capabilities:
            raise model.method.config.no_text()
        if model.method.config.capabilities & {"boxes", "masks"}:
            raise CrossRayError(
                f"{artifact.uri} reads images with their boxes or masks and an image file has "
                "none; explain a model that reads images alone."
            )
        self.method, self._tokenizer, self._max_tokens = (
            model.method.requires_grad_(False),
            model.tokenizer,
            model.max_tokens,
        )
        self.of, self.cam, self.level = of, cam, level
        image = self.method.config.image
        self.side = image.image_size
        self._transform = evaluation_transform(self.side, *normalisation(image))
        self._background_CYX = (
            None if background is None else mean_image(background, self._transform)
        )

    def images(self, images: Sequence[bytes]) -> ImageBatch:
        """Encoded images as the model takes them."""
        return ImageBatch(torch.stack([self._transform(image) for image in images]))

    def texts(self, texts: Sequence[Sequence[str]]) -> TextBatch:
        """Texts, each given as its sentences, as the model takes them."""
        return self._tokenizer.encode(texts, self._max_tokens)

    def heat(
        self,
        image: ImageBatch,
        texts: Sequence[Sequence[str]],
        less: Sequence[Sequence[str]] | None = None,
    ) -> Tensor:
        """`maps_BYX` of the score of image i with text i, less that with the text i of `less`."""
        with torch.no_grad():
            full = self.method.represent_text(self.texts(texts))
            rest = None if less is None else self.method.represent_text(self.texts(less))

        def score(images: Representation) -> Tensor:
            scores_B = self._scores(images, full)
            return scores_B if rest is None else scores_B - self._scores(images, rest)

        return heat_maps(self.method, image, score, self.cam, self.level, self._background_CYX)

    def explain(self, data: bytes, text: str, phrase: str | None = None) -> Explanation:
        """The explanation of an encoded image with a text.

        With a phrase of the text, the heat map shows what the phrase adds: where the difference
        to the score without it comes from. Raises `CrossRayError` for an empty text, for a phrase
        that is not in it and for what is not a complete image.
        """
        sentences = _sentences(text)
        rest = None if phrase is None else [_sentences(_less(text, phrase))]
        picture_YXC = seen_square(data)
        image, tokens = self.images([data]), self.texts([sentences])
        words = words_of(self._tokenizer, sentences, self._max_tokens)
        with torch.no_grad():
            grid = ImageBatch(grid_BCYX=self.method.image_grid(image))
            images, texts = self.method.represent_image(grid), self.method.represent_text(tokens)
            score = float(self._scores(images, texts))
            shares_W = word_shares(tokens, words, lambda some: self._scores_of(images, some))
            aligned = self.method.alignment(grid, tokens)
        heat_YX = self.heat(image, [sentences], rest)[0]
        parts, maps_PYX = _named(aligned, words)
        return Explanation(
            self.of, score, phrase, picture_YXC, heat_YX.numpy(),
            WordContributions(words, shares_W.numpy()),
            dimension_contributions(*(part["z"][0].numpy() for part in (images, texts))),
            parts, maps_PYX, _bits(images, texts),
        )  # fmt: skip

    def _scores(self, images: Representation, texts: Representation) -> Tensor:
        return matched_scores(self.method, images, texts, self.of)

    def _scores_of(self, image: Representation, texts: TextBatch) -> Tensor:
        """Scores of one image with several texts."""
        count = len(texts.mask_BT)
        return self._scores(repeated(image, count), self.method.represent_text(texts))


def _sentences(text: str) -> list[str]:
    if sentences := split_sentences(text):
        return sentences
    raise CrossRayError("there is no text to score the image with; give one of some words.")


def _less(text: str, phrase: str) -> str:
    """The text without a phrase of it."""
    if not phrase.strip() or phrase not in text:
        raise CrossRayError(
            f"the phrase {phrase!r} is not in the text; give a part of it, letter by letter."
        )
    if rest := text.replace(phrase, " ", 1).strip(" ."):
        return rest
    raise CrossRayError(
        "nothing of the text is left without the phrase; leave the phrase out to explain all of it."
    )


def _named(aligned: Alignment | None, words: Sequence[Word]) -> tuple[list[str], Arrays]:
    """Parts with their maps; the map of a word is the mean of its tokens' maps."""
    if aligned is None:
        return [], np.zeros((0, 1, 1))
    maps_PYX = aligned.maps_BPYX[0].numpy()
    if aligned.parts is not None:
        return list(aligned.parts), maps_PYX
    read = [word for word in words if word.tokens]
    means = [maps_PYX[list(word.tokens)].mean(axis=0) for word in read]
    return [word.text for word in read], np.stack(means)


def _bits(images: Representation, texts: Representation) -> NDArray[np.float64] | None:
    if "h" not in images:
        return None
    image_K, text_K = (binarise(part["h"].numpy())[0] for part in (images, texts))
    return bit_contributions(image_K, text_K)


def save_arrays(found: Explanation, path: Path) -> None:
    """Write the arrays of an explanation as `.npz`, which numpy reads without pickle.

    `score`, `picture_YXC`, `heat_YX`, `words_W` with `shares_W`, `parts_P` with `maps_PYX`,
    `dimensions_D` and, where there are codes, `bits_K`. Raises `CrossRayError` for a path that
    cannot be written.
    """
    arrays = {
        "score": np.array(found.score),
        "picture_YXC": found.picture_YXC,
        "heat_YX": found.heat_YX,
        "words_W": np.array([word.text for word in found.words.words]),
        "shares_W": found.words.shares_W,
        "parts_P": np.array(found.parts, dtype=str),
        "maps_PYX": found.maps_PYX,
        "dimensions_D": found.dimensions_D,
    }
    if found.bits_K is not None:
        arrays["bits_K"] = found.bits_K
    try:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise CrossRayError(
            f"the arrays {str(path)!r} cannot be written ({error.strerror}); choose another file."
        ) from None
