"""What every method promises: to evaluation, index and serving, and to the training loop."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from crossray.core.types import Batch, ImageBatch, PretextBatch, Representation, TextBatch
from crossray.encoders.image import ImageTower
from crossray.encoders.text import TextTower
from crossray.methods.config import HashingConfig, MethodConfig

MAX_LOGIT_SCALE = 4.6052  # ln 100


@dataclass(frozen=True)
class Phase:
    """A part of training with a separate optimiser (adversarial and alternating methods).

    `parameters`: prefixes of parameter names, empty for all. `terms`: the loss terms that this
    phase minimises, empty for all. `lr_scale`: its learning rate relative to the recipe's.
    `optimizer`: the recipe's AdamW, RMSprop, which adversarial critics are trained with, or SGD.
    `decayed`: the recipe's weight decay holds for it. `turn`: a phase is taken every step, or
    alternates with the others of its kind, a pass over the training split each; then an epoch is as
    many passes as there are such phases, and every pass shows every item.
    """

    name: str = "all"
    parameters: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    lr_scale: float = 1.0
    optimizer: Literal["AdamW", "RMSprop", "SGD"] = "AdamW"
    decayed: bool = True
    turn: Literal["step", "epoch"] = "step"


@dataclass(frozen=True)
class TrainingSet:
    """What a method may know of the training split before the first step.

    `labels_NC`: float, rows as in `Batch.rows_B`; None for methods that learn without labels.
    `encode`: texts as the text tower reads them; None on a feature set, which has no words.
    `seed`: of the run.
    """

    seed: int
    labels_NC: Tensor | None = None
    encode: Callable[[Sequence[str]], TextBatch] | None = None


class PairScores(NamedTuple):
    """Scores of every pair for both kinds of queries; larger is better.

    They differ when the score depends on the query's side. Both have images as rows.
    """

    image_to_text_BC: Tensor
    text_to_image_BC: Tensor


class Alignment(NamedTuple):
    """Where B images show P parts, each part by its map; row i is of image i and text i.

    `maps_BPYX`: the share of each cell of the image in a part. A map sums to 1, or is 0 everywhere
    where there is no such part (padding). `parts`: names of the P parts where the method has named
    parts, such as labels or slots; None where part p is token p of the text.
    """

    maps_BPYX: Tensor
    parts: tuple[str, ...] | None = None


class Encoder(nn.Module, ABC):
    """A model of images and texts, as evaluation, index and serving know it."""

    config: MethodConfig
    image_tower: ImageTower
    text_tower: TextTower

    @abstractmethod
    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`, unit length: what an index holds."""

    @abstractmethod
    def encode_text(self, text: TextBatch) -> Tensor:
        """`z_BD`, unit length: what an index holds."""

    def represent_image(self, image: ImageBatch) -> Representation:
        """What `score` needs to know of images; every tensor has one row an image.

        `z` is among them, what `encode_image` gives. Only the second dimension of a tensor may
        differ between items, as the number of words does; zeros after its end, in a mask too,
        change no score.
        """
        return {"z": self.encode_image(image)}

    def represent_text(self, text: TextBatch) -> Representation:
        """What `score` needs to know of texts, as `represent_image` of images."""
        return {"z": self.encode_text(text)}

    def score(self, images: Representation, texts: Representation) -> PairScores:
        """Scores of all pairs of B images and C texts; the cosine unless overridden."""
        scores_BC = images["z"] @ texts["z"].T
        return PairScores(scores_BC, scores_BC)

    def refine(
        self, images: Representation, texts: Representation, pairs_P2: Tensor
    ) -> PairScores | None:
        """What a costlier scorer adds to the scores of chosen (image row, text row) pairs.

        Each part of the result has shape P. None: `score` is the full score.
        """
        return None

    def full_score(self, images: Representation, texts: Representation) -> PairScores:
        """`score` with all that `refine` adds, as if every item were a candidate of every query."""
        rows = self.score(images, texts)
        numbers = (torch.arange(len(z), device=z.device) for z in (images["z"], texts["z"]))
        added = self.refine(images, texts, torch.cartesian_prod(*numbers))
        if added is None:
            return rows
        both = zip(rows, added, strict=True)
        return PairScores(*(row_BC + more_P.view(row_BC.shape) for row_BC, more_P in both))

    def alignment(self, image: ImageBatch, text: TextBatch) -> Alignment | None:
        """Where image i shows the parts of text i by the method's attention, if it has any."""
        return None

    def hashing(self) -> "Hashing | None":
        """The same model where it makes codes."""
        return None

    def prepare(self, training: TrainingSet) -> "Trainable[Any]":
        """What trains this model: the model, or a `Wrapped` around it.

        Every process of a run calls it once, before any optimiser is made.
        """
        raise TypeError(f"{type(self).__name__} is fitted, not trained step by step")

    def image_grid(self, image: ImageBatch) -> Tensor:
        """`grid_BCYX`: the tower's feature map, cached or computed."""
        if image.grid_BCYX is not None:
            return image.grid_BCYX
        assert image.pixels_BCYX is not None
        grid_BCYX: Tensor = self.image_tower(image.pixels_BCYX)
        return grid_BCYX

    def text_states(self, text: TextBatch) -> Tensor:
        """`states_BTD`: the tower's last hidden states, cached or computed."""
        if text.states_BTD is not None:
            return text.states_BTD
        assert text.tokens_BT is not None
        states_BTD: Tensor = self.text_tower(text.tokens_BT, text.mask_BT)
        return states_BTD


