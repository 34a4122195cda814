"""CMFG's equations against loops over what is printed, and against torch-geometric."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import GCNConv, TransformerConv

from crossray.methods.cmfg import graph
from crossray.methods.cmfg.graph import (
    attention_readout,
    convolved,
    edge_logits,
    edge_weights,
    joint_neighbours,
    mean_readout,
    neighbours,
    pair_scores,
)

PATCHES, LENGTHS, WIDTH, KEY = 3, (4, 1, 0), 8, 5


@pytest.fixture
def parts() -> dict[str, Tensor]:
    """Three graphs of three patches and up to four tokens, the last without any; W_Q, W_K and W."""
    return {
        "states": torch.randn(3, PATCHES + 4, WIDTH, dtype=torch.float64),
        "image_mask": torch.ones(3, PATCHES, dtype=torch.bool),
        "text_mask": torch.arange(4) < torch.tensor(LENGTHS)[:, None],
        "query": torch.randn(2, KEY, WIDTH, dtype=torch.float64),
        "key": torch.randn(2, KEY, WIDTH, dtype=torch.float64),
        "weight": torch.randn(WIDTH, WIDTH, dtype=torch.float64),
    }


def edges_of(parts: dict[str, Tensor], edges: graph.Edges, heads: int) -> Tensor:
    """The edge weights by the functions under test."""
    query = torch.einsum("gvd,hed->gvhe", parts["states"], parts["query"][:heads])
    key = torch.einsum("gvd,hed->gvhe", parts["states"], parts["key"][:heads])
    support = joint_neighbours(parts["image_mask"], parts["text_mask"], edges)
    return edge_weights(edge_logits(query, key), support)


def edge_loop(parts: dict[str, Tensor], edges: str, heads: int) -> Tensor:
    """e_uv as printed, edge by edge."""
    states = parts["states"]
    real = torch.cat([parts["image_mask"], parts["text_mask"]], dim=1)
    result = states.new_zeros(*states.shape[:2], states.shape[1])
    for g in range(len(states)):
        for u in range(states.shape[1]):
            near = [
                v
                for v in range(states.shape[1])
                if real[g, u] and real[g, v] and u != v
                and (edges == "full" or (u < PATCHES) != (v < PATCHES))
            ]  # fmt: skip
            for h in range(heads):
                terms = {
                    v: torch.exp(
                        (parts["query"][h] @ states[g, u]) @ (parts["key"][h] @ states[g, v])
                        / KEY**0.5
                    )
                    for v in near
                }  # fmt: skip
                for v in near:
                    result[g, u, v] += terms[v] / sum(terms.values()) / heads
    return result


@pytest.mark.parametrize("edges", ["full", "bipartite"])
@pytest.mark.parametrize("heads", [1, 2])
def test_edges_equal_the_printed_equation(
    parts: dict[str, Tensor], edges: graph.Edges, heads: int
) -> None:
    """Edge weights are what training learns and what explanations show."""
    torch.testing.assert_close(edges_of(parts, edges, heads), edge_loop(parts, edges, heads))


@pytest.mark.parametrize("edges", ["full", "bipartite"])
def test_rows_sum_to_one_without_self_loops(parts: dict[str, Tensor], edges: graph.Edges) -> None:
    """A node would keep itself, or padding would be read."""
    weights = edges_of(parts, edges, 2)
    real = torch.cat([parts["image_mask"], parts["text_mask"]], dim=1)
    some = torch.ones_like(real) & real
    if edges == "bipartite":
        some[2] = False  # no tokens: nothing is next to a patch
    torch.testing.assert_close(weights.sum(dim=-1), some.double())
    assert (weights.diagonal(dim1=1, dim2=2) == 0).all()
    assert (weights.masked_select(~real[:, None, :].expand_as(weights)) == 0).all()


def test_a_node_without_neighbours_becomes_zero() -> None:
    """One patch or one token alone: 0 as decided, never NaN, in value and in gradient."""
    states = torch.randn(1, 1, 4, requires_grad=True)
    logits = edge_logits(states[:, :, None], states[:, :, None])
    weights = edge_weights(logits, neighbours(torch.ones(1, 1, dtype=torch.bool)))
    z = mean_readout(convolved(weights, states), torch.ones(1, 1, dtype=torch.bool))
    assert not z.any()
    z.sum().backward()
    assert states.grad is not None
    assert torch.isfinite(states.grad).all()


def test_padding_influences_nothing(parts: dict[str, Tensor]) -> None:
    """A longer text elsewhere in the batch must not matter."""
    results = []
    real = torch.cat([parts["image_mask"], parts["text_mask"]], dim=1)
    for fill in (0.0, 1e3):
        filled = torch.where(real[:, :, None], parts["states"], fill)
        weights = edges_of({**parts, "states": filled}, "full", 2)
        states = convolved(weights, filled @ parts["weight"].T)
        results.append((mean_readout(states, real), states[real]))
    torch.testing.assert_close(results[0], results[1])


def as_edges(weights_VV: Tensor) -> tuple[Tensor, Tensor]:
    """torch-geometric's edge list, from source v to target u, and the weights."""
    target, source = weights_VV.nonzero(as_tuple=True)
    return torch.stack([source, target]), weights_VV[target, source]


