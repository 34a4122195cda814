"""What every method's configuration has and says about the method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from tyro.conf import Suppress

from crossray.core.config import Config
from crossray.core.errors import CrossRayError
from crossray.data.pretext.config import PretextConfig
from crossray.encoders.image import ImageTowerConfig
from crossray.encoders.text import TextTowerConfig

if TYPE_CHECKING:
    from crossray.methods.contract import Encoder

Capability = Literal[
    "codes",  # makes codes of `code_bits` bits: `Encoder.hashing` is not None
    "labels",  # learns from labels: batches have `labels_BC`, columns as in `label_names`
    "boxes",  # reads images with their boxes
    "masks",  # reads images with masks of their structures
    "images_only",  # reads no texts
    "image_search",  # is judged by images that query images
    "pretext",  # learns from images and texts apart: what it builds is a `Unimodal`
    "slow_encoder",  # some weights follow others by steps that bfloat16 would round away
    "closed_form",  # is fitted at once: what it builds is a `ClosedForm`
]


@dataclass(frozen=True)
class MethodConfig(Config):
    """The fields that every method has; `name` is its key in the registry.

    Attributes:
        image: the image tower.
        text: the text tower.
        embedding: dimensions of the shared space.
    """

    name: ClassVar[str]
    image: ImageTowerConfig = field(default_factory=ImageTowerConfig)
    text: TextTowerConfig = field(default_factory=TextTowerConfig)
    embedding: int = 256

    def build(self, load_weights: bool = True) -> Encoder:
        """The model; `load_weights=False` leaves out the towers' pretrained weights."""
        raise TypeError(f"{type(self).__name__} does not name a method")

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the method reads, makes and is trained by, besides pairs and vectors."""
        return frozenset()

    @property
    def code_bits(self) -> int:
        """Bits of the codes; 0 for a method without `codes`."""
        return 0

    @property
    def label_names(self) -> tuple[str, ...]:
        """The columns of `labels_BC`; empty for a method without `labels`."""
        return ()

    def with_labels(self, names: tuple[str, ...]) -> MethodConfig:
        """The method for data with this label vocabulary."""
        raise TypeError(f"{type(self).__name__} learns from no labels")

    def pretext(self) -> PretextConfig:
        """What is drawn for the batches of a method with `pretext`."""
        raise TypeError(f"{type(self).__name__} learns from pairs")

    def no_text(self) -> CrossRayError:
        """What is raised when a method of `images_only` is given a text."""
        return CrossRayError(
            f"this {self.name} model reads images only and cannot be asked about texts; judge it "
            "under the protocol mmdl, or train a method that reads both."
        )

    def map_side(self, full: int) -> int:
        """The side of the smallest feature map that gives the same representations.

        Args:
            full: rows and columns of the tower's map; the result is what they may be averaged to.
        """
        return full


@dataclass(frozen=True)
class HashingConfig(MethodConfig):
    """The field of a method with `codes`; what it builds is a `Hashing`.

    Attributes:
        bits: of the codes, a multiple of 8.
    """

    bits: int = 64

    def __post_init__(self) -> None:
        if self.bits < 8 or self.bits % 8:
            raise CrossRayError(
                f"bits={self.bits} does not fill whole bytes; choose a multiple of 8, 8 or more."
            )

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `MethodConfig.capabilities`."""
        return super().capabilities | {"codes"}

    @property
    def code_bits(self) -> int:
        """See `MethodConfig.code_bits`."""
        return self.bits


@dataclass(frozen=True)
class SupervisedConfig(MethodConfig):
    """The field of a method that learns from `labels`.

    Attributes:
        labels: the data's label vocabulary, in the order of the columns; filled in by a run.
    """

    labels: Suppress[tuple[str, ...]] = ()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `MethodConfig.capabilities`."""
        return super().capabilities | {"labels"}

    @property
    def label_names(self) -> tuple[str, ...]:
        """See `MethodConfig.label_names`."""
        return self.labels

    def with_labels(self, names: tuple[str, ...]) -> MethodConfig:
        """See `MethodConfig.with_labels`."""
        return replace(self, labels=names)
