"""Text towers: transformers' encoders, from token ids to one state a token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from tyro.conf import Suppress

from crossray.core.config import Config
from crossray.core.errors import CrossRayError
from crossray.encoders import weights
from crossray.encoders.tower import Layers, Tower

if TYPE_CHECKING:  # it takes seconds, and most processes of a run read only its configuration
    import transformers

# Facts about the file, not the network; and code from the repository, which is never run.
TEXTS_AT_A_TIME = 16  # on a CPU
_NOT_ARCHITECTURE = (
    "_name_or_path",
    "transformers_version",
    "architectures",
    "dtype",
    "torch_dtype",
)


@dataclass(frozen=True)
class BertShape(Config):
    """The size of a BERT that is trained from scratch.

    Attributes:
        layers: number of transformer layers.
        width: of the hidden states, a multiple of `heads`.
        heads: attention heads a layer.
        ffn_width: of the feed-forward layers.
        dropout: probability, in the layers and in the attention.
        token_width: of the token table, which a linear map then widens (factorised embedding, Lan
            et al. 2020, section 3.1); None for `width` itself.
    """

    layers: int = 4
    width: int = 256
    heads: int = 4
    ffn_width: int = 1024
    dropout: float = 0.1
    token_width: int | None = None


@dataclass(frozen=True)
class TextTowerConfig(Config):
    """A transformers encoder without its pooler.

    Attributes:
        weights: `scratch` for a BERT of the given `shape`, else `hub:ID`, `package:NAME` or
            `path:/absolute/folder`, which bring theirs; `given` for the vectors
            of a feature set, see `given_texts`.
        frozen: keep the weights as they are.
        vocab_size: of the tokenizer, filled in by the trainer.
        max_tokens: of the longest text, special tokens included, filled in by the trainer.
        architecture: transformers' configuration of pretrained weights, from `resolve_text`.
    """

    weights: str = weights.SCRATCH
    frozen: bool = False
    shape: BertShape = BertShape()
    vocab_size: Suppress[int] = 0
    max_tokens: Suppress[int] = 128
    architecture: Suppress[dict[str, Any] | None] = None


def given_texts(width: int) -> TextTowerConfig:
    """What stands for the maker of a feature set's text vectors, texts of one token."""
    return TextTowerConfig(weights=weights.GIVEN, frozen=True, shape=BertShape(width=width))


def resolve_text(config: TextTowerConfig) -> TextTowerConfig:
    """The configuration with the architecture of its weights written in.

    A resolved configuration describes the tower without the source of the weights.
    """
    if config.weights == weights.SCRATCH or config.architecture is not None:
        return config
    values = weights.read_config(weights.locate(config.weights), "config.json")
    if "model_type" not in values or "auto_map" in values:
        raise CrossRayError(
            f"the text weights {config.weights!r} have no config.json of an architecture that "
            "transformers itself knows; use a folder or repository that has one."
        )
    architecture = {k: v for k, v in values.items() if k not in _NOT_ARCHITECTURE}
    return replace(config, architecture=architecture)


