"""Plain image features: what a trained tower gives, compared as it is.

With DenseNet121 the baseline Image-D121; with `pooling="scda"` the descriptor of Wei et al. 2017.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.encoders.image import ImageTower
from crossray.encoders.scda import descriptor, object_mask
from crossray.methods.config import Capability, MethodConfig
from crossray.methods.contract import ClosedForm


@dataclass(frozen=True)
class ImageFeaturesConfig(MethodConfig):
    """The pooled feature map of a frozen tower; nothing is learned.

    Attributes:
        pooling: the mean over the map, or average and maximum over the main object (SCDA).
    """

    name: ClassVar[str] = "image_features"
    pooling: Literal["mean", "scda"] = "mean"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `MethodConfig.capabilities`."""
        return super().capabilities | {"closed_form", "images_only", "image_search"}

    def build(self, load_weights: bool = True) -> "ImageFeatures":
        """See `MethodConfig.build`."""
        return ImageFeatures(self, load_weights)

    def map_side(self, full: int) -> int:
        """One cell for the mean, all of them to find the object."""
        return 1 if self.pooling == "mean" else full


class ImageFeatures(ClosedForm):
    """A tower and no head."""

    config: ImageFeaturesConfig

    def __init__(self, config: ImageFeaturesConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)

    def fit(self, features: Iterable[Batch]) -> None:
        """See `ClosedForm.fit`; there is nothing to compute."""

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`: the pooled map, unit length."""
        grid_BCYX = self.image_grid(image)
        if self.config.pooling == "mean":
            return functional.normalize(grid_BCYX.mean(dim=(2, 3)), dim=-1)
        described = [descriptor(grid_CYX, object_mask(grid_CYX)) for grid_CYX in grid_BCYX]
        return functional.normalize(torch.stack(described), dim=-1)

    def encode_text(self, text: TextBatch) -> Tensor:
        """Raises `CrossRayError`: texts are not read."""
        raise self.config.no_text()
