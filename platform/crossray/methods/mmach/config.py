"""The configuration of MMACH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from tyro.conf import Suppress

from crossray.core.errors import CrossRayError
from crossray.methods.config import HashingConfig, SupervisedConfig
from crossray.methods.mmach.networks import Norm
from crossray.methods.mmach.objective import Weight

if TYPE_CHECKING:
    from crossray.methods.mmach.model import Mmach


@dataclass(frozen=True)
class MmachConfig(HashingConfig, SupervisedConfig):
    """MMACH (docs/methods/mmach.md); equation numbers are those of the paper.

    Attributes:
        embedding: as many as bits: codes are the signs of the embedding.
        text_pooling: the first token's state, or the mean over the tokens.
        scales: kernels of the average poolings of the hash networks.
        wide: width of the hash networks' first hidden layer.
        narrow: width of their second.
        label_hidden: width of the label network's hidden layer.
        norm: after both hidden layers of the hash networks: batch normalisation, or SSAH's local
            response normalisation.
        label_encoding: what the label network is fed with: the names of an item's labels, read by
            the text tower, or the labels as 0 and 1 through a fixed random map.
        attention: enrich the label features by image and text (equations 2 and 3); without it the
            method is MLSDCH.
        l2_inputs: bring all features to unit length before that.
        objective: triplets by the number of labels in common (equation 4), or cosines of the label
            vectors as targets, MMACH-MSE.
        weight: of a set of triplets: one over their number, or the printed 1 / n^2 (equation 10).
        margins: gamma 1 to 4 (equations 5 and 6); None for a quarter of the bits each, which is one
            bit in 16.
        alpha: weight of the quantisation error (equation 10).
        tries: draws after which an anchor goes without a triplet.
        optimizer: of all three networks.
    """

    name: ClassVar[str] = "mmach"
    embedding: Suppress[int] = 64
    text_pooling: Literal["cls", "mean"] = "mean"
    scales: tuple[int, ...] = (10, 6, 3, 2, 1)
    wide: int = 4096
    narrow: int = 512
    label_hidden: int = 8192
    norm: Norm = "batch"
    label_encoding: Literal["names", "multi_hot"] = "names"
    attention: bool = True
    l2_inputs: bool = False
    objective: Literal["triplet", "mse"] = "triplet"
    weight: Weight = "mean"
    margins: tuple[float, float, float, float] | None = None
    alpha: float = 0.6
    tries: int = 50
    optimizer: Literal["SGD", "AdamW"] = "SGD"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "embedding", self.bits)
        if min(self.scales, default=1) < 1 or min(self.wide, self.narrow, self.label_hidden) < 1:
            raise CrossRayError(
                f"scales={self.scales}, wide={self.wide}, narrow={self.narrow} and label_hidden="
                f"{self.label_hidden} are no sizes of networks; give each at least 1."
            )
        if self.tries < 1 or not 0 <= self.alpha < float("inf"):
            raise CrossRayError(
                f"tries={self.tries} and alpha={self.alpha} are no settings of MMACH; draw at "
                "least once, and give a weight of 0 or more."
            )

    @property
    def gammas(self) -> tuple[float, float, float, float]:
        """The four margins of equations 5 and 6."""
        return self.margins or (self.bits / 4,) * 4

    def build(self, load_weights: bool = True) -> Mmach:
        """See `MethodConfig.build`."""
        from crossray.methods.mmach.model import Mmach

        return Mmach(self, load_weights)

    def map_side(self, full: int) -> int:
        """One cell: only the mean over the map is used."""
        return 1