class TextTower(Tower):
    """Token ids to the last hidden states, `width` wide, through `depth` layers.

    `config` is the resolved configuration. With `load_weights=False` only the architecture is
    built, for the weights of an artifact; a resolved configuration then needs no source.
    """

    trunk: Any  # transformers' encoders share a signature, not a base class
    width: int
    depth: int

    def __init__(self, config: TextTowerConfig, load_weights: bool = True) -> None:
        super().__init__()
        if config.weights == weights.GIVEN:
            self.config, self.trunk, self.width, self.depth = config, None, config.shape.width, 0
            return
        self.config = resolve_text(config)
        shape = _bert(self.config) if self.config.architecture is None else _known(self.config)
        _check_sizes(self.config, shape)
        if load_weights and config.weights != weights.SCRATCH:
            self.trunk = _load(config.weights, shape)
        else:
            import transformers

            auto: Any = transformers.AutoModel
            self.trunk = auto.from_config(shape, dtype=torch.float32)
            self._factorise()
        # The pooler feeds a next-sentence classifier; the states do not depend on it.
        self.trunk.pooler = None
        self.width, self.depth = int(shape.hidden_size), int(shape.num_hidden_layers)
        self.train()
        if config.frozen:
            self.freeze()

    def forward(self, tokens_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """states_BTD, the last hidden states; those at padding carry no meaning."""
        if not tokens_BT.is_cuda and len(tokens_BT) > TEXTS_AT_A_TIME:
            return self._by_length(tokens_BT, mask_BT)
        states_BTD: Tensor = self._run(tokens_BT, mask_BT).last_hidden_state
        return states_BTD

    def _by_length(self, tokens_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """`forward` of texts of like length together, so that little is computed for padding.

        A GPU would rather have one large batch.
        """
        width = tokens_BT.shape[1]
        length_B = (mask_BT * torch.arange(1, width + 1, device=mask_BT.device)).amax(dim=1)
        order_B = length_B.argsort()
        parts = []
        for some in torch.split(order_B, TEXTS_AT_A_TIME):
            longest = max(1, int(length_B[some[-1]]))
            part = self._run(tokens_BT[some, :longest], mask_BT[some, :longest]).last_hidden_state
            parts.append(functional.pad(part, (0, 0, 0, width - longest)))
        return torch.cat(parts)[order_B.argsort()]

    def layers(self, tokens_BT: Tensor, mask_BT: Tensor) -> Layers:
        """Every layer's states and attention map; the last states are those of `forward`."""
        if self.trunk.config._attn_implementation != "eager":
            self.trunk.set_attn_implementation("eager")  # the others never form the map
        output = self._run(tokens_BT, mask_BT, output_hidden_states=True, output_attentions=True)
        real_BTT = mask_BT[:, :, None] & mask_BT[:, None, :]
        maps = tuple(map_BHTT.mean(dim=1) * real_BTT for map_BHTT in output.attentions)
        return Layers(tuple(output.hidden_states[1:]), maps)

    def _recompute(self) -> None:
        self.trunk.gradient_checkpointing_enable({"use_reentrant": False})

    def _run(self, tokens_BT: Tensor, mask_BT: Tensor, **options: bool) -> Any:
        if self.trunk is None:
            raise CrossRayError(weights.NO_TOWER)
        if tokens_BT.shape[1] > self.config.max_tokens:
            raise CrossRayError(
                f"a text has {tokens_BT.shape[1]} tokens and the text tower takes "
                f"{self.config.max_tokens}; truncate to max_tokens."
            )
        with self.gradients():
            return self.trunk(input_ids=tokens_BT, attention_mask=mask_BT.long(), **options)

    def _factorise(self) -> None:
        """Put a narrow token table and a linear map in the place of the wide table."""
        narrow = self.config.shape.token_width
        if self.config.architecture is None and narrow is not None:
            words = self.trunk.embeddings.word_embeddings
            table = nn.Embedding(words.num_embeddings, narrow, padding_idx=words.padding_idx)
            nn.init.normal_(table.weight, std=1.0)  # the map brings it to the scale of the rest
            widen = nn.Linear(narrow, words.embedding_dim)
            nn.init.normal_(widen.weight, std=0.02 / narrow**0.5)
            nn.init.zeros_(widen.bias)
            self.trunk.embeddings.word_embeddings = nn.Sequential(table, widen)


def pool(states_BTD: Tensor, mask_BT: Tensor, how: Literal["cls", "mean"]) -> Tensor:
    """One vector a text, z_BD: the first token's state, or the mean over the real tokens."""
    if how == "cls":
        return states_BTD[:, 0]
    mask_BT1 = mask_BT.unsqueeze(-1).to(states_BTD.dtype)
    return (states_BTD * mask_BT1).sum(dim=1) / mask_BT1.sum(dim=1).clamp(min=1)


def _bert(config: TextTowerConfig) -> transformers.PretrainedConfig:
    shape = config.shape
    if shape.width % shape.heads:
        raise CrossRayError(
            f"the text tower's width {shape.width} is not a multiple of its {shape.heads} heads; "
            "change one of the two."
        )
    import transformers

    return transformers.BertConfig(
        vocab_size=config.vocab_size,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.ffn_width,
        hidden_dropout_prob=shape.dropout,
        attention_probs_dropout_prob=shape.dropout,
        max_position_embeddings=config.max_tokens,
    )


def _known(config: TextTowerConfig) -> transformers.PretrainedConfig:
    import transformers

    try:
        return transformers.AutoConfig.for_model(**(config.architecture or {}))
    except (ValueError, TypeError) as error:
        raise CrossRayError(
            f"transformers cannot build the architecture of {config.weights!r} "
            f"({str(error).splitlines()[0].rstrip('.')}); use weights of a known architecture."
        ) from None


def _check_sizes(config: TextTowerConfig, shape: transformers.PretrainedConfig) -> None:
    if not 0 < config.vocab_size <= shape.vocab_size:
        raise CrossRayError(
            f"the tokenizer has {config.vocab_size} entries and the text tower has room for "
            f"{shape.vocab_size}; set vocab_size from the tokenizer that belongs to the weights."
        )
    # Numbering from after the padding id, RoBERTa cannot use its first positions.
    offset = shape.pad_token_id + 1 if "roberta" in shape.model_type else 0
    limit = getattr(shape, "max_position_embeddings", config.max_tokens) - offset
    if not 2 < config.max_tokens <= limit:
        raise CrossRayError(
            f"max_tokens is {config.max_tokens} and the text tower takes 3 to {limit}; change it."
        )


def _load(source: str, shape: transformers.PretrainedConfig) -> transformers.PreTrainedModel:
    import transformers

    folder = weights.locate(source)
    try:
        trunk, report = transformers.AutoModel.from_pretrained(
            folder,
            config=shape,
            dtype=torch.float32,
            local_files_only=True,
            weights_only=True,
            output_loading_info=True,
        )
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise CrossRayError(
            f"the text weights {source!r} cannot be loaded ({reason}); use a folder that "
            "transformers can load with AutoModel."
        ) from None
    if lost := sorted(k for k in report["missing_keys"] if not k.startswith("pooler.")):
        raise CrossRayError(
            f"the text weights {source!r} lack {len(lost)} tensors, the first is {lost[0]!r}; "
            "use weights of the architecture in their config.json."
        )
    model: transformers.PreTrainedModel = trunk
    return model
