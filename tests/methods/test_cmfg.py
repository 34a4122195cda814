"""CMFG as a system: modes, leakage, stages, options."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor

from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.encoders.image import given_images
from crossray.encoders.text import given_texts
from crossray.losses.hard_negatives import ranking_loss
from crossray.methods.cmfg import Cmfg, CmfgConfig, network
from crossray.methods.cmfg.model import hardest, patches
from crossray.methods.cmfg.network import pairwise_scores
from crossray.model_evaluation.scoring import Represented, score_corpus, score_represented
from support.corpora import RandomCorpus
from support.tiny import TINY, batch_of

CELLS, TOKENS = 2, 5


def small(**changes: Any) -> Cmfg:
    """An untrained CMFG on vectors of 12 and 10 numbers, in double precision."""
    torch.manual_seed(0)
    sizes = {"embedding": 16, "key_width": 8, "pair_block": 50}
    config = CmfgConfig(image=given_images(12), text=given_texts(10), **{**sizes, **changes})
    return config.build().double().eval()


def features(items: int, seed: int = 1, cells: int = CELLS, tokens: int = TOKENS) -> Batch:
    """Random maps and token states; texts of one to `tokens` tokens behind a special one."""
    torch.manual_seed(seed)
    lengths = torch.arange(items) % tokens + 1
    place = torch.arange(tokens + 1)
    mask = place <= lengths[:, None]
    return Batch(
        ImageBatch(grid_BCYX=torch.randn(items, 12, cells, cells, dtype=torch.float64)),
        TextBatch(
            mask_BT=mask,
            sentence_BT=torch.where(mask & (place > 0), 0, -1),
            states_BTD=torch.randn(items, tokens + 1, 10, dtype=torch.float64),
        ),
        torch.arange(items),
    )


def represented(method: Cmfg, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What scores need to know of both sides."""
    return method.represent_image(batch.image), method.represent_text(batch.text)


def all_pairs(rows: int, columns: int) -> Tensor:
    """`pairs_P2`, row by row."""
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns))


def pair_embeddings(method: Cmfg, batch: Batch, pairs_P2: Tensor) -> tuple[Tensor, Tensor]:
    """The two embeddings that each pair's own graph gives."""
    images, texts = represented(method, batch)
    image, text = pairs_P2.unbind(dim=1)
    return method.graph.embed_pairs(
        method._image_nodes(images).rows(image),
        method._text_nodes(texts).rows(text),
        method.config.edges,
    )


@pytest.mark.parametrize("edges", ["full", "bipartite"])
def test_only_pairwise_reads_the_partner(edges: str) -> None:
    """Test 4: an indexed embedding that depended on a partner would be of no use without it."""
    method, batch = small(edges=edges), features(3)
    images, texts = represented(method, batch)
    alone = method.represent_image(ImageBatch(grid_BCYX=batch.image.grid_BCYX[:1]))
    torch.testing.assert_close(alone["z"], images["z"][:1])
    image_PD, text_PD = pair_embeddings(method, batch, all_pairs(3, 3))
    assert (image_PD[1] - image_PD[2]).abs().max() > 1e-3
    assert (text_PD[1] - text_PD[4]).abs().max() > 1e-3
    torch.testing.assert_close(method.encode_text(batch.text), texts["z"])


@pytest.mark.parametrize("changes", [{}, {"layer": "residual_ln"}, {"edge_mode": "dynamic"},
                                     {"per_edge_type": True, "heads": 2},
                                     {"pooling": "attention"}])  # fmt: skip
