"""Distillation: the terms by which a student follows a teacher (docs/decisions/0007)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crossray.core.config import Config
from crossray.core.distributed import gather, gather_ragged
from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, Representation, TaughtBatch, TextBatch
from crossray.distill import losses
from crossray.distill.teacher_outputs import attention_name, hidden_name
from crossray.encoders.tower import Layers
from crossray.methods.contract import Encoder, PairScores, Wrapped, same_study
from crossray.methods.student.model import Student, gathered

LayerMap = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class DistillationConfig(Config):
    """How a student is taught.

    Attributes:
        temperature: tau of `L_ctr`.
        margin: m' of `L_rank`.
        layer_map: pairs of a student's and a teacher's layer, counted from 0, whose states and
            attention maps of texts are compared; empty for none.
        image_layer_map: the same of images, for a teacher whose image tower is a vision transformer
            with as many tokens an image as the student; empty for any other.
        contrastive: weight of `L_ctr`.
        hidden: weight of `L_hid`.
        attention: weight of `L_att`.
        embedding: weight of the distance of the final embeddings.
        codes: weight of `L_ctr` between the hash outputs' scores and the teacher's.
        hubness: share of an image's and a text's nearness to the training split that is taken off
            their score once the student has learnt (CSLS); 0 for none.
        from_teacher: start the towers with the teacher's, where tensors agree in name and shape.
    """

    temperature: float = 0.07
    margin: float = 0.05
    layer_map: LayerMap = ((1, 3), (3, 7), (5, 11))
    image_layer_map: LayerMap = ()
    contrastive: float = 1.0
    hidden: float = 0.1
    attention: float = 0.1
    embedding: float = 0.1
    codes: float = 1.0
    hubness: float = 0.0
    from_teacher: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.hubness <= 1:
            raise CrossRayError(
                f"distillation.hubness={self.hubness} is no share of a nearness; use 0 to 1."
            )

    def teacher_layers(self) -> set[int]:
        """The numbers of the teacher's text layers that are compared with the student's."""
        return {number for _, number in self.layer_map}

    def teacher_image_layers(self) -> set[int]:
        """The numbers of the teacher's image layers that are compared with the student's."""
        return {number for _, number in self.image_layer_map}


class Distillation(Wrapped[TaughtBatch]):
    """A student, and the frozen teacher that scores its batches; publishes the student."""

    def __init__(self, student: Student, teacher: Encoder, config: DistillationConfig) -> None:
        super().__init__()
        check_layers(student, teacher, config)
        if config.from_teacher:
            start_from_teacher(student, teacher)
        self.weights = config
        self.student, self.teacher = student, teacher.requires_grad_(False).eval()
        width = student.text_tower.width
        self.hidden_maps = _linears(width, teacher.text_tower.width, len(config.layer_map))
        self.image_hidden_maps = _linears(
            width, teacher.image_tower.channels, len(config.image_layer_map)
        )
        self.embedding_map = _linear(student.config.embedding, teacher.config.embedding)

    def train(self, mode: bool = True) -> "Distillation":
        """As `nn.Module.train`, but the teacher stays in eval mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def published_method(self) -> Student:
        """The student."""
        return self.student

    def losses(self, batch: TaughtBatch) -> dict[str, Tensor]:
        """The student's terms, and one for each kind of knowledge taken from the teacher."""
        weights, outputs, mask_BT = self.weights, batch.teacher, batch.text.mask_BT
        image, image_layers = self._image(batch.image)
        text, layers = self._text(batch.text)
        images, texts = gathered(image), gathered(text)
        same_BB = same_study(gather(batch.keys_B))
        terms = self.student.own_losses(images, texts, same_BB)
        wanted = self._teacher_scores(outputs.images, outputs.texts)
        terms |= self._score_terms(images, texts, wanted, same_BB)
        terms["embedding"] = weights.embedding * (
            losses.embedding_loss(self.embedding_map(images["z"]), gather(outputs.images["z"]))
            + losses.embedding_loss(self.embedding_map(texts["z"]), gather(outputs.texts["z"]))
        )
        if weights.layer_map:
            terms["hidden"], terms["attention"] = self._layer_terms(
                layers, outputs.text_layers, mask_BT, weights.layer_map, self.hidden_maps
            )
        if weights.image_layer_map:
            whole_BT = mask_BT.new_ones(image_layers.hidden[0].shape[:2])
            terms["image_hidden"], terms["image_attention"] = self._layer_terms(
                image_layers,
                outputs.image_layers,
                whole_BT,
                weights.image_layer_map,
                self.image_hidden_maps,
            )
        return terms

    def _image(self, image: ImageBatch) -> tuple[Representation, Layers]:
        """What the student makes of images, and its layers where they are compared."""
        if not self.weights.image_layer_map:
            return self.student.represent_image(image), Layers((), ())
        with self.student.recorded_layers() as layers:
            return self.student.represent_image(image), layers

    def _text(self, text: TextBatch) -> tuple[Representation, Layers]:
        """What the student makes of texts, and its layers where they are compared."""
        if not self.weights.layer_map:
            return self.student.represent_text(text), Layers((), ())
        assert text.tokens_BT is not None
        layers = self.student.text_tower.layers(text.tokens_BT, text.mask_BT)
        states = TextBatch(text.mask_BT, text.sentence_BT, states_BTD=layers.hidden[-1])
        return self.student.represent_text(states), layers

    def _score_terms(
        self, images: Representation, texts: Representation, wanted: PairScores, same_BB: Tensor
    ) -> dict[str, Tensor]:
        to_text_BB, to_image_BB = wanted.image_to_text_BC, wanted.text_to_image_BC.T
        z_BB = images["z"] @ texts["z"].T
        h_BB = images["h"] @ texts["h"].T / self.student.config.bits
        tau, margin = self.weights.temperature, self.weights.margin
        return {
            "contrastive": self.weights.contrastive
            * losses.score_divergence(z_BB, to_text_BB, to_image_BB, tau),
            "rank": losses.order_loss(z_BB, to_text_BB, same_BB, margin)
            + losses.order_loss(z_BB.T, to_image_BB, same_BB, margin),
            "code_contrastive": self.weights.codes
            * losses.score_divergence(h_BB, to_text_BB, to_image_BB, tau),
        }

    def _layer_terms(
        self,
        layers: Layers,
        taught: Representation,
        mask_BT: Tensor,
        layer_map: LayerMap,
        linears: nn.ModuleList,
    ) -> tuple[Tensor, Tensor]:
        """`L_hid` and `L_att` of this process' texts or images."""
        hidden = attention = mask_BT.new_zeros((), dtype=torch.float32)
        tokens = mask_BT.sum().to(hidden)[None]
        # Processes' means are averaged; that is the mean over all tokens only if each is weighted.
        share = tokens[0] / gather(tokens).mean()
        for linear, (ours, other) in zip(linears, layer_map, strict=True):
            states_BTD, map_BTT = linear(layers.hidden[ours]), layers.attention[ours]
            hidden = hidden + losses.hidden_loss(states_BTD, taught[hidden_name(other)], mask_BT)
            attention = attention + losses.attention_loss(map_BTT, taught[attention_name(other)])
        return self.weights.hidden * share * hidden, self.weights.attention * attention

    @torch.no_grad()
    def _teacher_scores(self, images: Representation, texts: Representation) -> PairScores:
        """This process' images are scored with all texts, and the rows gathered."""
        all_texts = {
            name: gather_ragged(part) if part.ndim > 1 else gather(part)
            for name, part in sorted(texts.items())  # all processes in the same order
        }
        return PairScores(*(gather(rows) for rows in self.teacher.full_score(images, all_texts)))


