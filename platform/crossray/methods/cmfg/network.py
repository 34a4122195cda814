"""What is learned in CMFG's graph: edge attention, convolutions, readout; one graph, two modes."""

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from crossray.core.modality import MODALITIES, Modality, other
from crossray.methods.cmfg import graph


class Ends(NamedTuple):
    """What the edges of a node set are made of, before any pairing.

    `mask`: bool, [G, V]. `within`: logits of the edges among themselves, [G, H, V, V]. `query` and
    `key`: for edges to and from the other modality, [G, V, H, E].
    """

    mask: Tensor
    within: Tensor
    query: Tensor
    key: Tensor


class Nodes(NamedTuple):
    """Node sets of one modality: h and W^(0) h, [G, V, D] each, and the ends of their edges."""

    states: Tensor
    message: Tensor
    ends: Ends

    def rows(self, index_P: Tensor, width: int | None = None) -> "Nodes":
        """The node sets of P pairs, cut to their first `width` nodes."""
        mask, within, query, key = (part[index_P] for part in self.ends)
        ends = Ends(mask[:, :width], within[..., :width, :width], query[:, :width], key[:, :width])
        return Nodes(self.states[index_P][:, :width], self.message[index_P][:, :width], ends)


class EdgeAttention(nn.Module):
    """W_Q and W_K, shared by both modalities or one pair of them a type of edge."""

    def __init__(self, width: int, key_width: int, heads: int, per_edge_type: bool) -> None:
        super().__init__()
        self.heads, self.per_edge_type = heads, per_edge_type
        modalities: tuple[Modality, ...] = ("image", "text")
        names = {self._name(u, v) for u in modalities for v in modalities}
        size = (width, heads * key_width)
        self.query = nn.ModuleDict({n: nn.Linear(*size, bias=False) for n in sorted(names)})
        self.key = nn.ModuleDict({n: nn.Linear(*size, bias=False) for n in sorted(names)})

    def _name(self, u: Modality, v: Modality) -> str:
        return f"{u}_{v}" if self.per_edge_type else "shared"

    def queries(self, states_GVD: Tensor, u: Modality, v: Modality) -> Tensor:
        """`query_GVHE`: $W_Q h_u$ of nodes of modality u on edges to v."""
        projected: Tensor = self.query[self._name(u, v)](states_GVD)
        return projected.view(*states_GVD.shape[:2], self.heads, -1)

    def keys(self, states_GVD: Tensor, u: Modality, v: Modality) -> Tensor:
        """`key_GVHE`: $W_K h_v$ of nodes of modality v on edges from u."""
        projected: Tensor = self.key[self._name(u, v)](states_GVD)
        return projected.view(*states_GVD.shape[:2], self.heads, -1)

    def within(self, states_GVD: Tensor, modality: Modality) -> Tensor:
        """`logits_GHVV` of the edges among nodes of one modality."""
        return graph.edge_logits(
            self.queries(states_GVD, modality, modality), self.keys(states_GVD, modality, modality)
        )


class GraphLayer(nn.Module):
    """W^(l), and the step as printed or with residual and LayerNorm."""

    def __init__(self, width: int, residual_norm: bool) -> None:
        super().__init__()
        self.weight = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width) if residual_norm else None

    def forward(self, states_GVD: Tensor, weights_GVV: Tensor, message_GVD: Tensor) -> Tensor:
        """The next states; `message_GVD` is `self.weight(states_GVD)`."""
        step_GVD = graph.convolved(weights_GVV, message_GVD)
        if self.norm is None:
            return step_GVD
        result: Tensor = self.norm(states_GVD + step_GVD)
        return result