def test_a_layer_equals_dense_reference_and_message_passing(parts: dict[str, Tensor]) -> None:
    """A convolution that differs from the printed one, with fixed edge weights."""
    weights = edges_of(parts, "full", 2)
    ours = convolved(weights, parts["states"] @ parts["weight"].T)
    layer = GCNConv(WIDTH, WIDTH, add_self_loops=False, normalize=False, bias=False).double()
    layer.lin.weight.data = parts["weight"]
    for g in range(3):
        dense = [
            sum(weights[g, u, v] * (parts["weight"] @ parts["states"][g, v])
                for v in range(weights.shape[1]))
            for u in range(weights.shape[1])
        ]  # fmt: skip
        torch.testing.assert_close(ours[g], torch.stack(dense).clamp(min=0))
        passed = layer(parts["states"][g], *as_edges(weights[g]))
        torch.testing.assert_close(ours[g], torch.relu(passed))


def test_attention_and_convolution_equal_torch_geometrics_transformer_layer(
    parts: dict[str, Tensor],
) -> None:
    """The edge softmax of an independent library over the same neighbours."""
    layer = TransformerConv(WIDTH, WIDTH, bias=False, root_weight=False).double()
    parts = {**parts, "query": layer.lin_query.weight[None], "key": layer.lin_key.weight[None]}
    weights = edges_of(parts, "full", 1)
    ours = convolved(weights, layer.lin_value(parts["states"]))
    support = joint_neighbours(parts["image_mask"], parts["text_mask"], "full")
    for g in range(3):
        passed, (edges, alpha) = layer(
            parts["states"][g],
            as_edges(support[g].double())[0],
            return_attention_weights=True,
        )
        torch.testing.assert_close(ours[g], torch.relu(passed))
        torch.testing.assert_close(weights[g][edges[1], edges[0]], alpha[:, 0])


def test_permuting_nodes_permutes_the_states(parts: dict[str, Tensor]) -> None:
    """A set of nodes has no order."""
    order = torch.cat([torch.randperm(PATCHES), PATCHES + torch.randperm(4)])
    real = torch.cat([parts["image_mask"], parts["text_mask"]], dim=1)
    results = []
    for some in (torch.arange(PATCHES + 4), order):
        changed = {
            **parts,
            "states": parts["states"][:, some],
            "text_mask": parts["text_mask"][:, some[PATCHES:] - PATCHES],
        }
        states = convolved(edges_of(changed, "full", 2), changed["states"] @ parts["weight"].T)
        results.append((states, mean_readout(states, real[:, some])))
    torch.testing.assert_close(results[1][0], results[0][0][:, order])
    torch.testing.assert_close(results[1][1], results[0][1])


def test_readouts_equal_loops(parts: dict[str, Tensor]) -> None:
    """The embedding is the direction of the mean of real nodes, or of their weighted mean."""
    real, states = torch.cat([parts["image_mask"], parts["text_mask"]], dim=1), parts["states"]
    logits = torch.randn(real.shape, dtype=torch.float64)
    mean, attention = mean_readout(states, real), attention_readout(states, logits, real)
    for g in range(3):
        nodes = [v for v in range(real.shape[1]) if real[g, v]]
        plain = sum(states[g, v] for v in nodes) / len(nodes)
        torch.testing.assert_close(mean[g], plain / plain.norm())
        share = {v: torch.exp(logits[g, v]) for v in nodes}
        weighted = sum(share[v] / sum(share.values()) * states[g, v] for v in nodes)
        torch.testing.assert_close(attention[g], weighted / weighted.norm())
    torch.testing.assert_close(pair_scores(mean, attention), (mean * attention).sum(dim=1))
    nobody = torch.zeros_like(real)
    assert not mean_readout(states, nobody).any()
    assert not attention_readout(states, logits, nobody).any()
