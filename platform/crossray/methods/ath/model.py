"""ATH: attention-based triplet hashing of images; float outputs or codes."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossray.core.distributed import gather
from crossray.core.types import Batch, ImageBatch, Representation, TextBatch
from crossray.encoders.image import ImageTower
from crossray.losses import triplets
from crossray.methods.config import Capability, SupervisedConfig
from crossray.methods.contract import Trainable


@dataclass(frozen=True)
class AthConfig(SupervisedConfig):
    """A hash layer and a class head over an image tower, by default the paper's (`ath`).

    Attributes:
        bits: width of the hash layer.
        outputs: `codes` trains tanh outputs, whose signs are searched; `float` searches the plain
            outputs, as the public code does.
        margin: of the triplet loss in mean squared distances, as a share of `bits`. The published
            half is far above what tanh outputs reach, so their hinge never rests.
    """

    name: ClassVar[str] = "ath"
    bits: int = 36
    outputs: Literal["codes", "float"] = "codes"
    margin: float = 0.5

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `MethodConfig.capabilities`."""
        return super().capabilities | {"images_only", "image_search"}

    def build(self, load_weights: bool = True) -> "Ath":
        """See `MethodConfig.build`."""
        return Ath(self, load_weights)

    def map_side(self, full: int) -> int:
        """One cell: only the mean over the map is used; the tower of the paper gives no more."""
        return 1


class Ath(Trainable[Batch]):
    """Triplets by distance of the hash outputs, labels by a linear head on them."""

    config: AthConfig

    def __init__(self, config: AthConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)
        self.hash = nn.Linear(self.image_tower.channels, config.bits)
        self.classes = nn.Linear(config.bits, len(config.labels))

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BK`: the hash outputs, unit length."""
        return functional.normalize(self._outputs(image), dim=-1)

    def encode_text(self, text: TextBatch) -> Tensor:
        """Raises `CrossRayError`: texts are not read."""
        raise self.config.no_text()

    def represent_image(self, image: ImageBatch) -> Representation:
        """`z`, `classes`: the probability of each label, and the `code` if there is one.

        A code is filled up with +1 to full bytes, which leaves all distances as they are.
        """
        outputs_BK = self._outputs(image)
        parts = {
            "z": functional.normalize(outputs_BK, dim=-1),
            "classes": torch.sigmoid(self.classes(outputs_BK)),
        }
        if self.config.outputs == "codes":
            signs_BK = torch.where(outputs_BK >= 0, 1.0, -1.0)
            parts["code"] = functional.pad(signs_BK, (0, -self.config.bits % 8), value=1.0)
        return parts

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`triplet` over all triplets of the gathered batch, `classes`: binary cross-entropy."""
        assert batch.labels_BC is not None
        outputs_BK, labels_BC = self._outputs(batch.image), batch.labels_BC
        distances_BB = triplets.mean_squared_distances(gather(outputs_BK))
        term = partial(triplets.margin_term, margin=self.config.margin * self.config.bits)
        logits_BC = self.classes(outputs_BK)
        return {
            "triplet": triplets.mean_over_triplets(
                distances_BB, triplets.label_roles(gather(labels_BC)), term
            ),
            "classes": functional.binary_cross_entropy_with_logits(logits_BC, labels_BC),
        }

    def _outputs(self, image: ImageBatch) -> Tensor:
        outputs_BK: Tensor = self.hash(self.image_grid(image).mean(dim=(2, 3)))
        return torch.tanh(outputs_BK) if self.config.outputs == "codes" else outputs_BK
