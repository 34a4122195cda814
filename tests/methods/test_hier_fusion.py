"""HIER's fusions against loops over the printed forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from crossray.core.errors import CrossRayError
from crossray.methods.hier import HierConfig
from crossray.methods.hier.fusion import (
    FUSIONS,
    HEADS,
    FusionName,
    FusionScorer,
    Side,
    fusion_scores,
    parameter_counts,
)
from support.tiny import TINY, batch_of

D = 16
IMAGES, TEXTS = 3, 4


def linear(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """`W x + b` of one vector."""
    bias = 0 if layer.bias is None else layer.bias
    return sum(layer.weight[:, i] * x[i] for i in range(len(x))) + bias


def softmax(scores: list[torch.Tensor]) -> list[torch.Tensor]:
    """As printed."""
    total = sum(torch.exp(score) for score in scores)
    return [torch.exp(score) / total for score in scores]


def concat(f: Any, v: Any, regions: Any, t: Any, words: Any) -> Any:
    """`W [v ; t]`."""
    return linear(f.out, torch.cat([v, t]))


def additive(f: Any, v: Any, regions: Any, t: Any, words: Any) -> Any:
    """`v` and the words by their energies."""
    energies = [
        linear(f.energy, torch.tanh(linear(f.image, v) + linear(f.word, word)))[0] for word in words
    ]
    return v + sum(a * word for a, word in zip(softmax(energies), words, strict=True))


def mha8(f: Any, v: Any, regions: Any, t: Any, words: Any) -> Any:
    """Head by head."""
    mixed = []
    for head in range(HEADS):
        part = slice(head * D // HEADS, (head + 1) * D // HEADS)
        query = linear(f.query, v)[part]
        keys = [linear(f.key_value, word)[:D][part] for word in words]
        values = [linear(f.key_value, word)[D:][part] for word in words]
        weights = softmax([query @ key / (D / HEADS) ** 0.5 for key in keys])
        mixed.append(sum(w * value for w, value in zip(weights, values, strict=True)))
    added = linear(f.out, torch.cat(mixed)) if len(words) else 0
    x = v + added
    centred = x - x.mean()
    return centred / ((centred**2).mean() + f.norm.eps) ** 0.5 * f.norm.weight + f.norm.bias


def coattn(f: Any, v: Any, regions: Any, t: Any, words: Any) -> Any:
    """Row by row, then column by column; a text without words gives nothing."""
    if not len(words):
        return torch.zeros_like(v)
    affinity = [[linear(f.affinity, region) @ word for word in words] for region in regions]
    z = torch.zeros_like(v)
    for row in affinity:
        for a, word in zip(softmax(row), words, strict=True):
            z = z + a * word / len(regions)
    for column in zip(*affinity, strict=True):
        for a, region in zip(softmax(list(column)), regions, strict=True):
            z = z + a * region / len(words)
    return z


def gated(f: Any, v: Any, regions: Any, t: Any, words: Any) -> Any:
    """`g v + (1 - g) t`."""
    g = 1 / (1 + torch.exp(-linear(f.gate, torch.cat([v, t]))))
    return g * v + (1 - g) * t


LOOPS = {
    "concat": concat,
    "additive": additive,
    "mha8": mha8,
    "coattn": coattn,
    "gated": gated,
}


@pytest.fixture
def sides() -> tuple[Side, Side]:
    """Images with 5, 1 and 3 regions and texts with 6, 1, 3 and no words; padding is not zero."""
    real = {"dtype": torch.float64}
    return (
        Side(
            torch.randn(IMAGES, D, **real),  # type: ignore[call-overload]
            torch.randn(IMAGES, 5, D, **real),  # type: ignore[call-overload]
            torch.arange(5) < torch.tensor([5, 1, 3])[:, None],
        ),
        Side(
            torch.randn(TEXTS, D, **real),  # type: ignore[call-overload]
            torch.randn(TEXTS, 6, D, **real),  # type: ignore[call-overload]
            torch.arange(6) < torch.tensor([6, 1, 3, 0])[:, None],
        ),
    )


def all_pairs() -> torch.Tensor:
    """Every image with every text."""
    return torch.cartesian_prod(torch.arange(IMAGES), torch.arange(TEXTS))


def prepared(fusion: Any, image: Side, text: Side) -> tuple[Side, Side]:
    """Both sides with their parts through the fusion's own maps."""
    return (
        image._replace(parts=fusion.regions(image.parts)),
        text._replace(parts=fusion.words(text.parts)),
    )


