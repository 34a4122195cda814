"""HIER stage 1: pretext tasks of images and of texts, for which no pair is needed."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossray.core.distributed import gather
from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, PretextBatch, TextBatch
from crossray.data.clinical_terms import BUILT_IN
from crossray.data.pretext.config import Masking, PretextConfig
from crossray.encoders.heads import projection_head
from crossray.encoders.image import ImageTower
from crossray.encoders.momentum import MomentumEncoder
from crossray.encoders.text import TextTower
from crossray.methods.config import Capability, MethodConfig
from crossray.methods.contract import Unimodal
from crossray.methods.hier import losses

ImageTask = Literal["rotation", "inpainting", "contrast"]
IMAGE_TASKS: tuple[ImageTask, ...] = ("rotation", "inpainting", "contrast")


@dataclass(frozen=True)
class HierUnimodalConfig(MethodConfig):
    """HIER, stage 1 (docs/methods/hier.md).

    Attributes:
        image_tasks: which of rotation, inpainting and contrast the image tower learns by;
            none leaves it as it is.
        objective: of contrast: MoCo, or BYOL, which has no negatives.
        rotation_weight: a of the sum of the image losses.
        inpainting_weight: b of that sum.
        hidden: width of the hidden layer of the projection.
        temperature: of MoCo.
        momentum: of MoCo's key encoder.
        byol_momentum: of BYOL's target, the first one; it rises to 1.
        queue: keys that MoCo compares with. More than there are images makes an image a
            negative of itself.
        rotation_as_augmentation: turn the views of contrast by quarter turns too.
        hidden_area: share of an image that inpainting hides.
        decoder: width of the decoder of inpainting.
        masking: what the text tower predicts: clinical terms, random tokens, none of either.
        masked_share: share of the terms or tokens that is masked.
        terms: the list of clinical terms: `built-in`, or the absolute path of another list or of
            UMLS' MRCONSO.RRF.
        sentence_order: weight c of predicting the order of two segments; 0 switches it off.
    """

    name: ClassVar[str] = "hier_unimodal"
    image_tasks: tuple[ImageTask, ...] = IMAGE_TASKS
    objective: Literal["moco", "byol"] = "moco"
    rotation_weight: float = 1.0
    inpainting_weight: float = 1.0
    hidden: int = 2048
    temperature: float = 0.07
    momentum: float = 0.999
    byol_momentum: float = 0.996
    queue: int = 4096
    rotation_as_augmentation: bool = False
    hidden_area: float = 0.25
    decoder: int = 128
    masking: Masking = "clinical"
    masked_share: float = 0.15
    terms: str = BUILT_IN
    sentence_order: float = 0.0

    def __post_init__(self) -> None:
        shares = {"hidden_area": self.hidden_area, "masked_share": self.masked_share}
        for name, share in shares.items():
            if not 0 < share < 1:
                raise CrossRayError(
                    f"{name} is {share}, no share of an image or a text; give a number between 0 "
                    "and 1."
                )
        if not self.pretext().images and not self.pretext().texts:
            raise CrossRayError(
                "neither images nor texts have a pretext task; name some in image_tasks, or "
                "choose a masking."
            )

    def build(self, load_weights: bool = True) -> "HierUnimodal":
        """See `MethodConfig.build`."""
        return HierUnimodal(self, load_weights)

    def pretext(self) -> PretextConfig:
        """See `MethodConfig.pretext`."""
        return PretextConfig(
            whole=bool({"rotation", "inpainting"} & set(self.image_tasks)),
            views="contrast" in self.image_tasks,
            turned_views=self.rotation_as_augmentation,
            hidden_area=self.hidden_area,
            masking=self.masking,
            masked_share=self.masked_share,
            terms=self.terms,
            sentence_order=self.sentence_order > 0,
        )

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `MethodConfig.capabilities`."""
        tasks: set[Capability] = {"pretext"}
        if "contrast" in self.image_tasks:
            tasks.add("slow_encoder")
        return super().capabilities | tasks