def check_layers(student: Student, teacher: Encoder, config: DistillationConfig) -> None:
    """Raises `CrossRayError` for layers to compare that are not there or of unequal lengths."""
    depth = student.text_tower.depth
    images = config.image_layer_map
    for option, layer_map, taught, tower in (
        ("layer_map", config.layer_map, teacher.text_tower.depth, "text tower"),
        ("image_layer_map", images, teacher.image_tower.depth, "image tower"),
    ):
        _check_numbers(option, [ours for ours, _ in layer_map], depth, "the student's trunk")
        _check_numbers(option, [n for _, n in layer_map], taught, f"the teacher's {tower}")
    if images and student.image_tokens != teacher.image_tower.tokens:
        raise CrossRayError(
            f"the student makes {student.image_tokens} tokens of an image and the teacher "
            f"{teacher.image_tower.tokens}, so their layers cannot be compared; use a student with "
            "the teacher's patches, or leave distillation.image_layer_map empty."
        )


def _check_numbers(option: str, numbers: Sequence[int], depth: int, whose: str) -> None:
    if numbers and not 0 <= min(numbers) <= max(numbers) < depth:
        there = f"layers 0 to {depth - 1}" if depth else "no transformer layers"
        raise CrossRayError(
            f"distillation.{option} names layer {max(numbers)} of {whose}, which has {there}; "
            "correct the map."
        )


def start_from_teacher(student: Student, teacher: Encoder) -> None:
    """Copy into the student's towers what the teacher's have of the same name and shape.

    A shallower text tower takes the teacher's first layers (DistilBERT, Sanh et al. 2019, section
    3, takes every other one).
    """
    for ours, other in (
        (student.image_tower, teacher.image_tower),
        (student.text_tower, teacher.text_tower),
    ):
        shapes = {name: tensor.shape for name, tensor in ours.state_dict().items()}
        fitting = {n: t for n, t in other.state_dict().items() if shapes.get(n) == t.shape}
        ours.load_state_dict(fitting, strict=False)


def _linears(width: int, wanted: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(_linear(width, wanted) for _ in range(count))


def _linear(width: int, wanted: int) -> nn.Module:
    return nn.Identity() if width == wanted else nn.Linear(width, wanted)
