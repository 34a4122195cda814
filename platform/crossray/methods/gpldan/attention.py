"""Diversified attention: an item is several slots, weighed anew for every partner.

GPLDAN, equations 1 to 3. Shapes here: `S` slots (k of the paper), `D` width of a slot (H of the
paper), `B` items, `C` partners. The paper's X is H x k; here a slot is a row.
"""

import torch
from torch import Tensor, nn


class SlotAttention(nn.Module):
    """Equation 1: `a = softmax((W2 tanh(W1 X))^T)`, one weight a slot."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, hidden, bias=False)
        self.w2 = nn.Linear(hidden, 1, bias=False)

    def forward(self, slots_BSD: Tensor) -> Tensor:
        """`weights_BS`, positive; those of an item sum to 1."""
        return torch.softmax(self.w2(torch.tanh(self.w1(slots_BSD))).squeeze(-1), dim=-1)


def slots_of(features_BL: Tensor, slots: int) -> Tensor:
    """`slots_BSD`: the paper's reshaping of L features to H x k, `view(H, k)`, a slot a row."""
    return features_BL.view(len(features_BL), -1, slots).transpose(1, 2)


def own_vectors(slots_BSD: Tensor, weights_BS: Tensor) -> Tensor:
    """`X a`, `vectors_BD`: an item without a partner.

    Vectors of equations 2 and 3 without their second half, which is what an index can hold.
    """
    return torch.einsum("bsd,bs->bd", slots_BSD, weights_BS)


def pair_weights(own_BS: Tensor, partner_CS: Tensor) -> Tensor:
    """Equations 2 and 3: `a_i + a_j` of all pairs, `weights_BCS`, sums 2, harmless for a cosine.

    `Se(x_i, x_j) = X_i (a_i^x + a_j^x)` of two items of one modality, `Co(x_i, y_j) =
    X_i (a_i^x + a_j^y)` of two modalities (printed for i = j only).
    """
    return own_BS[:, None, :] + partner_CS[None, :, :]


def pair_cosines(x_BSD: Tensor, a_BS: Tensor, y_CSD: Tensor, b_CS: Tensor) -> Tensor:
    r"""The cosine of `Co(x_i, y_j)` and `Co(y_j, x_i)` of all pairs; the same formula for `Se`.

    With $w = a_i + b_j$ and $G_{ij} = X_i^T Y_j$

    $$\frac{w^T G_{ij} w}{\sqrt{(w^T X_i^T X_i w)(w^T Y_j^T Y_j w)}}$$

    so that no pair's vectors are formed: k x k numbers a pair in place of 2 H.

    Returns:
        `cosines_BC` in [-1, 1].
    """
    weights_BCS = pair_weights(a_BS, b_CS)
    gram_BCST = torch.einsum("bsd,ctd->bcst", x_BSD, y_CSD)
    dots_BC = torch.einsum("bcs,bcst,bct->bc", weights_BCS, gram_BCST, weights_BCS)
    x_BC = _squared_lengths(x_BSD, weights_BCS)
    y_BC = _squared_lengths(y_CSD, weights_BCS.transpose(0, 1)).T
    return dots_BC * x_BC.rsqrt() * y_BC.rsqrt()


def _squared_lengths(slots_BSD: Tensor, weights_BCS: Tensor) -> Tensor:
    """`w^T X_i^T X_i w` of all pairs, `squares_BC`."""
    gram_BST = slots_BSD @ slots_BSD.transpose(1, 2)
    return ((weights_BCS @ gram_BST) * weights_BCS).sum(dim=-1).clamp(min=1e-24)
