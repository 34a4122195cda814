"""The three alignment scores and the gate of HIER (docs/methods/hier.md)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from crossray.core.types import Representation

TEXTS_AT_A_TIME = 16


def region_word_scores(
    regions_BRD: Tensor,
    words_CWD: Tensor,
    mask_CW: Tensor,
    smoothing: float,
    both: bool = False,
    region_mask_BR: Tensor | None = None,
) -> Tensor:
    r"""Level 1, `S_rw`: every word attends the regions (SCAN, Lee et al. 2018, eq. 8-10).

    $$\tilde r_w = \sum_r \mathrm{softmax}_r(\lambda \cos(r, w))\, r, \qquad
      S_{rw} = \frac1{|W|} \sum_w \cos(w, \tilde r_w)$$

    Args:
        regions_BRD: unit length.
        words_CWD: unit length.
        mask_CW: bool, True at real words.
        smoothing: the inverse temperature lambda.
        both: average with the direction in which every region attends the words.
        region_mask_BR: bool, True at real regions, of which every image has one or more; None
            where all are.

    Returns:
        `scores_BC` in [-1, 1]; a text without words scores 0.
    """
    # Texts of like length go together, so that little is computed for padding.
    place_W = torch.arange(1, mask_CW.shape[1] + 1, device=mask_CW.device)
    length_C = (mask_CW * place_W).amax(dim=1)
    order_C = length_C.argsort()
    parts = []
    for some in torch.split(order_C, TEXTS_AT_A_TIME):
        words_SWD, mask_SW = words_CWD[some], mask_CW[some]
        longest = int(length_C[some[-1]])
        parts.append(
            _region_word_scores(
                regions_BRD,
                words_SWD[:, :longest],
                mask_SW[:, :longest],
                smoothing,
                both,
                region_mask_BR,
            )
        )
    return torch.cat(parts, dim=1)[:, order_C.argsort()]


def _region_word_scores(
    regions_BRD: Tensor,
    words_CWD: Tensor,
    mask_CW: Tensor,
    smoothing: float,
    both: bool,
    region_mask_BR: Tensor | None,
) -> Tensor:
    cos_BCWR = torch.einsum("brd,cwd->bcwr", regions_BRD, words_CWD)
    logits_BCWR = smoothing * cos_BCWR
    if region_mask_BR is not None:
        logits_BCWR = logits_BCWR.masked_fill(~region_mask_BR[:, None, None], -1e4)
    gram_BRR = regions_BRD @ regions_BRD.transpose(1, 2)
    weight_BCWR = torch.softmax(logits_BCWR, dim=-1)
    cos_BCW = _cosine_of_mixture(weight_BCWR, cos_BCWR, gram_BRR[:, None])
    scores_BC = (cos_BCW * mask_CW).sum(dim=-1) / mask_CW.sum(dim=-1).clamp(min=1)
    if not both:
        return scores_BC
    has_word_C = mask_CW.any(dim=-1)
    logits_BCRW = (smoothing * cos_BCWR).masked_fill(~mask_CW[None, :, :, None], -1e4).mT
    gram_CWW = words_CWD @ words_CWD.transpose(1, 2)
    cos_BCR = _cosine_of_mixture(torch.softmax(logits_BCRW, -1), cos_BCWR.mT, gram_CWW[None])
    if region_mask_BR is None:
        back_BC = cos_BCR.mean(dim=-1)
    else:
        real_BR = region_mask_BR.to(cos_BCR.dtype)
        back_BC = torch.einsum("bcr,br->bc", cos_BCR, real_BR) / real_BR.sum(dim=1, keepdim=True)
    return (scores_BC + back_BC * has_word_C) / 2


def region_word_attention(
    regions_BRD: Tensor, words_BWD: Tensor, mask_BW: Tensor, smoothing: float
) -> Tensor:
    """`weight_BWR`: how word w of text i attends the regions of image i (SCAN, eq. 9).

    The weights of a real word sum to 1, those of padding are 0. Arguments as in
    `region_word_scores`.
    """
    cos_BWR = words_BWD @ regions_BRD.mT
    return torch.softmax(smoothing * cos_BWR, dim=-1) * mask_BW[:, :, None]


def _cosine_of_mixture(weight_XYPQ: Tensor, cos_XYPQ: Tensor, gram_QQ: Tensor) -> Tensor:
    """`cos_XYP` of unit vectors p with the mixtures `sum_q weight_pq q`, from inner products only.

    The mixtures themselves would need D floats a pair of image and word; their squared norm is
    the quadratic form of the weights and the Gram matrix of the q.
    """
    dot_XYP = (weight_XYPQ * cos_XYPQ).sum(dim=-1)
    square_XYP = ((weight_XYPQ @ gram_QQ) * weight_XYPQ).sum(dim=-1)
    return dot_XYP * square_XYP.clamp(min=1e-8).rsqrt()


class Projected(NamedTuple):
    """One side of level 2 with its attention projections, each [B, A, D], before any pairing."""

    states: Tensor
    query: Tensor
    key: Tensor
    value: Tensor

    def rows(self, index_P: Tensor) -> "Projected":
        """The side of each pair, [P, A, D] each."""
        return Projected(*(part.index_select(0, index_P) for part in self))


class CoAttention(nn.Module):
    """One transformer layer each way: structures attend sentences, sentences attend structures."""

    def __init__(self, width: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.structures = CrossLayer(width, heads, feed_forward)
        self.sentences = CrossLayer(width, heads, feed_forward)

    def project(self, structures_BOD: Tensor, sentences_CSD: Tensor) -> tuple[Projected, Projected]:
        """Both sides with what does not depend on the pairing, computed once each, not per pair."""
        structure_key_value = self.sentences.key_value(structures_BOD).chunk(2, dim=-1)
        sentence_key_value = self.structures.key_value(sentences_CSD).chunk(2, dim=-1)
        return (
            Projected(structures_BOD, self.structures.query(structures_BOD), *structure_key_value),
            Projected(sentences_CSD, self.sentences.query(sentences_CSD), *sentence_key_value),
        )

    def forward(
        self,
        structures: Projected,
        sentences: Projected,
        mask_PS: Tensor,
        mask_PO: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """`O'_POD` and `S'_PSD` of P pairs; what is masked is never attended."""
        if mask_PO is None:
            mask_PO = mask_PS.new_ones(structures.states.shape[:2])
        return (
            self.structures(structures, sentences, mask_PS),
            self.sentences(sentences, structures, mask_PO),
        )


class CrossLayer(nn.Module):
    """A post-norm transformer layer whose queries attend another set (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feed_forward), nn.GELU(), nn.Linear(feed_forward, width)
        )
        self.output_norm = nn.LayerNorm(width)

    def forward(self, of: Projected, context: Projected, mask_PC: Tensor) -> Tensor:
        """The states of `of` after attending the real rows of `context`, P pairs of both."""
        pairs, _, width = of.states.shape

        def heads(x: Tensor) -> Tensor:
            return x.view(pairs, -1, self.heads, width // self.heads).transpose(1, 2)

        mask_PC = mask_PC | ~mask_PC.any(dim=1, keepdim=True)  # an empty softmax would be NaN
        mixed = functional.scaled_dot_product_attention(
            heads(of.query),
            heads(context.key),
            heads(context.value),
            attn_mask=mask_PC[:, None, None],
        )
        mixed_PAD = mixed.transpose(1, 2).reshape(of.states.shape)
        attended = self.attention_norm(of.states + self.out(mixed_PAD))
        result: Tensor = self.output_norm(attended + self.feed_forward(attended))
        return result


def structure_sentence_score(
    structures_POD: Tensor,
    sentences_PSD: Tensor,
    mask_PS: Tensor,
    smoothing: float,
    mask_PO: Tensor | None = None,
) -> Tensor:
    r"""Level 2, `S_ss`, of P pairs whose structures and sentences have attended each other.

    $$S_{ss} = \frac1{|S|} \sum_s
      \cos\big(s', \sum_o \mathrm{softmax}_o(\lambda\cos(o', s'))\, o'\big)$$

    Returns:
        `scores_P` in [-1, 1]; a text without sentences scores 0.
    """
    structures = functional.normalize(structures_POD, dim=-1)
    sentences = functional.normalize(sentences_PSD, dim=-1)
    cos_PSO = sentences @ structures.transpose(1, 2)
    if mask_PO is not None:
        cos_PSO = cos_PSO.masked_fill(~mask_PO[:, None, :], -1e4)
    mixture_PSD = torch.softmax(smoothing * cos_PSO, dim=-1) @ structures
    cos_PS = (functional.normalize(mixture_PSD, dim=-1) * sentences).sum(dim=-1)
    return (cos_PS * mask_PS).sum(dim=-1) / mask_PS.sum(dim=-1).clamp(min=1)


def structure_sentence_scores(
    co_attention: CoAttention,
    structures_BOD: Tensor,
    sentences_CSD: Tensor,
    mask_CS: Tensor,
    pairs_P2: Tensor,
    smoothing: float,
    block: int,
    mask_BO: Tensor | None = None,
) -> Tensor:
    """`scores_P`: `S_ss` of the (image, text) pairs, `block` pairs at a time.

    Level 2 is quadratic in pairs; blocks bound its memory. `mask_BO`: True at real structures, of
    which every image has one; None where all are.
    """
    structures, sentences = co_attention.project(structures_BOD, sentences_CSD)

    def score(pairs: Tensor) -> Tensor:
        image, text = pairs.unbind(dim=1)
        mask_PS, mask_PO = mask_CS[text], None if mask_BO is None else mask_BO[image]
        o_prime, s_prime = co_attention(
            structures.rows(image), sentences.rows(text), mask_PS, mask_PO
        )
        return structure_sentence_score(o_prime, s_prime, mask_PS, smoothing, mask_PO)

    return in_blocks(score, pairs_P2, block)


def all_pairs(images: Representation, texts: Representation) -> Tensor:
    """`pairs_P2`: every image with every text, row by row."""
    rows, columns = torch.arange(len(images["z"])), torch.arange(len(texts["z"]))
    return torch.cartesian_prod(rows, columns).to(images["z"].device)


def in_blocks(score: Callable[[Tensor], Tensor], pairs_P2: Tensor, block: int) -> Tensor:
    """`scores_P` of all pairs, `block` at a time.

    While training, the activations of a block are computed again in the backward pass.
    """
    parts = []
    for pairs in torch.split(pairs_P2, block):
        if torch.is_grad_enabled() and len(pairs_P2) > block:
            parts.append(checkpoint(score, pairs, use_reentrant=False))
        else:
            parts.append(score(pairs))
    return torch.cat(parts)


def global_scores(image_BD: Tensor, text_CD: Tensor) -> Tensor:
    """Level 3, `S_gf`: the cosine of global embeddings (unit length); `scores_BC` in [-1, 1]."""
    return image_BD @ text_CD.T


def gated(levels_LBC: Tensor, gate_BL: Tensor) -> Tensor:
    """`S(q, .) = sum_l g_l(q) S_l(q, .)` for B queries; `scores_BC`."""
    return torch.einsum("lbc,bl->bc", levels_LBC, gate_BL)
