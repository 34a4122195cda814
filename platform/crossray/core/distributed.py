"""The only collectives of the project.

Every function is the identity on a single process, so methods and losses never see a rank.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """The number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


class _AllGather(torch.autograd.Function):
    """Concatenate the rows of all processes; the gradient sums what every process sends back."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.rows = tensor.shape[0]
        parts = [torch.empty_like(tensor) for _ in range(world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        grad = grads[0].contiguous()
        dist.all_reduce(grad)
        return grad[rank() * ctx.rows : (rank() + 1) * ctx.rows]


def gather(tensor: Tensor) -> Tensor:
    """Rows of all processes in the order of their ranks, with gradient.

    All processes give the same shape. With the loss computed over the gathered batch on every
    process and gradients averaged over processes (as DeepSpeed does), the gradient of N processes
    equals that of the same batch on one.
    """
    if world_size() == 1:
        return tensor
    if not tensor.is_floating_point():
        sent = tensor.to(torch.uint8) if tensor.dtype == torch.bool else tensor
        parts = [torch.empty_like(sent) for _ in range(world_size())]
        dist.all_gather(parts, sent.contiguous())
        return torch.cat(parts).to(tensor.dtype)
    gathered: Tensor = _AllGather.apply(tensor)
    return gathered


def gather_ragged(tensor: Tensor, fill: float = 0.0) -> Tensor:
    """Like `gather`, for tensors whose second dimension differs between processes.

    Shorter ones are padded at the end with `fill`:
    `B x W_r x ...` becomes `sum(B) x max(W_r) x ...`.
    """
    if world_size() == 1:
        return tensor
    width = torch.tensor(tensor.shape[1], device=tensor.device)
    dist.all_reduce(width, op=dist.ReduceOp.MAX)
    missing = int(width) - tensor.shape[1]
    if missing:
        padding = tensor.new_full((tensor.shape[0], missing, *tensor.shape[2:]), fill)
        tensor = torch.cat([tensor, padding], dim=1)
    return gather(tensor)


def gather_objects(value: Any) -> list[Any]:
    """One small picklable value of every process, in the order of their ranks."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def broadcast_object(value: Any) -> Any:
    """The value of the first process, on every process."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def barrier() -> None:
    """Wait for all processes."""
    if world_size() > 1:
        dist.barrier()
