"""MMDL: images and reports of one label space; images alone are asked and found."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from crossray.core.errors import CrossRayError
from crossray.core.modality import MODALITIES, Modality
from crossray.core.types import Batch, ImageBatch, Representation, TextBatch
from crossray.encoders.image import ImageTower
from crossray.encoders.text import TextTower, pool
from crossray.methods.config import Capability, SupervisedConfig
from crossray.methods.contract import Trainable
from crossray.methods.mmdl import layers

_EPS = 1e-12


@dataclass(frozen=True)
class MmdlConfig(SupervisedConfig):
    """MMDL (docs/methods/mmdl.md).

    Attributes:
        modalities: what is learned from; `image` alone is Image-MMDL (m = 1).
        hidden: width of the first two layers.
        embedding: width of the third layer, rows of the coupling matrix.
        sharing: a first layer for each modality, or one for both over padded features.
        out_act: after the third layer: ReLU as printed, unit length, or nothing.
        fixed_coupling: keep the coupling matrix as it starts (SDML).
        dropout: probability, after the first two layers.
        text_pooling: the first token's state, or the mean over the tokens.
    """

    name: ClassVar[str] = "mmdl"
    modalities: tuple[Modality, ...] = MODALITIES
    hidden: int = 1024
    embedding: int = 512
    sharing: layers.Sharing = "own_first"
    out_act: layers.OutAct = "relu"
    fixed_coupling: bool = False
    dropout: float = 0.0
    text_pooling: Literal["cls", "mean"] = "mean"

    def __post_init__(self) -> None:
        if "image" not in self.modalities or len(set(self.modalities)) < len(self.modalities):
            raise CrossRayError(
                f"modalities={self.modalities!r} cannot be asked by images; choose image, or image "
                "and text."
            )
        if len(self.labels) > self.embedding:
            raise CrossRayError(
                f"{len(self.labels)} labels do not fit a coupling matrix of {self.embedding} rows; "
                "raise method.embedding."
            )

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `MethodConfig.capabilities`."""
        reads_texts = "text" in self.modalities
        return super().capabilities | {"image_search", *(() if reads_texts else ("images_only",))}

    def build(self, load_weights: bool = True) -> "Mmdl":
        """See `MethodConfig.build`."""
        return Mmdl(self, load_weights)

    def map_side(self, full: int) -> int:
        """One cell: only the mean over the map is used."""
        return 1


class Mmdl(Trainable[Batch]):
    """Shared layers over pooled features, and a matrix that turns what they give into labels."""

    config: MmdlConfig

    def __init__(self, config: MmdlConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)
        widths: dict[Modality, int] = {"image": self.image_tower.channels}
        if "text" in config.modalities:
            self.text_tower = TextTower(config.text, load_weights)
            widths["text"] = self.text_tower.width
        self.encoder = layers.SharedEncoder(
            widths, config.hidden, config.embedding, config.sharing, config.out_act, config.dropout
        )
        self.coupling = layers.coupling_matrix(
            config.embedding, len(config.labels), config.fixed_coupling
        )

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`: the encoder's output, unit length; zeros where every ReLU is silent."""
        return functional.normalize(self._image_h(image), dim=-1)

    def encode_text(self, text: TextBatch) -> Tensor:
        """`z_BD`: as of images."""
        if "text" not in self.config.modalities:
            raise self.config.no_text()
        return functional.normalize(self._text_h(text), dim=-1)

    def represent_image(self, image: ImageBatch) -> Representation:
        """`z`, and `classes`: the probability of each label, sigmoid(P^T h)."""
        h_BD = self._image_h(image)
        return {
            "z": functional.normalize(h_BD, dim=-1),
            "classes": torch.sigmoid(h_BD @ self.coupling),
        }

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`image` and `text` are equation 1 of each modality; their sum is equation 2.

        Means over the rows of a process; their average over processes is that of all rows.
        """
        labels_BC = batch.labels_BC
        assert labels_BC is not None
        terms = {"image": label_residual(self._image_h(batch.image), self.coupling, labels_BC)}
        if "text" in self.config.modalities:
            terms["text"] = label_residual(self._text_h(batch.text), self.coupling, labels_BC)
        return terms

    def _image_h(self, image: ImageBatch) -> Tensor:
        h_BD: Tensor = self.encoder(self.image_grid(image).mean(dim=(2, 3)), "image")
        return h_BD

    def _text_h(self, text: TextBatch) -> Tensor:
        pooled_BW = pool(self.text_states(text), text.mask_BT, self.config.text_pooling)
        h_BD: Tensor = self.encoder(pooled_BW, "text")
        return h_BD


def label_residual(h_BD: Tensor, coupling_DC: Tensor, labels_BC: Tensor) -> Tensor:
    r"""Equation 1: the mean over the rows of the distance between mapped embedding and labels.

    $$L^i = \frac{1}{n_i} \sum_j \lVert P^T h^i_j - y^i_j \rVert_2$$

    The norm is not squared, so a row far from its labels pulls no harder than one that is close.

    Args:
        h_BD: embeddings of one modality.
        coupling_DC: P, which all modalities share.
        labels_BC: 1 where a row carries a label, else 0.

    Returns:
        A scalar >= 0.
    """
    residual_BC = h_BD @ coupling_DC - labels_BC
    # Without the bound the gradient of a row of zeros would be NaN.
    return residual_BC.square().sum(dim=-1).clamp(min=_EPS**2).sqrt().mean()
