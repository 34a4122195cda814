"""GPLDAN: the model, its graph pattern loss and its modality classifier."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossray.core.distributed import gather
from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, ImageBatch, Representation, TextBatch
from crossray.encoders.batch_norm import SyncBatchNorm
from crossray.encoders.image import ImageTower
from crossray.encoders.text import TextTower, pool
from crossray.methods.config import MethodConfig
from crossray.methods.contract import PairScores, Phase, Trainable
from crossray.methods.gpldan import losses
from crossray.methods.gpldan.attention import SlotAttention, own_vectors, pair_cosines, slots_of
from crossray.methods.gpldan.losses import PairDistances

CLASSIFIER = "modality_classifier"


@dataclass(frozen=True)
class GpldanConfig(MethodConfig):
    """GPLDAN; equation numbers are those of the paper.

    `embedding` is the width of a slot, H: a vector of an index, and of a comparison.

    Attributes:
        slots: k, representations of an item; with 1 there is no attention.
        attention_width: D, of the attention's hidden layer.
        attention: one W1 and W2 for both modalities, or separate ones (1).
        inputs: the towers' features as they come, or each dimension normalised over the batch, so
            that neither noise nor distances (6) see the mean that all items have in common.
        noise_image: share of an image's inputs that denoising sets to zero.
        noise_text: share of a text's inputs that denoising sets to zero.
        targets: the distances of the inputs (6) are of clean or of corrupted ones.
        deviation: distances come near those of the inputs in absolute or squared difference (6).
        alpha: weight of the unpaired distances (9); 0 leaves them out.
        beta: weight of the mutual distances (9); 0 leaves them out.
        adversarial: lambda, weight of deceiving the modality classifier (11); 0 leaves it out.
        classifier_width: of the modality classifier's hidden layer.
        classifier_lr: its learning rate, relative to the recipe's.
    """

    name: ClassVar[str] = "gpldan"
    slots: int = 4
    attention_width: int = 128
    attention: Literal["shared", "separate"] = "shared"
    inputs: Literal["plain", "normalised"] = "plain"
    noise_image: float = 0.5
    noise_text: float = 0.7
    targets: Literal["clean", "corrupted"] = "clean"
    deviation: losses.Deviation = "absolute"
    alpha: float = 1.0
    beta: float = 0.1
    adversarial: float = 0.01
    classifier_width: int = 512
    classifier_lr: float = 0.5

    def __post_init__(self) -> None:
        if min(self.slots, self.embedding, self.attention_width, self.classifier_width) < 1:
            raise CrossRayError(
                f"slots={self.slots}, embedding={self.embedding}, attention_width="
                f"{self.attention_width} and classifier_width={self.classifier_width} are sizes; "
                "set each to 1 or more."
            )
        if not (0 <= self.noise_image < 1 and 0 <= self.noise_text < 1):
            raise CrossRayError(
                f"noise_image={self.noise_image} and noise_text={self.noise_text} are shares of "
                "the inputs that are lost; set both to 0 or more and below 1."
            )
        if min(self.alpha, self.beta, self.adversarial) < 0:
            raise CrossRayError(
                f"alpha={self.alpha}, beta={self.beta} and adversarial={self.adversarial} are "
                "weights of losses; set each to 0, which leaves its loss out, or more."
            )

    @property
    def width(self) -> int:
        """L of the paper, of the features before they are cut into slots."""
        return self.slots * self.embedding

    def build(self, load_weights: bool = True) -> "Gpldan":
        """See `MethodConfig.build`."""
        return Gpldan(self, load_weights)

    def map_side(self, full: int) -> int:
        """One cell: only the mean over the map is used."""
        return 1


class Gpldan(Trainable[Batch]):
    """Denoising, a projection of shared weights, slots, and attention that knows the partner."""

    config: GpldanConfig

    def __init__(self, config: GpldanConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)
        self.text_tower = TextTower(config.text, load_weights)
        channels, text_width = self.image_tower.channels, self.text_tower.width
        normalised = config.inputs == "normalised"
        self.image_norm = SyncBatchNorm(channels) if normalised else nn.Identity()
        self.text_norm = SyncBatchNorm(text_width) if normalised else nn.Identity()
        self.image_layer = nn.Linear(channels, config.width)
        self.text_layer = nn.Linear(text_width, config.width)
        self.shared_layer = nn.Linear(config.width, config.width)
        modalities = ("both",) if config.attention == "shared" else ("image", "text")
        self.attention = nn.ModuleDict()
        if config.slots > 1:
            for modality in modalities:
                self.attention[modality] = SlotAttention(config.embedding, config.attention_width)
        if config.adversarial:
            self.modality_classifier = nn.Sequential(
                nn.Linear(config.width, config.classifier_width),
                nn.LeakyReLU(0.2),
                nn.Linear(config.classifier_width, 1),
            )

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`: `X a`, unit length; it stands in for co-attention where a partner is unknown."""
        return self.represent_image(image)["z"]

    def encode_text(self, text: TextBatch) -> Tensor:
        """`z_BD`: `X a`, unit length; it stands in for co-attention where a partner is unknown."""
        return self.represent_text(text)["z"]

    def represent_image(self, image: ImageBatch) -> Representation:
        """`z`, and the `slots` with their `weights`, of each image."""
        return self._represent(self._project(self._image_input(image), self.image_layer), "image")

    def represent_text(self, text: TextBatch) -> Representation:
        """`z`, and the `slots` with their `weights`, of each text."""
        return self._represent(self._project(self._text_input(text), self.text_layer), "text")

    def score(self, images: Representation, texts: Representation) -> PairScores:
        """The cosine under co-attention of all pairs (3)."""
        scores_BC = pair_cosines(
            images["slots"], images["weights"], texts["slots"], texts["weights"]
        )
        return PairScores(scores_BC, scores_BC)

    def phases(self) -> tuple[Phase, ...]:
        """First the modality classifier learns (10), then all else learns to deceive it (11)."""
        if not self.config.adversarial:
            return (Phase(),)
        others = tuple(f"{name}." for name, _ in self.named_children() if name != CLASSIFIER)
        terms = ("paired", *self._optional_terms(), "deception")
        lr = self.config.classifier_lr
        return (
            Phase("classifier", (f"{CLASSIFIER}.",), ("modality",), lr, "RMSprop", decayed=False),
            Phase("projector", others, terms),
        )

    def _optional_terms(self) -> tuple[str, ...]:
        weights = {"unpaired": self.config.alpha, "mutual": self.config.beta}
        return tuple(name for name, weight in weights.items() if weight)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the graph pattern loss (9) and, with a classifier, of (10) and (11).

        All distances of the gathered batch count. The classifier sees detached features;
        that it stands still while it is deceived is what `phases` is for.
        """
        return self._losses(batch, modality=bool(self.config.adversarial), graph=True)

    def phase_losses(self, phase: Phase, batch: Batch) -> dict[str, Tensor]:
        """See `Trainable.phase_losses`; the classifier's phase needs no distances."""
        learns = phase.name == "classifier"
        return self._losses(batch, modality=learns, graph=not learns)

    def _losses(self, batch: Batch, modality: bool, graph: bool) -> dict[str, Tensor]:
        image_BC, text_BW = self._image_input(batch.image), self._text_input(batch.text)
        noisy_image_BC, noisy_text_BW = image_BC, text_BW
        if self.training:
            noisy_image_BC = corrupted(image_BC, self.config.noise_image)
            noisy_text_BW = corrupted(text_BW, self.config.noise_text)
        image_BL = gather(self._project(noisy_image_BC, self.image_layer))
        text_BL = gather(self._project(noisy_text_BW, self.text_layer))
        terms: dict[str, Tensor] = {}
        if modality:
            terms["modality"] = losses.modality_loss(
                self._logits(image_BL.detach()), self._logits(text_BL.detach())
            )
        if not graph:
            return terms
        if self.config.targets == "corrupted":
            image_BC, text_BW = noisy_image_BC, noisy_text_BW
        target_BB = losses.original_distances(
            gather(_precise(image_BC.detach())), gather(_precise(text_BW.detach()))
        )
        terms |= losses.graph_pattern_loss(
            self._distances(self._represent(image_BL, "image"), self._represent(text_BL, "text")),
            target_BB,
            self.config.alpha,
            self.config.beta,
            self.config.deviation,
        )
        if self.config.adversarial:
            deceived = losses.deception_loss(self._logits(image_BL), self._logits(text_BL))
            terms["deception"] = self.config.adversarial * deceived
        return terms

    def _image_input(self, image: ImageBatch) -> Tensor:
        input_BC: Tensor = self.image_norm(self.image_grid(image).mean(dim=(2, 3)))
        return input_BC

    def _text_input(self, text: TextBatch) -> Tensor:
        input_BW: Tensor = self.text_norm(pool(self.text_states(text), text.mask_BT, "mean"))
        return input_BW

    def _project(self, input_BC: Tensor, first: nn.Module) -> Tensor:
        """`features_BL`: the modality's layer and one that both share."""
        return torch.tanh(self.shared_layer(torch.tanh(first(input_BC))))

    def _represent(self, features_BL: Tensor, modality: Literal["image", "text"]) -> Representation:
        slots_BSD = slots_of(features_BL, self.config.slots)
        if self.config.slots > 1:
            shared = self.config.attention == "shared"
            weights_BS = self.attention["both" if shared else modality](slots_BSD)
        else:
            weights_BS = slots_BSD.new_ones(len(slots_BSD), 1)
        slots_BSD, weights_BS = _precise(slots_BSD), _precise(weights_BS)
        z_BD = functional.normalize(own_vectors(slots_BSD, weights_BS), dim=-1)
        return {"z": z_BD, "slots": slots_BSD, "weights": weights_BS}

    def _distances(self, images: Representation, texts: Representation) -> PairDistances:
        """`l_p` of all pairs: co-attention across, self-attention within a modality (5)."""
        pairs = ((images, texts), (images, images), (texts, texts))
        return PairDistances(
            *(1 - pair_cosines(x["slots"], x["weights"], y["slots"], y["weights"])
              for x, y in pairs)
        )  # fmt: skip

    def _logits(self, features_BL: Tensor) -> Tensor:
        logits_B: Tensor = self.modality_classifier(features_BL).squeeze(-1)
        return _precise(logits_B)


def _precise(tensor: Tensor) -> Tensor:
    """At least float32: one minus a cosine in bfloat16 has three digits."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def corrupted(features_BC: Tensor, share: float) -> Tensor:
    """The features with each value set to zero with probability `share`, drawn anew every time.

    Denoising (Vincent et al. 2008, section 2.3): in training every input loses a random part.
    """
    return features_BC * (torch.rand_like(features_BC) >= share)