class GraphNetwork(nn.Module):
    """Convolutions over a graph of one item (intra-modal edges), or of an image and a text.

    Both use the same weights: without its cross edges, the graph of a pair is that of its items.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        key_width: int,
        heads: int,
        per_edge_type: bool,
        residual_norm: bool,
        dynamic: bool,
        attention_pooling: bool,
    ) -> None:
        super().__init__()
        self.attention = EdgeAttention(width, key_width, heads, per_edge_type)
        self.layers = nn.ModuleList([GraphLayer(width, residual_norm) for _ in range(layers)])
        self.dynamic = dynamic
        self.readout = nn.ModuleDict(
            {name: nn.Linear(width, 1, bias=False) for name in MODALITIES if attention_pooling}
        )

    def nodes(self, states_GVD: Tensor, mask_GV: Tensor, modality: Modality) -> Nodes:
        """Everything about h^(0) that does not depend on the pairing, once an item, not a pair."""
        message_GVD = self._layer(0).weight(states_GVD)
        return Nodes(states_GVD, message_GVD, self.ends(states_GVD, mask_GV, modality))

    def ends(self, states_GVD: Tensor, mask_GV: Tensor, modality: Modality) -> Ends:
        """The ends of the edges of node sets of one modality."""
        opposite = other(modality)
        return Ends(
            mask_GV,
            self.attention.within(states_GVD, modality),
            self.attention.queries(states_GVD, modality, opposite),
            self.attention.keys(states_GVD, opposite, modality),
        )

    def embed(self, nodes: Nodes, modality: Modality) -> Tensor:
        """`z_GD` of single items, mode `dual`: only edges within the item."""
        mask_GV = nodes.ends.mask
        support_GVV = graph.neighbours(mask_GV)

        def again(states_GVD: Tensor) -> Tensor:
            return graph.edge_weights(self.attention.within(states_GVD, modality), support_GVV)

        weights_GVV = graph.edge_weights(nodes.ends.within, support_GVV)
        states_GVD = self._convolve(nodes.states, nodes.message, weights_GVV, again)
        return self._read(states_GVD, mask_GV, modality)

    def embed_pairs(self, images: Nodes, texts: Nodes, edges: graph.Edges) -> tuple[Tensor, Tensor]:
        """`image_PD` and `text_PD` of P pairs, mode `pairwise`: each has read the other."""
        patches = images.states.shape[1]
        image_mask, text_mask = images.ends.mask, texts.ends.mask

        def again(states_PVD: Tensor) -> Tensor:
            image_PRD, text_PTD = states_PVD[:, :patches], states_PVD[:, patches:]
            return pair_edges(
                self.ends(image_PRD, image_mask, "image"),
                self.ends(text_PTD, text_mask, "text"),
                edges,
            )

        states_PVD = self._convolve(
            torch.cat([images.states, texts.states], dim=1),
            torch.cat([images.message, texts.message], dim=1),
            pair_edges(images.ends, texts.ends, edges),
            again,
        )
        return (
            self._read(states_PVD[:, :patches], image_mask, "image"),
            self._read(states_PVD[:, patches:], text_mask, "text"),
        )

    def _convolve(
        self,
        states_GVD: Tensor,
        message_GVD: Tensor,
        weights_GVV: Tensor,
        edges: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """All layers; `edges` gives the weights anew where they are dynamic."""
        for number in range(len(self.layers)):
            layer = self._layer(number)
            if number:
                message_GVD = layer.weight(states_GVD)
                weights_GVV = edges(states_GVD) if self.dynamic else weights_GVV
            states_GVD = layer(states_GVD, weights_GVV, message_GVD)
        return states_GVD

    def _layer(self, number: int) -> GraphLayer:
        return cast(GraphLayer, self.layers[number])

    def _read(self, states_GVD: Tensor, mask_GV: Tensor, modality: Modality) -> Tensor:
        if modality not in self.readout:
            return graph.mean_readout(states_GVD, mask_GV)
        logits_GV = self.readout[modality](states_GVD)[:, :, 0]
        return graph.attention_readout(states_GVD, logits_GV, mask_GV)


def pair_edges(image: Ends, text: Ends, edges: graph.Edges) -> Tensor:
    """`weights_PVV` of the graphs of P images with P texts, patches first."""
    to_text, to_image = (
        graph.edge_logits(image.query, text.key),
        graph.edge_logits(text.query, image.key),
    )
    upper = torch.cat([image.within, to_text], dim=3)
    lower = torch.cat([to_image, text.within], dim=3)
    support_PVV = graph.joint_neighbours(image.mask, text.mask, edges)
    return graph.edge_weights(torch.cat([upper, lower], dim=2), support_PVV)


def pairwise_scores(
    network: GraphNetwork,
    images: Nodes,
    texts: Nodes,
    pairs_P2: Tensor,
    edges: graph.Edges,
    block: int,
) -> Tensor:
    """`scores_P`: s(i, t) of the (image, text) pairs, each from its graph.

    `block` pairs at a time, texts of like length together, so that little is computed for padding;
    in training each block's activations are computed again in the backward pass.
    """
    place_T = torch.arange(1, texts.ends.mask.shape[1] + 1, device=texts.ends.mask.device)
    length_C = (texts.ends.mask * place_T).amax(dim=1)
    order_P = length_C[pairs_P2[:, 1]].argsort()

    def score(pairs: Tensor, width: int) -> Tensor:
        image, text = pairs.unbind(dim=1)
        return graph.pair_scores(
            *network.embed_pairs(images.rows(image), texts.rows(text, width), edges)
        )

    parts = []
    for pairs in torch.split(pairs_P2[order_P], block):
        width = max(int(length_C[pairs[:, 1]].max()), 1) if len(pairs) else 1
        if torch.is_grad_enabled() and len(pairs_P2) > block:
            parts.append(checkpoint(score, pairs, width, use_reentrant=False))
        else:
            parts.append(score(pairs, width))
    return torch.cat(parts)[order_P.argsort()]
