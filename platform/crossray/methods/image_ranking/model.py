"""Fine-tuning of an image tower by a triplet loss on labels, before MMDL (docs/methods/mmdl.md)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from crossray.core.distributed import gather
from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.encoders.image import ImageTower
from crossray.losses.triplets import TripletForm, label_triplet_loss, triplet_term
from crossray.methods.config import Capability, SupervisedConfig
from crossray.methods.contract import Trainable


@dataclass(frozen=True)
class ImageRankingConfig(SupervisedConfig):
    """An image tower whose pooled features learn to lie close where labels are shared.

    Attributes:
        triplet: the hinge with a margin, or the softmax ratio of the work that the paper cites.
        margin: of the hinge, in Euclidean distances of unit vectors.
    """

    name: ClassVar[str] = "image_ranking"
    triplet: TripletForm = "margin"
    margin: float = 0.2

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `MethodConfig.capabilities`."""
        return super().capabilities | {"images_only", "image_search"}

    def build(self, load_weights: bool = True) -> "ImageRanking":
        """See `MethodConfig.build`."""
        return ImageRanking(self, load_weights)

    def map_side(self, full: int) -> int:
        """One cell: only the mean over the map is used."""
        return 1


class ImageRanking(Trainable[Batch]):
    """A tower without a head; another run starts from its weights."""

    config: ImageRankingConfig

    def __init__(self, config: ImageRankingConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`: the mean over the feature map, unit length."""
        return functional.normalize(self.image_grid(image).mean(dim=(2, 3)), dim=-1)

    def encode_text(self, text: TextBatch) -> Tensor:
        """Raises `CrossRayError`: texts are not read."""
        raise self.config.no_text()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`triplet`: the mean over all triplets of the gathered batch."""
        assert batch.labels_BC is not None
        term = triplet_term(self.config.triplet, self.config.margin)
        z_BD = gather(self.encode_image(batch.image))
        return {"triplet": label_triplet_loss(z_BD, gather(batch.labels_BC), term)}
