"""Distillation: the terms by which a student follows a teacher (HIER, section 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crossray.core.config import Config
from crossray.core.distributed import gather, gather_ragged
from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, ImageBatch, Representation, TextBatch
from crossray.distill.student import Student, gathered
from crossray.distill.teaching import attention_name, hidden_name
from crossray.encoders.image import ImageTower
from crossray.encoders.text import Layers, TextTower
from crossray.losses.distillation import (
    attention_loss,
    embedding_loss,
    hidden_loss,
    order_loss,
    score_divergence,
)
from crossray.methods.contract import Method, PairScores, same_study


@dataclass(frozen=True)
class DistillationConfig(Config):
    """How a student is taught.

    Attributes:
        temperature: tau of `L_ctr`.
        margin: m' of `L_rank`.
        layer_map: pairs of a student's and a teacher's layer, counted from 0, whose states and
            attention maps of texts are compared.
        hidden: weight of `L_hid`.
        attention: weight of `L_att`.
        embedding: weight of the distance of the final embeddings.
        codes: weight of `L_ctr` between the hash outputs' scores and the teacher's.
        from_teacher: start the towers with the teacher's, where tensors agree in name and shape.
    """

    temperature: float = 0.07
    margin: float = 0.05
    layer_map: tuple[tuple[int, int], ...] = ((1, 3), (3, 7), (5, 11))
    hidden: float = 0.1
    attention: float = 0.1
    embedding: float = 0.1
    codes: float = 1.0
    from_teacher: bool = False


class Distillation(Method):
    """A student, and the frozen teacher that scores its batches; publishes the student."""

    def __init__(self, student: Student, teacher: Method, config: DistillationConfig) -> None:
        super().__init__()
        check_layers(student, teacher, config.layer_map)
        if config.from_teacher:
            start_from_teacher(student, teacher)
        self.config, self.weights = student.config, config
        self.student, self.teacher = student, teacher.requires_grad_(False).eval()
        self.hidden_maps = nn.ModuleList(
            _linear(student.text_tower.width, teacher.text_tower.width) for _ in config.layer_map
        )
        self.embedding_map = _linear(student.config.embedding, teacher.config.embedding)

    @property
    def image_tower(self) -> ImageTower:  # type: ignore[override]
        """The student's."""
        return self.student.image_tower

    @property
    def text_tower(self) -> TextTower:  # type: ignore[override]
        """The student's."""
        return self.student.text_tower

    def train(self, mode: bool = True) -> Distillation:
        """As `nn.Module.train`, but the teacher stays in eval mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def product(self) -> Method:
        """The student."""
        return self.student

    def encode_image(self, image: ImageBatch) -> Tensor:
        """The student's."""
        return self.student.encode_image(image)

    def encode_text(self, text: TextBatch) -> Tensor:
        """The student's."""
        return self.student.encode_text(text)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The student's own terms, and one a kind of knowledge taken over from the teacher."""
        assert batch.teaching is not None
        assert batch.text.tokens_BT is not None
        layers = self.student.text_tower.layers(batch.text.tokens_BT, batch.text.mask_BT)
        text = TextBatch(batch.text.mask_BT, batch.text.sentence_BT, states_BTD=layers.hidden[-1])
        images = gathered(self.student.represent_image(batch.image))
        texts = gathered(self.student.represent_text(text))
        same_BB = same_study(gather(batch.keys_B))
        terms = self.student.own_losses(images, texts, same_BB)
        wanted = self._teacher_scores(batch.teaching.images, batch.teaching.texts)
        terms |= self._score_terms(images, texts, wanted, same_BB)
        terms["embedding"] = self.weights.embedding * (
            embedding_loss(self.embedding_map(images["z"]), gather(batch.teaching.images["z"]))
            + embedding_loss(self.embedding_map(texts["z"]), gather(batch.teaching.texts["z"]))
        )
        return terms | self._layer_terms(layers, batch.teaching.layers, batch.text.mask_BT)

    def _score_terms(
        self, images: Representation, texts: Representation, wanted: PairScores, same_BB: Tensor
    ) -> dict[str, Tensor]:
        to_text_BB, to_image_BB = wanted.image_to_text_BC, wanted.text_to_image_BC.T
        z_BB = images["z"] @ texts["z"].T
        h_BB = images["h"] @ texts["h"].T / self.student.config.bits
        tau, margin = self.weights.temperature, self.weights.margin
        return {
            "contrastive": score_divergence(z_BB, to_text_BB, to_image_BB, tau),
            "rank": order_loss(z_BB, to_text_BB, same_BB, margin)
            + order_loss(z_BB.T, to_image_BB, same_BB, margin),
            "code_contrastive": self.weights.codes
            * score_divergence(h_BB, to_text_BB, to_image_BB, tau),
        }

    def _layer_terms(
        self, layers: Layers, taught: Representation, mask_BT: Tensor
    ) -> dict[str, Tensor]:
        """`L_hid` and `L_att` of this process' texts."""
        hidden = attention = layers.hidden[0].new_zeros(())
        tokens = mask_BT.sum().to(hidden)[None]
        # Processes' means are averaged; that is the mean over all tokens only if each is weighted.
        share = tokens[0] / gather(tokens).mean()
        for linear, (own, other) in zip(self.hidden_maps, self.weights.layer_map, strict=True):
            states_BTD, map_BTT = linear(layers.hidden[own]), layers.attention[own]
            hidden = hidden + hidden_loss(states_BTD, taught[hidden_name(other)], mask_BT)
            attention = attention + attention_loss(map_BTT, taught[attention_name(other)])
        return {
            "hidden": self.weights.hidden * share * hidden,
            "attention": self.weights.attention * attention,
        }

    @torch.no_grad()
    def _teacher_scores(self, images: Representation, texts: Representation) -> PairScores:
        """This process' images are scored with all texts, and the rows gathered."""
        whole = {
            name: gather_ragged(part) if part.ndim > 1 else gather(part)
            for name, part in sorted(texts.items())  # all processes in the same order
        }
        pairs_P2 = _all_pairs(len(images["z"]), len(whole["z"])).to(images["z"].device)
        rows = self.teacher.score(images, whole)
        added = self.teacher.refine(images, whole, pairs_P2)
        if added is not None:
            both = zip(rows, added, strict=True)
            rows = PairScores(*(row_BC + more_P.view(row_BC.shape) for row_BC, more_P in both))
        return PairScores(*(gather(row_BC) for row_BC in rows))