class HierUnimodal(Unimodal):
    """Two towers that learn apart; what a task needs beyond its tower is not there without it."""

    config: HierUnimodalConfig
    queue_ND: Tensor
    texts_seen: Tensor

    def __init__(self, config: HierUnimodalConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)
        self.text_tower = TextTower(config.text, load_weights)
        draws = config.pretext()
        if not draws.images:
            self.image_tower.freeze()
        if not draws.texts:
            self.text_tower.freeze()
        channels, width = self.image_tower.channels, self.text_tower.width
        if "rotation" in config.image_tasks:
            self.rotation_head = nn.Linear(channels, 4)
        if "inpainting" in config.image_tasks:
            self.inpainting_decoder = InpaintingDecoder(
                channels, config.decoder, self.image_tower.side, config.image.image_size
            )
        if "contrast" in config.image_tasks:
            self._add_contrast(channels)
        if config.masking != "none":
            self.token_head = token_head(width, config.text.vocab_size)
        if draws.sentence_order:
            self.order_head = nn.Linear(width, 1)
        self.register_buffer("texts_seen", torch.zeros(2, dtype=torch.long))
        self._keys: list[Tensor] = []

    def _add_contrast(self, channels: int) -> None:
        config = self.config
        sizes = (config.hidden, config.embedding)
        self.projection = projection_head(channels, *sizes, batch_norm=True, activation=nn.ReLU)
        self.slow_encoder = MomentumEncoder(self.image_tower, self.projection)
        if config.objective == "byol":
            self.predictor = projection_head(
                config.embedding, *sizes, batch_norm=True, activation=nn.ReLU
            )
        else:
            queue_ND = functional.normalize(torch.randn(config.queue, config.embedding), dim=-1)
            self.register_buffer("queue_ND", queue_ND)

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`: the projection of contrast, else the mean over the map; unit length."""
        pooled_BC = self.image_grid(image).mean(dim=(2, 3))
        if "contrast" in self.config.image_tasks:
            pooled_BC = self.projection(pooled_BC)
        return functional.normalize(pooled_BC, dim=-1)

    def encode_text(self, text: TextBatch) -> Tensor:
        """Refused: nothing has brought texts into the space of images."""
        raise CrossRayError(
            f"{self.config.name} has no space that images and texts share; train a model that "
            "starts from it, with --init, and use that."
        )

    def losses(self, batch: PretextBatch) -> dict[str, Tensor]:
        """A weighted term a task, over the gathered batch."""
        terms: dict[str, Tensor] = {}
        if "rotation" in self.config.image_tasks:
            logits_B4 = gather(self._rotation_logits(batch))
            loss = losses.rotation_loss(logits_B4, gather(batch.turns_B))
            terms["rotation"] = self.config.rotation_weight * loss
        if "inpainting" in self.config.image_tasks:
            losses_B = gather(self._inpainting_losses(batch))
            terms["inpainting"] = self.config.inpainting_weight * losses_B.mean()
        if "contrast" in self.config.image_tasks:
            terms["contrast"] = self._contrast(batch.views_BVCYX)
        if self.text_tower.frozen:
            return terms
        self._count_texts(batch)
        states_BTD = self.text_states(batch.text)
        if self.config.masking != "none":
            losses_M = losses.masked_token_losses(*self._masked_tokens(states_BTD, batch))
            terms["masked_terms"] = _mean(losses_M, len(losses_M))
        if self.config.sentence_order:
            losses_B = losses.sentence_order_losses(self._order_logits(states_BTD), batch.ordered_B)
            loss = _mean(losses_B, int((batch.ordered_B >= 0).sum()))
            terms["sentence_order"] = self.config.sentence_order * loss
        return terms

    def _rotation_logits(self, batch: PretextBatch) -> Tensor:
        assert batch.image.pixels_BCYX is not None
        grid_BCYX = self.image_tower(turned(batch.image.pixels_BCYX, batch.turns_B))
        logits_B4: Tensor = self.rotation_head(grid_BCYX.mean(dim=(2, 3)))
        return logits_B4

    def _inpainting_losses(self, batch: PretextBatch) -> Tensor:
        pixels_BCYX = batch.image.pixels_BCYX
        assert pixels_BCYX is not None
        visible_BCYX = pixels_BCYX * ~batch.hidden_BYX[:, None]
        painted_BCYX = self.inpainting_decoder(self.image_tower(visible_BCYX))
        return losses.inpainting_losses(pixels_BCYX, painted_BCYX, batch.hidden_BYX)

    def _contrast(self, views_BVCYX: Tensor) -> Tensor:
        one_BCYX, other_BCYX = views_BVCYX.unbind(dim=1)
        if self.config.objective == "byol":
            return self._byol(one_BCYX, other_BCYX) + self._byol(other_BCYX, one_BCYX)
        query_BD = gather(self.encode_image(ImageBatch(pixels_BCYX=one_BCYX)))
        key_BD = gather(self.slow_encoder(other_BCYX))
        if self.training:
            self._keys.append(key_BD)
        return losses.queue_info_nce(query_BD, key_BD, self.queue_ND, self.config.temperature)

    def _byol(self, seen_BCYX: Tensor, target_BCYX: Tensor) -> Tensor:
        projected_BD = self.projection(self.image_tower(seen_BCYX).mean(dim=(2, 3)))
        predicted_BD = gather(self.predictor(projected_BD))
        return losses.byol_loss(predicted_BD, gather(self.slow_encoder(target_BCYX)))

    def _masked_tokens(self, states_BTD: Tensor, batch: PretextBatch) -> tuple[Tensor, Tensor]:
        """`logits_MV` and `target_M` of the masked tokens."""
        masked_BT = batch.targets_BT >= 0
        return self.token_head(states_BTD[masked_BT]), batch.targets_BT[masked_BT]

    def _order_logits(self, states_BTD: Tensor) -> Tensor:
        logit_B: Tensor = self.order_head(states_BTD[:, 0]).squeeze(-1)
        return logit_B

    def _count_texts(self, batch: PretextBatch) -> None:
        if self.training:
            fallback_B = gather(batch.fallback_B)
            self.texts_seen[0] += fallback_B.sum()
            self.texts_seen[1] += len(fallback_B)

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """The slow encoder takes a step, the keys of the step enter the queue."""
        config = self.config
        if "contrast" not in config.image_tasks:
            return
        momentum = config.momentum
        if config.objective == "byol":
            momentum = losses.rising_momentum(config.byol_momentum, progress)
        self.slow_encoder.follow(self.image_tower, self.projection, momentum)
        for key_BD in self._keys:
            self.queue_ND.copy_(losses.enqueued(self.queue_ND, key_BD))
        self._keys.clear()

    @torch.no_grad()
    def measure(self, batch: PretextBatch) -> dict[str, dict[str, Tensor]]:
        """Accuracies of the tasks that have one, and the mean difference of hidden pixels."""
        config, image, text = self.config, {}, {}
        if "rotation" in config.image_tasks:
            guess_B = self._rotation_logits(batch).argmax(dim=1)
            image["rotation accuracy"] = _sum(guess_B == batch.turns_B)
        if "inpainting" in config.image_tasks:
            image["inpainting difference"] = _sum(self._inpainting_losses(batch))
        states_BTD = self.text_states(batch.text) if not self.text_tower.frozen else None
        if states_BTD is not None and config.masking != "none":
            logits_MV, target_M = self._masked_tokens(states_BTD, batch)
            text["masked token accuracy"] = _sum(logits_MV.argmax(dim=1) == target_M)
        if states_BTD is not None and config.sentence_order:
            known_B = batch.ordered_B >= 0
            right_B = (self._order_logits(states_BTD) > 0) == (batch.ordered_B == 1)
            text["sentence order accuracy"] = _sum(right_B[known_B])
        return {name: part for name, part in (("image", image), ("text", text)) if part}

    def counted(self) -> dict[str, dict[str, float]]:
        """The share of the texts that had no clinical term and got random tokens masked."""
        if self.config.masking != "clinical":
            return {}
        without, seen = self.texts_seen.tolist()
        return {"text": {"without clinical terms": without / max(1, seen)}}


class InpaintingDecoder(nn.Module):
    """A feature map to pixels: two convolutions and a rearrangement of channels into pixels.

    The last step is sub-pixel convolution (Shi et al. 2016, section 3.2); where the map's side does
    not divide the image's, the picture is resized.
    """

    def __init__(self, channels: int, width: int, side: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        factor = -(-image_size // side)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=1),
            nn.GELU(),
            nn.Conv2d(width, 3 * factor * factor, kernel_size=3, padding=1),
            nn.PixelShuffle(factor),
        )

    def forward(self, grid_BCYX: Tensor) -> Tensor:
        """`pixels_BCYX`, normalised as the input of the tower is."""
        pixels_BCYX: Tensor = self.layers(grid_BCYX)
        if pixels_BCYX.shape[-1] == self.image_size:
            return pixels_BCYX
        return functional.interpolate(pixels_BCYX, (self.image_size, self.image_size), mode="area")


def token_head(width: int, vocab_size: int) -> nn.Sequential:
    """States of masked tokens to logits over the vocabulary (BERT's head, its table not shared)."""
    return nn.Sequential(
        nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, vocab_size)
    )


def turned(pixels_BCYX: Tensor, turns_B: Tensor) -> Tensor:
    """Every image turned by its number of quarter turns, counter-clockwise."""
    turned_BCYX = torch.empty_like(pixels_BCYX)
    for turns in range(4):
        rows = turns_B == turns
        turned_BCYX[rows] = torch.rot90(pixels_BCYX[rows], turns, dims=(2, 3))
    return turned_BCYX


def _mean(losses_N: Tensor, count: int) -> Tensor:
    """The mean over the losses of all processes, of which each has another number."""
    parts_P2 = gather(torch.stack([losses_N.sum(), losses_N.new_tensor(float(count))])[None])
    return parts_P2[:, 0].sum() / parts_P2[:, 1].sum().clamp(min=1)


def _sum(values: Tensor) -> Tensor:
    """Sum and number of values."""
    values = values.double()
    return torch.stack([values.sum(), values.new_tensor(len(values))])
