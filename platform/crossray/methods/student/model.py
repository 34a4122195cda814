"""The student: one trunk over image patches and sub-words, and a hash head for each of the two."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from tyro.conf import Suppress

from crossray.core.distributed import gather
from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, ImageBatch, Representation, TextBatch
from crossray.encoders.batch_norm import SyncBatchNorm
from crossray.encoders.image import ImageTower
from crossray.encoders.text import TextTower, pool
from crossray.encoders.tower import Layers, recorded
from crossray.losses.hard_negatives import bidirectional_ranking_loss
from crossray.losses.info_nce import symmetric_info_nce
from crossray.methods.config import HashingConfig
from crossray.methods.contract import Hashing, Trainable, same_study
from crossray.methods.student.hubness import EXTRA, HubnessConfig

_IMAGE_TYPE = 1  # the trunk's second token type; sub-words are of its first


@dataclass(frozen=True)
class StudentConfig(HashingConfig):
    """A student (docs/decisions/0007).

    The layers of `text` are the trunk that both modalities share; the cells of `image`'s
    feature map are the tokens of an image. A tower of depth 0 is a plain patch stem.

    Attributes:
        grid: average the feature map to this many rows and columns; None keeps it as it is.
        pooling: the first token's state, or the mean over the tokens.
        task: the loss of the embeddings: ranking by hard negatives, or InfoNCE over the
            batch. Codes always learn by ranking.
        temperature: of InfoNCE.
        margin: of the ranking losses.
        hard_negatives: negatives a query there, the hardest of the batch.
        quantisation: weight of the loss that drives the hash outputs to -1 and +1.
        balance: weight of the loss that makes every bit +1 half of the time.
        hubness: the correction of a student that has learnt; None for none.
    """

    name: ClassVar[str] = "student"
    grid: int | None = None
    pooling: Literal["cls", "mean"] = "mean"
    task: Literal["ranking", "info_nce"] = "ranking"
    temperature: float = 0.05
    margin: float = 0.2
    hard_negatives: int = 5
    quantisation: float = 0.1
    balance: float = 0.1
    hubness: Suppress[HubnessConfig | None] = None

    def build(self, load_weights: bool = True) -> "Student":
        """See `MethodConfig.build`."""
        return Student(self, load_weights)

    def map_side(self, full: int) -> int:
        """See `MethodConfig.map_side`."""
        return self.grid or full


class Student(Hashing, Trainable[Batch]):
    """A dual encoder whose two encoders are one trunk, with codes besides its embeddings."""

    config: StudentConfig

    def __init__(self, config: StudentConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)
        self.text_tower = TextTower(config.text, load_weights)
        _require_bert(self.text_tower, config)
        channels, width = self.image_tower.channels, self.text_tower.width
        side = config.grid or self.image_tower.side
        self.image_tokens = side * side + 1
        self.image_cls = nn.Parameter(torch.zeros(width))
        self.image_position = nn.Parameter(0.02 * torch.randn(self.image_tokens, width))
        self.image_projection = nn.Identity() if channels == width else nn.Linear(channels, width)
        self.norm = nn.LayerNorm(width)
        self.hubness = None if config.hubness is None else config.hubness.build(config.embedding)
        learnt = config.embedding - (EXTRA if self.hubness is not None else 0)
        self.image_head, self.text_head = (_head(width, learnt) for _ in range(2))
        self.image_hash = nn.Linear(learnt, config.bits)
        self.text_hash = nn.Linear(learnt, config.bits)

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`, unit length."""
        states_BTD = self.image_states(self.image_cells(image))
        real_BT = torch.ones(states_BTD.shape[:2], dtype=torch.bool, device=states_BTD.device)
        z_BD = self._embed(states_BTD, real_BT, self.image_head)
        return z_BD if self.hubness is None else self.hubness(z_BD, "image")

    def encode_text(self, text: TextBatch) -> Tensor:
        """`z_BD`, unit length."""
        z_BD = self._embed(self.text_states(text), text.mask_BT, self.text_head)
        return z_BD if self.hubness is None else self.hubness(z_BD, "text")

    def image_cells(self, image: ImageBatch) -> Tensor:
        """`cells_BTC`: the tower's feature map, averaged to the grid, row by row."""
        grid_BCYX = self.image_grid(image)
        if self.config.grid is not None:
            grid_BCYX = functional.adaptive_avg_pool2d(grid_BCYX, self.config.grid)
        return grid_BCYX.flatten(2).mT

    def image_states(self, cells_BTC: Tensor) -> Tensor:
        """`states_BTD`: the trunk's last states of [CLS] and the cells of the feature map."""
        trunk = self.text_tower.trunk
        cells_BTD = self.image_projection(cells_BTC)
        cls_B1D = self.image_cls.expand(len(cells_BTD), 1, -1)
        tokens_BTD = torch.cat([cls_B1D, cells_BTD], dim=1) + self.image_position
        kind_D = trunk.embeddings.token_type_embeddings.weight[_IMAGE_TYPE]
        states_BTD = trunk.embeddings.dropout(trunk.embeddings.LayerNorm(tokens_BTD + kind_D))
        result: Tensor = trunk.encoder(states_BTD, attention_mask=None).last_hidden_state
        return result

    @contextmanager
    def recorded_layers(self) -> Iterator[Layers]:
        """What the layers of the trunk give while it runs."""
        trunk = self.text_tower.trunk
        if trunk.config._attn_implementation != "eager":
            trunk.set_attn_implementation("eager")  # the others never form the map
        layers = list(trunk.encoder.layer)
        attentions = [layer.attention.self for layer in layers]
        with recorded(layers, attentions, itemgetter(1)) as record:
            yield record

    def _embed(self, states_BTD: Tensor, mask_BT: Tensor, head: nn.Module) -> Tensor:
        pooled_BD = pool(self.norm(states_BTD), mask_BT, self.config.pooling)
        return functional.normalize(head(pooled_BD), dim=-1)

    def hash_image(self, z_BD: Tensor) -> Tensor:
        """`h_BK` in (-1, 1), whose signs are the codes of image embeddings."""
        return self._hash(z_BD, self.image_hash)

    def hash_text(self, z_BD: Tensor) -> Tensor:
        """`h_BK` in (-1, 1), whose signs are the codes of text embeddings."""
        return self._hash(z_BD, self.text_hash)

    def _hash(self, z_BD: Tensor, head: nn.Linear) -> Tensor:
        if self.hubness is not None:
            z_BD = self.hubness.before(z_BD)
        # Entries of a unit vector are 1 / sqrt(D) in size, where tanh is all but linear.
        return torch.tanh(head(z_BD * z_BD.shape[-1] ** 0.5))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms that need no teacher: `task`, `code_task`, `quantisation` and `balance`."""
        images = gathered(self.represent_image(batch.image))
        texts = gathered(self.represent_text(batch.text))
        return self.own_losses(images, texts, same_study(gather(batch.keys_B)))

    def own_losses(
        self, images: Representation, texts: Representation, same_BB: Tensor
    ) -> dict[str, Tensor]:
        """`losses` of representations of the gathered batch."""
        config = self.config
        z_BB = images["z"] @ texts["z"].T
        h_BB = images["h"] @ texts["h"].T / config.bits
        outputs = (images["h"], texts["h"])
        return {
            "task": self._ranking(z_BB, same_BB)
            if config.task == "ranking"
            else symmetric_info_nce(z_BB / config.temperature, same_BB),
            "code_task": self._ranking(h_BB, same_BB),
            "quantisation": config.quantisation * _mean([quantisation_loss(h) for h in outputs]),
            "balance": config.balance * _mean([bit_balance_loss(h) for h in outputs]),
        }

    def _ranking(self, scores_BB: Tensor, same_BB: Tensor) -> Tensor:
        config = self.config
        return bidirectional_ranking_loss(
            scores_BB, scores_BB.T, same_BB, config.margin, config.hard_negatives
        )


def gathered(part: Representation) -> Representation:
    """The rows of all processes, with gradient."""
    return {name: gather(tensor) for name, tensor in part.items()}


def _head(width: int, embedding: int) -> nn.Sequential:
    """A linear map whose outputs are normalised over the batch; docs/decisions/0010 says why.

    The norm takes the map's bias away again; it stays for the 47,803,904 parameters of
    docs/decisions/0007.
    """
    return nn.Sequential(nn.Linear(width, embedding), SyncBatchNorm(embedding))


def _mean(losses: list[Tensor]) -> Tensor:
    return torch.stack(losses).mean()


def _require_bert(tower: TextTower, config: StudentConfig) -> None:
    """Images enter a BERT after its embeddings, with another token type."""
    embeddings: Any = getattr(tower.trunk, "embeddings", None)
    types = getattr(embeddings, "token_type_embeddings", None)
    if not hasattr(tower.trunk, "encoder") or types is None or types.num_embeddings <= _IMAGE_TYPE:
        raise CrossRayError(
            f"the text tower {config.text.weights!r} cannot be shared with images: the trunk must "
            "be a BERT with two token types; choose one, or train from scratch."
        )


def quantisation_loss(outputs_BK: Tensor) -> Tensor:
    r"""How far the outputs are from -1 and +1.

    $$\frac1{BK} \sum_{b,k} (|h_{bk}| - 1)^2$$

    Zhu et al. 2016 (Deep Hashing Network), eq. 6, squared. Returns a scalar in [0, 1] for outputs
    in [-1, 1].
    """
    return (outputs_BK.abs() - 1).square().mean()


def bit_balance_loss(outputs_BK: Tensor) -> Tensor:
    r"""How far each bit is from being +1 for half of the items.

    $$\frac1K \sum_k \Big( \frac1B \sum_b h_{bk} \Big)^2$$

    Weiss et al. 2009 (Spectral Hashing), the balance constraint of eq. 3. Returns a scalar >= 0.
    """
    return outputs_BK.mean(dim=0).square().mean()