def check_layers(student: Method, teacher: Method, layer_map: Sequence[tuple[int, int]]) -> None:
    """Raises `CrossRayError` for a layer that the student or the teacher does not have."""
    for who, method, numbers in (
        ("student", student, [own for own, _ in layer_map]),
        ("teacher", teacher, [other for _, other in layer_map]),
    ):
        depth = method.text_tower.depth
        if numbers and not 0 <= min(numbers) <= max(numbers) < depth:
            raise CrossRayError(
                f"distillation.layer_map names layer {max(numbers)} of the {who}'s text tower, "
                f"which has layers 0 to {depth - 1}; correct the map."
            )


def start_from_teacher(student: Student, teacher: Method) -> None:
    """Copy into the student's towers what the teacher's have of the same name and shape.

    A shallower text tower takes the teacher's first layers (DistilBERT, Sanh et al. 2019, section
    3, takes every other one).
    """
    for own, other in (
        (student.image_tower, teacher.image_tower),
        (student.text_tower, teacher.text_tower),
    ):
        shapes = {name: tensor.shape for name, tensor in own.state_dict().items()}
        fitting = {n: t for n, t in other.state_dict().items() if shapes.get(n) == t.shape}
        own.load_state_dict(fitting, strict=False)


def _linear(width: int, wanted: int) -> nn.Module:
    return nn.Identity() if width == wanted else nn.Linear(width, wanted)


def _all_pairs(rows: int, columns: int) -> Tensor:
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
