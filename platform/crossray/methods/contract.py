"""What every method promises to the training loop, to evaluation and to serving."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from tyro.conf import Suppress

from crossray.core.config import Config
from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, ImageBatch, Representation, TextBatch
from crossray.data.pretext.config import PretextConfig
from crossray.encoders.image import ImageTower, ImageTowerConfig
from crossray.encoders.text import TextTower, TextTowerConfig

MAX_LOGIT_SCALE = 4.6052  # ln 100


@dataclass(frozen=True)
class MethodConfig(Config):
    """The fields that every trained method has; `name` is its key in the registry.

    What a `closed_form` configuration builds is a `ClosedForm`.

    Attributes:
        image: the image tower.
        text: the text tower.
        embedding: dimensions of the shared space.

    A method for `image_search` is judged by images that ask for images; one that is `image_only`
    has no text tower.
    """

    name: ClassVar[str]
    closed_form: ClassVar[bool] = False
    image_search: ClassVar[bool] = False
    image: ImageTowerConfig = field(default_factory=ImageTowerConfig)
    text: TextTowerConfig = field(default_factory=TextTowerConfig)
    embedding: int = 256

    def build(self, load_weights: bool = True) -> Method:
        """The model; `load_weights=False` leaves out the towers' pretrained weights."""
        raise TypeError(f"{type(self).__name__} does not name a method")

    @property
    def image_only(self) -> bool:
        """Whether the method reads no texts."""
        return False

    def no_text(self) -> CrossRayError:
        """What is raised when a method that reads no texts is asked about one."""
        return CrossRayError(
            f"this {self.name} model reads images only and cannot be asked about texts; judge it "
            "under the protocol mmdl, or train a method that reads both."
        )

    @property
    def reads_boxes(self) -> bool:
        """Whether the method's images must come with their boxes."""
        return False

    @property
    def reads_masks(self) -> bool:
        """Whether the method's images must come with masks of their structures."""
        return False

    def map_side(self, whole: int) -> int:
        """The side of the smallest feature map that serves as well as the whole one.

        A map of `whole` rows and columns averaged into that many gives the same representations.
        """
        return whole


@dataclass(frozen=True)
class HashingConfig(MethodConfig):
    """The fields of a method that also makes codes; what it builds is a `Hashing`.

    Attributes:
        bits: of the codes, a multiple of 8.
    """

    bits: int = 64

    def __post_init__(self) -> None:
        if self.bits < 8 or self.bits % 8:
            raise CrossRayError(
                f"bits={self.bits} does not fill whole bytes; choose a multiple of 8, 8 or more."
            )


@dataclass(frozen=True)
class SupervisedConfig(MethodConfig):
    """A method that learns from labels: its batches have `labels_BC`.

    Attributes:
        labels: the data's label vocabulary, in the order of the columns; filled in by a run.
    """

    labels: Suppress[tuple[str, ...]] = ()


@dataclass(frozen=True)
class UnimodalConfig(MethodConfig):
    """A method that learns from images and texts on their own: its batches have a `pretext`.

    What it builds is a `Unimodal`.
    """

    def pretext(self) -> PretextConfig:
        """What is drawn for its batches."""
        raise TypeError(f"{type(self).__name__} does not say what it draws")

    @property
    def has_slow_encoder(self) -> bool:
        """Whether weights follow others by small steps, which bfloat16 would round away."""
        return False


@dataclass(frozen=True)
class Phase:
    """A part of training with an optimiser of its own (adversarial and alternating methods).

    `parameters`: prefixes of parameter names, empty for all. `terms`: the loss terms that this
    phase minimises, empty for all. `lr_scale`: its learning rate relative to the recipe's.
    `optimizer`: the recipe's AdamW, RMSprop, which adversarial critics are trained with, or SGD.
    `decayed`: the recipe's weight decay holds for it. `turn`: a phase is taken every step, or takes
    turns with the others of its kind, a pass over the training split each; then an epoch is as many
    passes as there are such phases, and every pass shows every item.
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
    where there is no such part (padding). `parts`: names of the P parts where they are the method's
    own, such as labels or slots; None where part p is token p of the text.
    """

    maps_BPYX: Tensor
    parts: tuple[str, ...] | None = None


class Method(nn.Module, ABC):
    """A trainable cross-modal model. It never calls `backward` or `step` and never sees a rank."""

    config: MethodConfig
    image_tower: ImageTower
    text_tower: TextTower

    @abstractmethod
    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`, unit length: what an index holds."""

    @abstractmethod
    def encode_text(self, text: TextBatch) -> Tensor:
        """`z_BD`, unit length: what an index holds."""

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named terms, each a scalar; a phase minimises the sum of its terms."""

    def prepare(self, training: TrainingSet) -> Method:
        """What is trained: the method itself, or what surrounds it in training only.

        Every process of a run calls it once, before any optimiser is made.
        """
        return self

    def phase_losses(self, phase: Phase, batch: Batch) -> dict[str, Tensor]:
        """The terms that a phase minimises, of those of `losses`."""
        terms = self.losses(batch)
        return {name: terms[name] for name in phase.terms or terms}

    def observations(self) -> dict[str, float]:
        """Numbers that a run logs beside its losses."""
        return {}

    def product(self) -> Method:
        """What a run publishes: the method itself, unless it is only there to train another."""
        return self

    def after_step(self, progress: float) -> None:
        """Called after every optimiser step; `progress` is the share of training that is done.

        Here buffers and weights that no gradient reaches are brought up to date.
        """
        return None

    def phases(self) -> tuple[Phase, ...]:
        """One phase over all parameters, unless the method says otherwise."""
        return (Phase(),)

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

        Each part of the result has shape P. None: `score` is the whole score.
        """
        return None

    def alignment(self, image: ImageBatch, text: TextBatch) -> Alignment | None:
        """Where image i shows the parts of text i by the method's own attention, if it has any."""
        return None

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


class Hashing(Method):
    """A method that also makes codes, of `config.bits` bits: the signs of `h`, sign(0) = +1."""

    config: HashingConfig

    @abstractmethod
    def hash_image(self, z_BD: Tensor) -> Tensor:
        """`h_BK`, whose signs are the codes of image embeddings (`encode_image`)."""

    @abstractmethod
    def hash_text(self, z_BD: Tensor) -> Tensor:
        """`h_BK`, whose signs are the codes of text embeddings (`encode_text`)."""

    def represent_image(self, image: ImageBatch) -> Representation:
        """`z` and the hash outputs `h`, which codes are judged by."""
        z_BD = self.encode_image(image)
        return {"z": z_BD, "h": self.hash_image(z_BD)}

    def represent_text(self, text: TextBatch) -> Representation:
        """`z` and the hash outputs `h`, which codes are judged by."""
        z_BD = self.encode_text(text)
        return {"z": z_BD, "h": self.hash_text(z_BD)}


class ClosedForm(Method):
    """A method whose weights are computed at once from features, not learned step by step."""

    @abstractmethod
    def fit(self, features: Iterable[Batch]) -> None:
        """Compute the weights in one pass over paired rows of the training split.

        Sizes in `config` that the features cannot fill are lowered.
        """

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Nothing is minimised."""
        raise TypeError(f"{type(self).__name__} is fitted, not trained")


class Unimodal(Method):
    """A method that is trained on images and on texts alone, to be the start of another."""

    @abstractmethod
    def measure(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
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
