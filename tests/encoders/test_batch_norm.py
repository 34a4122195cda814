"""Batch normalisation over real rows."""

from __future__ import annotations

import torch
from torch import nn

from crossray.encoders.batch_norm import SyncBatchNorm


def test_normalises_as_torch_does_over_the_real_rows() -> None:
    """Padding that counts would shift every word by the share of padding in its batch."""
    ours, theirs = SyncBatchNorm(5), nn.BatchNorm1d(5, affine=False)
    for _ in range(3):
        x, mask = 3 * torch.randn(4, 7, 5) + 10, torch.rand(4, 7) < 0.6
        torch.testing.assert_close(ours(x, mask)[mask], theirs(x[mask]))
    torch.testing.assert_close(ours.mean_D, theirs.running_mean)
    torch.testing.assert_close(ours.variance_D, theirs.running_var)
    torch.testing.assert_close(ours(x.flatten(0, 1)), theirs(x.flatten(0, 1)))
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x)[0], theirs(x[0]))


def test_no_real_row_leaves_the_moments_alone() -> None:
    """A batch without a single sentence must not turn the running moments into NaN."""
    norm, x = SyncBatchNorm(3), torch.randn(2, 4, 3)
    assert norm(x, torch.zeros(2, 4, dtype=torch.bool)).isfinite().all()
    assert norm(x[:1, :1]).isfinite().all()
    assert norm.mean_D.eq(0).all()
    assert norm.variance_D.eq(1).all()


def test_bfloat16_keeps_its_type() -> None:
    """Moments of bfloat16 rows are computed in 32 bits, the result is handed on in 16."""
    x = (torch.randn(64, 2) + 100).bfloat16()
    found = SyncBatchNorm(2)(x)
    assert found.dtype == torch.bfloat16
    wanted = nn.functional.batch_norm(x.float(), None, None, training=True)
    torch.testing.assert_close(found.float(), wanted, atol=0.02, rtol=0.01)
