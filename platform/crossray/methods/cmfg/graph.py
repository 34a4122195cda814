"""The equations of CMFG's graph (docs/methods/cmfg.md), pure functions.

Shape suffixes here: `G` graphs, `V` and `U` nodes of a graph, `R` patches, `T` tokens, `E` the
width d_k of an attention head.
"""

from math import sqrt
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Edges = Literal["full", "bipartite"]


def neighbours(mask_GV: Tensor) -> Tensor:
    """`support_GVV`: bool, M(u) of every node u within one modality.

    All other real nodes, never u itself; a node outside of `mask_GV` has and is no neighbour.
    """
    itself_VV = torch.eye(mask_GV.shape[1], dtype=torch.bool, device=mask_GV.device)
    return mask_GV[:, :, None] & mask_GV[:, None, :] & ~itself_VV


def joint_neighbours(image_mask_GR: Tensor, text_mask_GT: Tensor, edges: Edges) -> Tensor:
    """`support_GVV`: bool, M(u) in the graph of an image and a text, patches first.

    `full` joins every node with every other one, `bipartite` only patches with tokens.
    """
    support_GVV = neighbours(torch.cat([image_mask_GR, text_mask_GT], dim=1))
    if edges == "full":
        return support_GVV
    patches, tokens = image_mask_GR.shape[1], text_mask_GT.shape[1]
    is_patch_V = torch.arange(patches + tokens, device=support_GVV.device) < patches
    return support_GVV & (is_patch_V[:, None] ^ is_patch_V[None, :])


def edge_logits(query_GUHE: Tensor, key_GVHE: Tensor) -> Tensor:
    r"""`logits_GHUV`: $(W_Q h_u) \cdot (W_K h_v) / \sqrt{d_k}$ before the softmax."""
    scaled_GUHE = query_GUHE / sqrt(query_GUHE.shape[-1])
    return scaled_GUHE.transpose(1, 2) @ key_GVHE.permute(0, 2, 3, 1)


def edge_weights(logits_GHVV: Tensor, support_GVV: Tensor) -> Tensor:
    r"""`weights_GVV`: the edges of a graph, the mean over its heads.

    $$e_{uv} = \mathrm{softmax}_{v \in M(u)} \frac{(W_Q h_u) \cdot (W_K h_v)}{\sqrt{d_k}}$$

    Rows sum to 1, and to 0 where M(u) is empty; outside of M(u) the weight is exactly 0.
    """
    support_GHVV = support_GVV[:, None]
    lowest = torch.finfo(logits_GHVV.dtype).min
    weights_GHVV = torch.softmax(logits_GHVV.masked_fill(~support_GHVV, lowest), dim=-1)
    return (weights_GHVV * support_GHVV).mean(dim=1)


def convolved(weights_GVV: Tensor, message_GVD: Tensor) -> Tensor:
    r"""`states_GVD`: one graph convolution, as printed.

    $$h_u^{(l+1)} = \mathrm{ReLU}\Big( \sum_{v \in M(u)} e_{uv}\, W^{(l)} h_v^{(l)} \Big)$$

    Args:
        weights_GVV: e of `edge_weights`.
        message_GVD: $W^{(l)} h_v^{(l)}$ of every node.
    """
    return torch.relu(weights_GVV @ message_GVD)


def mean_readout(states_GVD: Tensor, mask_GV: Tensor) -> Tensor:
    """`z_GD`: unit length, the direction of the mean of the real nodes.

    Zero where there is none, or where all of them are zero.
    """
    total_GD = (states_GVD * mask_GV[:, :, None]).sum(dim=1)
    return functional.normalize(total_GD / mask_GV.sum(dim=1, keepdim=True).clamp(min=1), dim=-1)


def attention_readout(states_GVD: Tensor, logits_GV: Tensor, mask_GV: Tensor) -> Tensor:
    """`z_GD`: as `mean_readout`, weighted by the softmax of `logits_GV` over the real nodes."""
    lowest = torch.finfo(logits_GV.dtype).min
    weights_GV = torch.softmax(logits_GV.masked_fill(~mask_GV, lowest), dim=-1) * mask_GV
    return functional.normalize((weights_GV[:, None] @ states_GVD)[:, 0], dim=-1)


def pair_scores(image_GD: Tensor, text_GD: Tensor) -> Tensor:
    r"""`scores_G`: $s(i, t) = z_I \cdot z_T$ of one graph each."""
    return (image_GD * text_GD).sum(dim=-1)


def all_scores(image_BD: Tensor, text_CD: Tensor) -> Tensor:
    r"""`scores_BC`: $s(i, t) = z_I \cdot z_T$ of every image with every text."""
    return image_BD @ text_CD.T
