"""Heads that project a tower's output into the joint embedding space."""

from torch import Tensor, nn

from crossray.encoders.batch_norm import SyncBatchNorm


def projection_head(
    in_dim: int,
    hidden: int,
    out_dim: int,
    dropout: float = 0.0,
    batch_norm: bool = False,
    activation: type[nn.Module] = nn.GELU,
) -> nn.Sequential:
    """Two-layer perceptron, linear-activation-dropout-linear; z_BD comes out un-normalised.

    The non-linear projection of SimCLR (Chen et al., 2020, section 4.2), by default with a GELU for
    the ReLU; `batch_norm` normalises the hidden layer before it, as SimCLR's code does.
    """
    first = nn.Linear(in_dim, hidden, bias=not batch_norm)  # the norm would take a bias away
    norm = [SyncBatchNorm(hidden)] if batch_norm else []
    last = nn.Linear(hidden, out_dim)
    return nn.Sequential(first, *norm, activation(), nn.Dropout(dropout), last)


class PartProjection(nn.Module):
    """Dropout, linear map, batch normalisation: for parts of images and texts, such as words."""

    def __init__(self, in_dim: int, out_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(in_dim, out_dim, bias=False)
        self.norm = SyncBatchNorm(out_dim)

    def forward(self, parts_BPC: Tensor, mask_BP: Tensor | None = None) -> Tensor:
        """`parts_BPD`, un-normalised in length; parts outside the mask do not count as batch."""
        projected: Tensor = self.norm(self.linear(self.dropout(parts_BPC)), mask_BP)
        return projected
