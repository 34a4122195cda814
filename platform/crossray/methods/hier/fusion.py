"""HIER's fusions: an image and a text made one vector, which then is scored.

A pair comes in as two sides, each a global vector and the vectors of its parts with a mask; every
fusion gives one vector of the same width. `FUSIONS` is the only registry.
"""

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossray.methods.hier.scores import in_blocks

FusionName = Literal["concat", "additive", "mha8", "coattn", "gated"]
Scoring = Literal["cosine", "mlp"]
HEADS = 8


class Side(NamedTuple):
    """The images or the texts of P pairs: `vector_PD`, `parts_PAD`, `mask_PA` (True at parts)."""

    vector: Tensor
    parts: Tensor
    mask: Tensor

    def rows(self, index_P: Tensor) -> "Side":
        """The side of each pair."""
        return Side(*(part.index_select(0, index_P) for part in self))


class Fusion(nn.Module, ABC):
    """One vector of an image `v` with regions `V` and a text `t` with words `T`.

    `regions` and `words` do what does not depend on the pairing; `forward` reads their results in
    the place of the parts.
    """

    def regions(self, regions_BRD: Tensor) -> Tensor:
        """What the fusion needs to know of regions."""
        return regions_BRD

    def words(self, words_CWD: Tensor) -> Tensor:
        """What the fusion needs to know of words."""
        return words_CWD

    @abstractmethod
    def forward(self, image: Side, text: Side) -> Tensor:
        """`z_PD` of P pairs."""


class Concat(Fusion):
    r"""$z = W [v ; t]$, which the proposal compares attention with."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(2 * width, width)

    def forward(self, image: Side, text: Side) -> Tensor:
        """See `Fusion.forward`."""
        z_PD: Tensor = self.out(torch.cat([image.vector, text.vector], dim=-1))
        return z_PD


class Additive(Fusion):
    r"""$z = v + \sum_j \alpha_j t_j$, $\alpha = \mathrm{softmax}_j(u^T \tanh(W_1 v + W_2 t_j))$.

    Additive attention (Bahdanau et al. 2015, section 3.1).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.image = nn.Linear(width, width)
        self.word = nn.Linear(width, width, bias=False)
        self.energy = nn.Linear(width, 1, bias=False)

    def words(self, words_CWD: Tensor) -> Tensor:
        """The words with their part of the energy."""
        return torch.cat([words_CWD, self.word(words_CWD)], dim=-1)

    def forward(self, image: Side, text: Side) -> Tensor:
        """See `Fusion.forward`."""
        words_PWD, term_PWD = text.parts.chunk(2, dim=-1)
        energy_PW = self.energy(torch.tanh(self.image(image.vector)[:, None] + term_PWD))[..., 0]
        weight_PW = masked_softmax(energy_PW, text.mask)
        return image.vector + torch.einsum("pw,pwd->pd", weight_PW, words_PWD)


class MultiHead(Fusion):
    r"""$z = \mathrm{LN}(v + \mathrm{MHA}_8(Q = v, K = T, V = T))$: the image attends the text."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def words(self, words_CWD: Tensor) -> Tensor:
        """Their keys and values."""
        projected: Tensor = self.key_value(words_CWD)
        return projected

    def forward(self, image: Side, text: Side) -> Tensor:
        """See `Fusion.forward`."""
        pairs, width = image.vector.shape

        def heads(x: Tensor) -> Tensor:
            return x.view(pairs, -1, HEADS, width // HEADS).transpose(1, 2)

        key, value = text.parts.chunk(2, dim=-1)
        query_PH1E, key_PHWE = heads(self.query(image.vector)), heads(key)
        energy_PH1W = query_PH1E @ key_PHWE.mT / (width // HEADS) ** 0.5
        weight_PH1W = masked_softmax(energy_PH1W, text.mask[:, None, None])
        mixed_PD = (weight_PH1W @ heads(value)).reshape(pairs, width)
        # A text without words adds nothing, not even the bias of `out`.
        added_PD = self.out(mixed_PD) * text.mask.any(dim=1, keepdim=True)
        z_PD: Tensor = self.norm(image.vector + added_PD)
        return z_PD


class CoAttentive(Fusion):
    r"""Both sides attend each other by the affinity $C = V W T^T$ (Lu et al. 2016, eq. 3).

    $$z = \frac1{|V|} \sum_r \sum_j \mathrm{softmax}_j(C_{rj})\, t_j
        + \frac1{|T|} \sum_j \sum_r \mathrm{softmax}_r(C_{rj})\, v_r$$
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.affinity = nn.Linear(width, width, bias=False)

    def regions(self, regions_BRD: Tensor) -> Tensor:
        """The regions with their part of the affinity."""
        return torch.cat([regions_BRD, self.affinity(regions_BRD)], dim=-1)

    def forward(self, image: Side, text: Side) -> Tensor:
        """See `Fusion.forward`."""
        regions_PRD, term_PRD = image.parts.chunk(2, dim=-1)
        affinity_PRW = term_PRD @ text.parts.mT
        word_PRW = masked_softmax(affinity_PRW, text.mask[:, None])
        region_PWR = masked_softmax(affinity_PRW.mT, image.mask[:, None])
        words_PD = masked_mean(word_PRW @ text.parts, image.mask)
        return words_PD + masked_mean(region_PWR @ regions_PRD, text.mask)


