"""MMDL's fully connected layers, which images and texts share as far as their widths allow."""

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossray.core.modality import Modality

Sharing = Literal["own_first", "pad"]
OutAct = Literal["relu", "l2", "linear"]
OUT_ACTS: tuple[OutAct, ...] = get_args(OutAct)


class SharedEncoder(nn.Module):
    """Three fully connected layers, ReLU between them; the later two are one for all modalities.

    `own_first` gives each modality a first layer; `pad` fills the narrower features up with
    zeros, so that one first layer serves both.
    """

    def __init__(
        self,
        widths: Mapping[Modality, int],
        hidden: int,
        out_dim: int,
        sharing: Sharing = "own_first",
        out_act: OutAct = "relu",
        dropout: float = 0.0,
    ) -> None:
        """`widths`: of the features of each modality that there is."""
        super().__init__()
        self.out_act, self.width = out_act, max(widths.values())
        if sharing == "pad":
            shared = nn.Linear(self.width, hidden)
            self.first = nn.ModuleDict({"shared": shared})
        else:
            self.first = nn.ModuleDict(
                {name: nn.Linear(width, hidden) for name, width in widths.items()}
            )
        self.second, self.third = nn.Linear(hidden, hidden), nn.Linear(hidden, out_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features_BC: Tensor, modality: Modality) -> Tensor:
        """`h_BD`."""
        if "shared" in self.first:
            missing = self.width - features_BC.shape[1]
            hidden_BH = self.first["shared"](functional.pad(features_BC, (0, missing)))
        else:
            hidden_BH = self.first[modality](features_BC)
        hidden_BH = self.dropout(functional.relu(hidden_BH))
        hidden_BH = self.dropout(functional.relu(self.second(hidden_BH)))
        return activated(self.third(hidden_BH), self.out_act)


def activated(outputs_BD: Tensor, out_act: OutAct) -> Tensor:
    """What follows the last layer: the ReLU as printed, unit length as in SDML, or nothing."""
    if out_act == "relu":
        return functional.relu(outputs_BD)
    return functional.normalize(outputs_BD, dim=-1) if out_act == "l2" else outputs_BD


def coupling_matrix(rows: int, classes: int, fixed: bool) -> nn.Parameter:
    """P, `coupling_DC`, with orthonormal columns at the start.

    `fixed`: the first columns of an orthogonal square matrix, never trained (SDML).
    """
    if not fixed:
        return nn.Parameter(nn.init.orthogonal_(torch.empty(rows, classes)))
    square = nn.init.orthogonal_(torch.empty(rows, rows))
    return nn.Parameter(square[:, :classes].clone(), requires_grad=False)