def test_every_fusion_is_the_printed_form(sides: tuple[Side, Side]) -> None:
    """Five names for one thing, or for other things than the paper's, compare nothing."""
    assert LOOPS.keys() == FUSIONS.keys()
    image, text = sides
    pairs = all_pairs()
    for name, kind in FUSIONS.items():
        fusion = kind(D).double()
        for parameter in fusion.parameters():
            nn.init.normal_(parameter, std=0.5)
        images, texts = prepared(fusion, image, text)
        found = fusion(images.rows(pairs[:, 0]), texts.rows(pairs[:, 1]))
        assert found.shape == (len(pairs), D), name
        for number, (i, j) in enumerate(pairs.tolist()):
            regions, words = image.parts[i][image.mask[i]], text.parts[j][text.mask[j]]
            if name == "additive" and not len(words):
                wanted = image.vector[i]
            else:
                wanted = LOOPS[name](fusion, image.vector[i], regions, text.vector[j], words)
            torch.testing.assert_close(found[number], wanted, msg=f"{name} of {i}, {j}")


@pytest.mark.parametrize("name", FUSIONS)
def test_padding_changes_nothing(name: FusionName, sides: tuple[Side, Side]) -> None:
    """A longer text elsewhere in the batch must not change this pair's score."""
    image, text = sides
    scorer = FusionScorer(name, D, "cosine").double()
    wanted = fusion_scores(scorer, image, text, all_pairs(), 100)
    longer = [
        Side(
            side.vector,
            torch.cat([side.parts, torch.randn(len(side.parts), 2, D, dtype=torch.float64)], 1),
            torch.cat([side.mask, torch.zeros(len(side.mask), 2, dtype=torch.bool)], 1),
        )
        for side in sides
    ]
    padded = fusion_scores(scorer, *longer, all_pairs(), 100)
    torch.testing.assert_close(padded, wanted)


def test_scores_in_blocks_have_the_gradient_of_the_whole(sides: tuple[Side, Side]) -> None:
    """Blocks bound the memory of a batch, and must not change what is learnt."""
    image, text = sides
    for name in FUSIONS:
        for scoring in ("cosine", "mlp"):
            scorer = FusionScorer(name, D, scoring).double()  # type: ignore[arg-type]
            gradients = []
            for block in (5, 100):
                whole = image.vector.clone().requires_grad_()
                scores = fusion_scores(
                    scorer, image._replace(vector=whole), text, all_pairs(), block
                )
                assert scores.abs().max() <= 1 + 1e-9
                (scores * torch.arange(len(scores))).sum().backward()
                gradients.append((scores.detach(), whole.grad))
            for a, b in zip(*gradients, strict=True):
                torch.testing.assert_close(a, b)


def test_cosine_scores_are_those_of_the_fused_vector(sides: tuple[Side, Side]) -> None:
    """The score is cos(z, t)."""
    image, text = sides
    scorer = FusionScorer("gated", D, "cosine").double()
    found = fusion_scores(scorer, image, text, all_pairs(), 100).view(IMAGES, TEXTS)
    z = gated(scorer.fusion, image.vector[1], None, text.vector[2], None)
    torch.testing.assert_close(found[1, 2], cosine_similarity(z, text.vector[2], dim=0))


def test_parameters_are_counted() -> None:
    """Fusions of different size are compared with their size in view."""
    counts = parameter_counts(64)
    assert counts == {
        "concat": 2 * 64 * 64 + 64,
        "additive": 2 * 64 * 64 + 64 + 64,
        "mha8": 4 * 64 * 64 + 4 * 64 + 2 * 64,
        "coattn": 64 * 64,
        "gated": 2 * 64 * 64 + 64,
    }


@pytest.mark.parametrize("levels", [("global",), ("region_word", "structure_sentence", "global")])
def test_the_fusion_is_trained_and_scores_the_chosen_pairs(levels: tuple[Any, ...]) -> None:
    """A fusion that no loss reaches, or that no ranking sees, would be compared all the same."""
    assert isinstance(TINY["hier"], HierConfig)
    config = replace(TINY["hier"], levels=levels, fusion="mha8", fusion_weight=0.5)
    model, batch = config.build(), batch_of(4)
    terms = model.losses(batch)
    terms["fusion"].backward()
    for name, parameter in model.fusion.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0 or "key_value.bias" in name, name
    assert model.image_head[0].weight.grad.abs().sum() > 0
    model.eval()
    images, texts = model.represent_image(batch.image), model.represent_text(batch.text)
    pairs = torch.tensor([[0, 1], [3, 2], [1, 1]])
    added = model.refine(images, texts, pairs)
    plain = replace(config, fusion=None).build().eval()
    plain.load_state_dict(model.state_dict(), strict=False)
    if levels == ("global",):
        base = torch.zeros(3)
        assert plain.refine(images, texts, pairs) is None
    else:
        base = plain.refine(images, texts, pairs).image_to_text_BC
    fused = fusion_scores(
        model.fusion,
        Side(images["z"], images["regions"], images["region_mask"]),
        Side(texts["z"], texts["words"], texts["word_mask"]),
        pairs,
        100,
    )
    torch.testing.assert_close(added.image_to_text_BC, base + 0.5 * fused)


def test_heads_that_do_not_divide_are_refused() -> None:
    """A sentence, not the traceback of a reshape."""
    assert isinstance(TINY["hier"], HierConfig)
    with pytest.raises(CrossRayError, match="does not divide by them"):
        replace(TINY["hier"], fusion="mha8", embedding=12)