class Gated(Fusion):
    r"""$z = g \odot v + (1 - g) \odot t$, $g = \sigma(W [v ; t])$ (Arevalo et al. 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, width)

    def forward(self, image: Side, text: Side) -> Tensor:
        """See `Fusion.forward`."""
        gate_PD = torch.sigmoid(self.gate(torch.cat([image.vector, text.vector], dim=-1)))
        return gate_PD * image.vector + (1 - gate_PD) * text.vector


FUSIONS: dict[FusionName, type[Concat | Additive | MultiHead | CoAttentive | Gated]] = {
    "concat": Concat,
    "additive": Additive,
    "mha8": MultiHead,
    "coattn": CoAttentive,
    "gated": Gated,
}
assert tuple(FUSIONS) == get_args(FusionName)


class FusionScorer(nn.Module):
    """A fusion and what makes a score of its vector.

    `cosine`: cos(z, t). `mlp`: a two-layer perceptron of z, into (-1, 1) by tanh.
    """

    def __init__(self, name: FusionName, width: int, scoring: Scoring) -> None:
        super().__init__()
        self.fusion = FUSIONS[name](width)
        self.mlp = (
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1), nn.Tanh())
            if scoring == "mlp"
            else None
        )

    def forward(self, image: Side, text: Side) -> Tensor:
        """`scores_P` in [-1, 1] of pairs whose parts have been through the fusion's maps."""
        z_PD = self.fusion(image, text)
        if self.mlp is None:
            return functional.cosine_similarity(z_PD, text.vector, dim=-1)
        score_P: Tensor = self.mlp(z_PD)[:, 0]
        return score_P


def fusion_scores(
    scorer: FusionScorer, images: Side, texts: Side, pairs_P2: Tensor, block: int
) -> Tensor:
    """`scores_P` of the (image, text) pairs, `block` pairs at a time."""
    images = images._replace(parts=scorer.fusion.regions(images.parts))
    texts = texts._replace(parts=scorer.fusion.words(texts.parts))

    def score(pairs: Tensor) -> Tensor:
        image, text = pairs.unbind(dim=1)
        scores_P: Tensor = scorer(images.rows(image), texts.rows(text))
        return scores_P

    return in_blocks(score, pairs_P2, block)


def parameter_counts(width: int) -> dict[FusionName, int]:
    """How many parameters each fusion has at this width."""
    with torch.device("meta"):
        built = {name: fusion(width) for name, fusion in FUSIONS.items()}
    return {name: sum(p.numel() for p in module.parameters()) for name, module in built.items()}


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last dimension where the mask is True; zeros where it is so nowhere."""
    weights = torch.softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min), dim=-1)
    return weights * mask


def masked_mean(parts_PAD: Tensor, mask_PA: Tensor) -> Tensor:
    """`mean_PD` over the parts in the mask; zero for a pair that has none."""
    count_P1 = mask_PA.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.einsum("pad,pa->pd", parts_PAD, mask_PA.to(parts_PAD.dtype)) / count_P1