BatchT = TypeVar("BatchT", contravariant=True)


class Trainable(Encoder, Generic[BatchT]):
    """A model as the training loop knows it, with the type of batch that it learns from.

    It never calls `backward` or `step` and never sees a rank.
    """

    @abstractmethod
    def losses(self, batch: BatchT) -> dict[str, Tensor]:
        """Named terms, each a scalar; a phase minimises the sum of its terms."""

    def phase_losses(self, phase: Phase, batch: BatchT) -> dict[str, Tensor]:
        """The terms that a phase minimises, of those of `losses`."""
        terms = self.losses(batch)
        return {name: terms[name] for name in phase.terms or terms}

    def phases(self) -> tuple[Phase, ...]:
        """One phase over all parameters, unless the method says otherwise."""
        return (Phase(),)

    def prepare(self, training: TrainingSet) -> "Trainable[Any]":
        """The method itself."""
        return self

    def after_step(self, progress: float) -> None:
        """Called after every optimiser step; `progress` is the share of training that is done.

        Here buffers and weights that no gradient reaches are brought up to date.
        """
        return None

    def observations(self) -> dict[str, float]:
        """Numbers that a run logs with its losses."""
        return {}

    def published_method(self) -> Encoder:
        """What a run publishes: the method itself, unless it is only there to train another."""
        return self


class Wrapped(Trainable[BatchT]):
    """Trains another model, its `published_method`, and is evaluated as that one is."""

    @abstractmethod
    def published_method(self) -> Encoder:
        """The model that is trained."""

    def __getattr__(self, name: str) -> Any:
        # Registered once more here, the towers would be in the state twice.
        if name in ("config", "image_tower", "text_tower"):
            return getattr(self.published_method(), name)
        return super().__getattr__(name)

    def encode_image(self, image: ImageBatch) -> Tensor:
        """The published method's, as all that follows."""
        return self.published_method().encode_image(image)

    def encode_text(self, text: TextBatch) -> Tensor:
        """See `Encoder.encode_text`."""
        return self.published_method().encode_text(text)

    def represent_image(self, image: ImageBatch) -> Representation:
        """See `Encoder.represent_image`."""
        return self.published_method().represent_image(image)

    def represent_text(self, text: TextBatch) -> Representation:
        """See `Encoder.represent_text`."""
        return self.published_method().represent_text(text)

    def score(self, images: Representation, texts: Representation) -> PairScores:
        """See `Encoder.score`."""
        return self.published_method().score(images, texts)

    def refine(
        self, images: Representation, texts: Representation, pairs_P2: Tensor
    ) -> PairScores | None:
        """See `Encoder.refine`."""
        return self.published_method().refine(images, texts, pairs_P2)

    def alignment(self, image: ImageBatch, text: TextBatch) -> Alignment | None:
        """See `Encoder.alignment`."""
        return self.published_method().alignment(image, text)

    def hashing(self) -> "Hashing | None":
        """See `Encoder.hashing`."""
        return self.published_method().hashing()


class Hashing(Encoder):
    """A model that also makes codes, of `config.bits` bits: the signs of `h`, sign(0) = +1."""

    config: HashingConfig

    @abstractmethod
    def hash_image(self, z_BD: Tensor) -> Tensor:
        """`h_BK`, whose signs are the codes of image embeddings (`encode_image`)."""

    @abstractmethod
    def hash_text(self, z_BD: Tensor) -> Tensor:
        """`h_BK`, whose signs are the codes of text embeddings (`encode_text`)."""

    def hashing(self) -> "Hashing":
        """Itself."""
        return self

    def represent_image(self, image: ImageBatch) -> Representation:
        """`z` and the hash outputs `h`, which codes are judged by."""
        z_BD = self.encode_image(image)
        return {"z": z_BD, "h": self.hash_image(z_BD)}

    def represent_text(self, text: TextBatch) -> Representation:
        """`z` and the hash outputs `h`, which codes are judged by."""
        z_BD = self.encode_text(text)
        return {"z": z_BD, "h": self.hash_text(z_BD)}


class ClosedForm(Encoder):
    """A model whose weights are computed at once from features, not learned step by step."""

    @abstractmethod
    def fit(self, features: Iterable[Batch]) -> None:
        """Compute the weights in one pass over paired rows of the training split.

        Sizes in `config` that the features cannot fill are lowered.
        """


class Unimodal(Trainable[PretextBatch]):
    """A method that is trained on images and on texts alone, to be the start of another."""

    @abstractmethod
    def measure(self, batch: PretextBatch) -> dict[str, dict[str, Tensor]]:
        """By modality and name: a sum over the batch, and over how many it is, shape 2."""

    @abstractmethod
    def counted(self) -> dict[str, dict[str, float]]:
        """By modality and name: shares of what training has seen so far."""


def same_study(keys_B: Tensor) -> Tensor:
    """`same_BB`: bool, True where two rows show the same study."""
    return keys_B[:, None] == keys_B[None, :]


def logit_scale_parameter(temperature: float) -> nn.Parameter:
    """The learned logarithm of 1 / temperature, shape 1 (Radford et al. 2021, section 2.3)."""
    return nn.Parameter(torch.tensor([1.0 / temperature]).log())


def logit_scale(parameter: Tensor) -> Tensor:
    """The scale that the parameter stands for, at most 100 (Radford et al. 2021, section 2.5)."""
    return parameter.clamp(max=MAX_LOGIT_SCALE).exp()
