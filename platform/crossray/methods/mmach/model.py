"""What MMACH publishes: the towers and the hash networks of images and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional

from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, TextBatch
from crossray.encoders.image import ImageTower
from crossray.encoders.text import TextTower, pool
from crossray.methods.contract import Hashing, TrainingSet
from crossray.methods.mmach.config import MmachConfig
from crossray.methods.mmach.networks import HashNetwork

if TYPE_CHECKING:
    from crossray.methods.mmach.training import MmachTraining


class Mmach(Hashing):
    """Hash outputs of images and of texts; no label is needed any more.

    The embedding is the hash outputs at unit length, so its signs are the codes.
    """

    config: MmachConfig

    def __init__(self, config: MmachConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)
        self.text_tower = TextTower(config.text, load_weights)
        self.image_network = _network(config, self.image_tower.channels, "image")
        self.text_network = _network(config, self.text_tower.width, "text")

    def image_features(self, image: ImageBatch) -> Tensor:
        """Equation 1, `F^E`: the mean over the feature map, z_BC."""
        return self.image_grid(image).mean(dim=(2, 3))

    def text_features(self, text: TextBatch) -> Tensor:
        """Equation 1, `G^E` and `H^E`: the pooled token states, z_BW."""
        return pool(self.text_states(text), text.mask_BT, self.config.text_pooling)

    def image_outputs(self, image: ImageBatch) -> Tensor:
        """F: `outputs_BK` in (-1, 1)."""
        outputs_BK: Tensor = self.image_network(self.image_features(image))
        return outputs_BK

    def text_outputs(self, text: TextBatch) -> Tensor:
        """G: `outputs_BK` in (-1, 1)."""
        outputs_BK: Tensor = self.text_network(self.text_features(text))
        return outputs_BK

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`: the hash outputs at unit length."""
        return functional.normalize(self.image_outputs(image), dim=-1)

    def encode_text(self, text: TextBatch) -> Tensor:
        """`z_BD`: the hash outputs at unit length."""
        return functional.normalize(self.text_outputs(text), dim=-1)

    def hash_image(self, z_BD: Tensor) -> Tensor:
        """The embedding itself: a positive factor changes no sign."""
        return z_BD

    def hash_text(self, z_BD: Tensor) -> Tensor:
        """The embedding itself: a positive factor changes no sign."""
        return z_BD

    def prepare(self, training: TrainingSet) -> MmachTraining:
        """The model with its label network and the outputs of all training rows."""
        from crossray.methods.mmach.training import MmachTraining

        return MmachTraining(self, training)


def _network(config: MmachConfig, dim: int, side: str) -> HashNetwork:
    if max(config.scales, default=1) > dim:
        raise CrossRayError(
            f"scales={config.scales} average more dimensions than the {dim} of the {side} tower's "
            "output; leave out the scales above that."
        )
    return HashNetwork(dim, config.scales, config.wide, config.narrow, config.bits, config.norm)
