"""HIER's scores against loops over the printed equations."""

from __future__ import annotations

import pytest
import torch
from torch.nn import MultiheadAttention
from torch.nn.functional import cosine_similarity, normalize

from crossray.methods.hier import scores
from crossray.methods.hier.scores import (
    CoAttention,
    gated,
    region_word_attention,
    region_word_scores,
    structure_sentence_score,
    structure_sentence_scores,
)

LAMBDA = 9.0


def attend(query: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """`sum_c softmax_c(lambda cos(c, query)) c`, as printed."""
    weights = torch.stack([torch.exp(LAMBDA * cosine_similarity(c, query, dim=0)) for c in context])
    return sum(w / weights.sum() * c for w, c in zip(weights, context, strict=True))


def region_word_loop(regions, words, mask, both):  # type: ignore[no-untyped-def]
    """Level 1 pair by pair."""
    scores = regions.new_zeros(len(regions), len(words))
    for i in range(len(regions)):
        for t in range(len(words)):
            real = words[t][mask[t]]
            cosines = [cosine_similarity(w, attend(w, regions[i]), dim=0) for w in real]
            score = sum(cosines) / max(len(real), 1)
            if both and len(real):
                back = [cosine_similarity(r, attend(r, real), dim=0) for r in regions[i]]
                score = (score + sum(back) / len(back)) / 2
            scores[i, t] = score
    return scores


@pytest.fixture
def parts() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Regions, words and the mask of the words; the last text has none."""
    regions = normalize(torch.randn(3, 5, 8, dtype=torch.float64), dim=-1)
    words = normalize(torch.randn(4, 6, 8, dtype=torch.float64), dim=-1)
    mask = torch.arange(6) < torch.tensor([6, 1, 3, 0])[:, None]
    return regions, words, mask


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("at_a_time", [1, 2, 32])
def test_region_word_equals_the_printed_equation(  # type: ignore[no-untyped-def]
    parts, both: bool, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Gram-matrix form of the cosine must be the equation, in value and gradient."""
    monkeypatch.setattr(scores, "TEXTS_AT_A_TIME", at_a_time)
    regions, words, mask = parts
    fast, slow = regions.clone().requires_grad_(), regions.clone().requires_grad_()
    ours = region_word_scores(normalize(fast, dim=-1), words, mask, LAMBDA, both)
    reference = region_word_loop(normalize(slow, dim=-1), words, mask, both)
    torch.testing.assert_close(ours, reference)
    weights = torch.randn_like(reference)
    (ours * weights).sum().backward()
    (reference * weights).sum().backward()
    torch.testing.assert_close(fast.grad, slow.grad)


def test_attention_is_the_softmax_of_the_printed_equation(parts) -> None:  # type: ignore[no-untyped-def]
    """The maps of words are shown to people as what the score looked at."""
    regions, words, mask = parts
    weights = region_word_attention(regions, words[:3], mask[:3], LAMBDA)
    for i in range(3):
        for w in range(6):
            terms = [
                torch.exp(LAMBDA * cosine_similarity(r, words[i, w], dim=0)) for r in regions[i]
            ]
            expected = torch.stack(terms) / sum(terms) * mask[i, w]
            torch.testing.assert_close(weights[i, w], expected)


def test_one_region_reduces_to_the_mean_cosine(parts) -> None:  # type: ignore[no-untyped-def]
    """With one region there is nothing to attend."""
    regions, words, mask = parts
    ours = region_word_scores(regions[:, :1], words, mask, LAMBDA)
    cosines = torch.einsum("bd,cwd->bcw", regions[:, 0], words)
    expected = (cosines * mask).sum(-1) / mask.sum(-1).clamp(min=1)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("both", [False, True])
def test_regions_outside_the_mask_do_not_count(parts, both: bool) -> None:  # type: ignore[no-untyped-def]
    """An image with few boxes beside one with many must keep its score."""
    regions, words, mask = parts
    real = torch.arange(5) < torch.tensor([5, 1, 3])[:, None]
    ours = region_word_scores(regions, words, mask, LAMBDA, both, real)
    for i in range(3):
        own = regions[i : i + 1, : int(real[i].sum())]
        torch.testing.assert_close(ours[i : i + 1], region_word_loop(own, words, mask, both))


@pytest.mark.parametrize("both", [False, True])
def test_padding_and_order_of_regions_do_not_matter(parts, both: bool) -> None:  # type: ignore[no-untyped-def]
    """A longer text elsewhere in the batch must not change this text's score."""
    regions, words, mask = parts
    plain = region_word_scores(regions, words, mask, LAMBDA, both)
    padded = torch.cat([words, torch.randn(4, 3, 8, dtype=torch.float64)], dim=1)
    longer = torch.cat([mask, torch.zeros(4, 3, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(region_word_scores(regions, padded, longer, LAMBDA, both), plain)
    shuffled = regions[:, torch.randperm(5)]
    torch.testing.assert_close(region_word_scores(shuffled, words, mask, LAMBDA, both), plain)


def test_structure_sentence_equals_the_printed_equation() -> None:
    """Level 2 is checked pair by pair against the loop."""
    structures = torch.randn(3, 7, 8, dtype=torch.float64)
    sentences = torch.randn(3, 4, 8, dtype=torch.float64)
    mask = torch.arange(4) < torch.tensor([4, 1, 2])[:, None]
    ours = structure_sentence_score(structures, sentences, mask, LAMBDA)
    for p in range(3):
        units = normalize(structures[p], dim=-1)
        real = sentences[p][mask[p]]
        cosines = [cosine_similarity(s, attend(s, units), dim=0) for s in real]
        assert ours[p].item() == pytest.approx(float(sum(cosines) / len(real)))


def level_2(
    lengths: list[int],
) -> tuple[CoAttention, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A layer, three images, four texts of `lengths` sentences with their mask, and all pairs."""
    torch.manual_seed(0)
    return (
        CoAttention(8, 2, 16).double(),
        torch.randn(3, 7, 8, dtype=torch.float64),
        torch.randn(4, 3, 8, dtype=torch.float64),
        torch.arange(3) < torch.tensor(lengths)[:, None],
        torch.cartesian_prod(torch.arange(3), torch.arange(4)),
    )


def test_blocks_and_padding_do_not_change_level_2() -> None:
    """Blocks bound memory; they must not change values or gradients, nor must padding."""
    layer, structures, sentences, mask, pairs = level_2([3, 1, 2, 0])
    results = []
    for block, extra in ((100, 0), (5, 0), (100, 2)):
        layer.zero_grad()
        padded = torch.cat([sentences, torch.randn(4, extra, 8, dtype=torch.float64)], dim=1)
        longer = torch.cat([mask, torch.zeros(4, extra, dtype=torch.bool)], dim=1)
        scores = structure_sentence_scores(layer, structures, padded, longer, pairs, LAMBDA, block)
        scores.square().sum().backward()
        results.append((scores.detach(), layer.structures.out.weight.grad.clone()))
    for scores, grad in results[1:]:
        torch.testing.assert_close(scores, results[0][0])
        torch.testing.assert_close(grad, results[0][1])
    assert torch.isfinite(results[0][0]).all()


def test_co_attention_equals_torchs_multi_head_attention() -> None:
    """Projections are taken before the pairing; torch's own attention takes them pair by pair."""
    ours, structures, sentences, mask, pairs = level_2([3, 1, 2, 3])
    image, text = pairs.unbind(dim=1)
    of_structures, of_sentences = ours.project(structures, sentences)
    o_prime, s_prime = ours(of_structures.rows(image), of_sentences.rows(text), mask[text])
    everywhere = torch.ones(len(pairs), 7, dtype=torch.bool)
    sides = (
        (ours.structures, structures[image], sentences[text], mask[text], o_prime),
        (ours.sentences, sentences[text], structures[image], everywhere, s_prime),
    )
    for layer, x, context, real, result in sides:
        attention = MultiheadAttention(8, 2, batch_first=True).double()
        attention.in_proj_weight.data = torch.cat([layer.query.weight, layer.key_value.weight])
        attention.in_proj_bias.data = torch.cat([layer.query.bias, layer.key_value.bias])
        attention.out_proj.load_state_dict(layer.out.state_dict())
        mixed, _ = attention(x, context, context, key_padding_mask=~real, need_weights=False)
        attended = layer.attention_norm(x + mixed)
        torch.testing.assert_close(
            result, layer.output_norm(attended + layer.feed_forward(attended))
        )


def test_gate_is_a_weighted_sum_per_query() -> None:
    """All candidates of a query are ranked under the same weights."""
    levels, gate = torch.randn(3, 4, 5), torch.softmax(torch.randn(4, 3), dim=-1)
    scores = gated(levels, gate)
    for q in range(4):
        expected = sum(gate[q, level] * levels[level, q] for level in range(3))
        torch.testing.assert_close(scores[q], expected)