def test_without_cross_edges_pairwise_is_dual(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Test 4: both stages are one graph; they differ in the cross edges and in nothing else."""
    method, batch = small(layers=3, **changes), features(4)
    images, texts = represented(method, batch)
    with_cross = pair_embeddings(method, batch, all_pairs(4, 4))[0]

    def intra_only(image_mask: Tensor, text_mask: Tensor, edges: str) -> Tensor:
        blocks = [network.graph.neighbours(mask) for mask in (image_mask, text_mask)]
        return torch.stack([torch.block_diag(*pair) for pair in zip(*blocks, strict=True)])

    monkeypatch.setattr(network.graph, "joint_neighbours", intra_only)
    image_PD, text_PD = pair_embeddings(method, batch, all_pairs(4, 4))
    torch.testing.assert_close(image_PD, images["z"].repeat_interleave(4, dim=0))
    torch.testing.assert_close(text_PD, texts["z"].repeat(4, 1))
    assert (with_cross - image_PD).abs().max() > 1e-3


@pytest.mark.parametrize("layer", ["faithful", "residual_ln"])
def test_partners_do_not_leak_into_the_ranking(layer: str) -> None:
    """Test 5: at random, hits are chance, unless only matched pairs ever meet (the control)."""
    items = 120
    method, batch = small(layer=layer, mode="pairwise"), features(items)
    expected = 1.0  # a hit an item with probability 1 / items
    limit = 3 * sqrt(expected * (1 - 1 / items))
    with torch.no_grad():
        scores = method.score(*represented(method, batch)).image_to_text_BC
        matched = torch.arange(items)[:, None].expand(-1, 2)
        image_PD, text_PD = pair_embeddings(method, batch, matched)
    for ranked in (scores, scores.T):
        assert abs(hits(ranked) - expected) <= limit
    assert hits(image_PD @ text_PD.T) > expected + limit, "the control must fail this test"


def hits(scores: Tensor) -> int:
    """Queries whose own candidate comes first."""
    return int((scores.argmax(dim=1) == torch.arange(len(scores))).sum())


@pytest.mark.parametrize("changes", [{}, {"pooling": "attention"}, {"edges": "bipartite"}])
def test_faithful_outputs_are_not_negative(changes: dict[str, Any]) -> None:
    """Test 6: printed as they are, the layers end in a ReLU; cosines lie in [0, 1]."""
    method, batch = small(**changes), features(5)
    images, texts = represented(method, batch)
    pairs = pair_embeddings(method, batch, all_pairs(5, 5))
    for z in (images["z"], texts["z"], *pairs):
        assert (z >= 0).all()
        assert z.any()


@pytest.mark.parametrize("layer", ["faithful", "residual_ln"])
@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("mode", ["dual", "pairwise", "both"])
def test_single_nodes_give_finite_values(layer: str, pooling: str, mode: str) -> None:
    """Test 6: feature sets have one vector an image and one a text; a text may have none."""
    method = small(layer=layer, pooling=pooling, mode=mode)
    batch = features(4, cells=1, tokens=1)
    batch.text.sentence_BT[3] = -1
    images, texts = represented(method, batch)
    assert torch.isfinite(method.score(images, texts).image_to_text_BC).all()
    added = method.refine(images, texts, all_pairs(4, 4))
    assert (added is None) == (mode != "both")
    assert added is None or torch.isfinite(added.image_to_text_BC).all()
    sum(method.losses(batch).values()).sum().backward()
    for name, parameter in method.named_parameters():
        if parameter.grad is not None:
            assert torch.isfinite(parameter.grad).all(), name


def test_losses_do_not_prefer_a_modality() -> None:
    """Test 7: exchanging rows and columns leaves InfoNCE as it is, and a clear diagonal ends it."""
    method, same = small(temperature=0.02), torch.eye(6, dtype=torch.bool)
    scores = torch.rand(6, 6, dtype=torch.float64)
    for stage in ("dual", "pairwise"):
        loss = method._loss(stage, scores, same)  # type: ignore[arg-type]
        torch.testing.assert_close(loss, method._loss(stage, scores.T, same))  # type: ignore[arg-type]
        assert method._loss(stage, same.double(), same).item() < 1e-9  # type: ignore[arg-type]


@pytest.mark.parametrize("per_edge_type", [False, True])
@pytest.mark.parametrize("edge_mode", ["static", "dynamic"])
def test_gradients_reach_every_weight(per_edge_type: bool, edge_mode: str) -> None:
    """Test 9: W_Q, W_K, every W^(l) and both projections learn from random input."""
    method = small(per_edge_type=per_edge_type, edge_mode=edge_mode, layers=3)
    sum(method.losses(features(6)).values()).sum().backward()
    learned = {n: p.grad for n, p in method.named_parameters() if p.requires_grad}
    assert len([name for name in learned if name.startswith("graph.attention")]) == (
        8 if per_edge_type else 2
    )
    for name, grad in learned.items():
        assert grad is not None, name
        assert grad.abs().sum() > 0, name


@pytest.mark.parametrize("reranked", ["pairwise", "sum"])
def test_reranking_everything_is_the_exhaustive_ranking(reranked: str) -> None:
    """Test 10: with as many candidates as items, two stages rank as pair graphs of all pairs do."""
    config = replace(TINY["cmfg"], reranked=reranked, layer="residual_ln")  # type: ignore[type-var]
    torch.manual_seed(0)
    method, corpus = config.build().eval(), RandomCorpus(7, 3)
    two_stage = score_corpus(method, corpus, rerank=21)
    whole = represent(method, corpus)
    exhaustive = replace(config, mode="pairwise", candidates=None).build().eval()
    exhaustive.load_state_dict(method.state_dict(), strict=False)
    with torch.inference_mode():
        expected = exhaustive.score(whole.images[0], whole.texts[0]).image_to_text_BC
        if reranked == "sum":
            expected = expected + whole.images[0]["z"] @ whole.texts[0]["z"].T
    for ours in (two_stage.image_to_text_NC, two_stage.text_to_image_NC):
        torch.testing.assert_close(torch.from_numpy(ours), expected)
    ours = torch.from_numpy(two_stage.image_to_text_NC)
    coarse = torch.from_numpy(score_represented(method, whole, rerank=0).image_to_text_NC)
    for dim in (0, 1):  # both directions, up to the order of scores that rounding cannot tell
        best = expected.sort(dim=dim, descending=True).values
        found = expected.gather(dim, ours.argsort(dim=dim, descending=True))
        torch.testing.assert_close(found, best, rtol=0, atol=1e-6)
        first_stage = expected.gather(dim, coarse.argsort(dim=dim, descending=True))
        assert (first_stage - best).abs().max() > 1e-5, "the stages must differ"


def represent(method: Cmfg, corpus: RandomCorpus) -> Represented:
    """All images in one block and all texts in one."""
    rows = range(len(corpus))
    asked = [(row, n) for row in rows for n in range(corpus.text_count(row))]
    images = corpus.collate_images([corpus.image(row) for row in rows])
    texts = corpus.collate_texts([corpus.text(row, n) for row, n in asked])
    with torch.inference_mode():
        parts = [method.represent_image(images)], [method.represent_text(texts)]
    return Represented(*parts, torch.tensor([row for row, _ in asked]).numpy())


def test_blocks_and_padding_do_not_change_pair_scores() -> None:
    """Blocks bound memory; they must not change values or gradients, nor must padding."""
    method, batch = small(layer="residual_ln"), features(6)
    results = []
    for block, extra in ((100, 0), (7, 0), (100, 3)):
        method.zero_grad()
        images, texts = represented(method, batch)
        tokens = torch.cat([texts["tokens"], torch.randn(6, extra, 16).double()], dim=1)
        mask = torch.cat([texts["token_mask"], torch.zeros(6, extra, dtype=torch.bool)], dim=1)
        nodes = method._image_nodes(images), method.graph.nodes(tokens, mask, "text")
        scores = pairwise_scores(method.graph, *nodes, all_pairs(6, 6), "full", block)
        scores.square().sum().backward()
        grad = method.patch_projection.linear.weight.grad
        assert grad is not None
        results.append((scores.detach(), grad.clone()))
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])


def test_the_re_ranker_learns_from_the_chosen_pairs_alone() -> None:
    """The first stage's hardest negatives and the own pair, as against every pair of the batch."""
    method, batch = small(candidates=2, loss="vse++", layer="residual_ln"), features(8)
    batch = replace(batch, keys_B=torch.tensor([0, 1, 2, 3, 4, 5, 6, 6]))
    images, texts = represented(method, batch)
    coarse = method.score(images, texts).image_to_text_BC
    same = batch.keys_B[:, None] == batch.keys_B
    chosen = torch.zeros(8, 8, dtype=torch.bool)
    for q in range(8):
        others = [n for n in range(8) if not same[q, n]]
        chosen[q, sorted(others, key=lambda n: -coarse[q, n])[:2]] = True
        chosen[sorted(others, key=lambda n: -coarse[n, q])[:2], q] = True
    pairwise = small(mode="pairwise", layer="residual_ln").score(images, texts).image_to_text_BC
    terms = method.losses(batch)
    for stage, scores, ignored in (
        ("pairwise", pairwise, same | ~chosen),
        ("dual", coarse, same),
    ):
        both = (scores, ignored), (scores.T, ignored.T)
        expected = sum(ranking_loss(*direction, 0.2, 1) for direction in both)
        torch.testing.assert_close(terms[stage], expected)
    everything = small(candidates=8).losses(batch)["pairwise"]
    torch.testing.assert_close(everything, small().losses(batch)["pairwise"])


def test_hardest_takes_both_directions() -> None:
    """A process has rows of its own images only and must choose as the whole batch would."""
    scores = torch.tensor([[0.0, 0.9, 0.1], [0.8, 0.0, 0.2], [0.7, 0.3, 0.0]])
    chosen = hardest(scores, scores, 1)
    assert chosen.nonzero().tolist() == [[0, 1], [1, 0], [1, 2], [2, 0]]
    assert hardest(scores[1:2], scores, 1).equal(chosen[1:2])


def test_patches_are_cells_of_the_map_or_averages() -> None:
    """Cells are named by their place, row by row; a coarse map is never made finer."""
    grid = torch.arange(16.0).view(1, 1, 4, 4)
    assert patches(grid, None)[0, :, 0].tolist() == list(range(16))
    assert patches(grid, 2)[0, :, 0].tolist() == [2.5, 4.5, 10.5, 12.5]
    assert patches(grid[:, :, :1, :1], 2)[0, :, 0].tolist() == [0]


def test_modes_promise_what_they_can() -> None:
    """An index of embeddings that were never trained would look like one that works."""
    batch = features(3)
    pairwise = small(mode="pairwise")
    for encode, part in ((pairwise.encode_image, batch.image), (pairwise.encode_text, batch.text)):
        with pytest.raises(CrossRayError, match="train it with"):
            encode(part)  # type: ignore[arg-type]
    assert set(pairwise.losses(batch)) == {"pairwise"}
    assert set(small(mode="dual").losses(batch)) == {"dual"}
    for wrong in ({"mode": "dual", "candidates": 3}, {"candidates": 0}, {"layers": 0}, {"grid": 0}):
        with pytest.raises(CrossRayError):
            small(**wrong)


def test_towers_that_learn_have_a_slower_phase() -> None:
    """Section 4.2: encoders learn at a tenth of the rate; every parameter has one phase."""
    method = TINY["cmfg"].build()
    phases = method.phases()
    assert [phase.lr_scale for phase in phases] == [1.0, 0.1]
    for name, _ in method.named_parameters():
        assert sum(name.startswith(phase.parameters) for phase in phases) == 1, name
    assert [phase.parameters for phase in small().phases()] == [()]


def test_a_batch_through_the_towers() -> None:
    """Nodes of live towers are the map's cells and the sub-words without special tokens."""
    method, batch = TINY["cmfg"].build().eval(), batch_of(3)
    texts = method.represent_text(batch.text)
    assert texts["token_mask"].sum(dim=1).tolist() == [5, 7, 7]
    assert not texts["tokens"][~texts["token_mask"]].any()
    assert method.represent_image(batch.image)["patches"].shape == (3, 4, 16)


@pytest.mark.parametrize("grid", [None, 2])
def test_maps_are_the_edges_from_tokens_to_patches(grid: int | None) -> None:
    """A word's map must show what its node reads of the image, at the patches' place."""
    method, batch = small(grid=grid), features(3, cells=4)
    found = method.alignment(batch.image, batch.text)
    assert found is not None
    images, texts = represented(method, batch)
    weights = method.node_attention(images, texts)
    count = images["patches"].shape[1]
    side = 4 if grid is None else grid
    assert weights.shape == (3, count + 6, count + 6)
    for i in range(3):
        for token in range(6):
            row = weights[i, count + token, :count].view(side, side)
            if not texts["token_mask"][i, token]:
                assert not found.maps_BPYX[i, token].any()
                continue
            shares = row / row.sum() / (4 // side) ** 2
            expected = shares.repeat_interleave(4 // side, 0).repeat_interleave(4 // side, 1)
            torch.testing.assert_close(found.maps_BPYX[i, token], expected)
    assert small(mode="dual").alignment(batch.image, batch.text) is None
