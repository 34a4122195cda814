"""CLIP: the plain dual encoder (Radford et al. 2021, "Learning Transferable Visual Models")."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn import functional

from crossray.core.distributed import gather
from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.encoders.heads import projection_head
from crossray.encoders.image import ImageTower
from crossray.encoders.text import TextTower, pool
from crossray.losses.info_nce import symmetric_info_nce
from crossray.methods.config import MethodConfig
from crossray.methods.contract import Trainable, logit_scale, logit_scale_parameter, same_study


@dataclass(frozen=True)
class ClipConfig(MethodConfig):
    """Two towers, pooled, each with a two-layer head into the shared space.

    Attributes:
        hidden: width of the heads' hidden layer.
        dropout: probability, in the heads.
        text_pooling: the first token's state, or the mean over the tokens.
        temperature: the initial one; it is learned, with 1 / temperature clipped at 100.
    """

    name: ClassVar[str] = "clip"
    embedding: int = 512
    hidden: int = 1024
    dropout: float = 0.0
    text_pooling: Literal["cls", "mean"] = "mean"
    temperature: float = 0.07

    def build(self, load_weights: bool = True) -> "Clip":
        """See `MethodConfig.build`."""
        return Clip(self, load_weights)

    def map_side(self, full: int) -> int:
        """One cell: only the mean over the map is used."""
        return 1


class Clip(Trainable[Batch]):
    """Dual encoder trained with symmetric InfoNCE over the gathered batch."""

    config: ClipConfig

    def __init__(self, config: ClipConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)
        self.text_tower = TextTower(config.text, load_weights)
        self.image_head = projection_head(
            self.image_tower.channels, config.hidden, config.embedding, config.dropout
        )
        self.text_head = projection_head(
            self.text_tower.width, config.hidden, config.embedding, config.dropout
        )
        self.logit_scale = logit_scale_parameter(config.temperature)

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`: the head of the mean over the feature map, unit length."""
        pooled_BC = self.image_grid(image).mean(dim=(2, 3))
        return functional.normalize(self.image_head(pooled_BC), dim=-1)

    def encode_text(self, text: TextBatch) -> Tensor:
        """`z_BD`: the head of the pooled token states, unit length."""
        pooled_BD = pool(self.text_states(text), text.mask_BT, self.config.text_pooling)
        return functional.normalize(self.text_head(pooled_BD), dim=-1)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`info_nce`: symmetric InfoNCE of the gathered batch, in nats."""
        image_BD = gather(self.encode_image(batch.image))
        text_BD = gather(self.encode_text(batch.text))
        scale = logit_scale(self.logit_scale)
        same_BB = same_study(gather(batch.keys_B))
        return {"info_nce": symmetric_info_nce(scale * image_BD @ text_BD.T, same_BB)}
