"""What an engine has learnt, in full tensors: any number of processes can go on from it.

DeepSpeed's checkpoints are pickles, a file a process, and those of ZeRO-3 are read back by as many
processes as wrote them. Here every weight and moment is one full tensor in float32, at any stage.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from crossray.core.distributed import rank

WEIGHT = "weight"
NamedParameters = Iterable[tuple[str, nn.Parameter]]


def optimizer_parts(engine: Any) -> list[str]:
    """`WEIGHT`, and what the optimiser keeps a number a weight of, such as Adam's `exp_avg`."""
    return [WEIGHT, *_moments(_inner(engine), _masters(engine))]


def full_part(engine: Any, parameters: NamedParameters, part: str) -> dict[str, Tensor]:
    """One of `optimizer_parts`, by parameter, on the first process; all processes call it."""
    from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

    inner, found = _inner(engine), dict[str, Tensor]()
    _link(engine)
    for name, parameter in parameters:
        if part == WEIGHT:
            value, share = safe_get_full_fp32_param(parameter), parameter.data
        else:
            value = safe_get_full_optimizer_state(parameter, part)
            share = inner.state[parameter][part] if value is None else value
        if rank() == 0:
            found[name] = (share if value is None else value).detach().cpu()
    return found


def restore_part(
    engine: Any, parameters: NamedParameters, part: str, state: Mapping[str, Tensor]
) -> None:
    """Take over what `full_part` gave, on every process."""
    if part == WEIGHT:
        for name, parameter in parameters:
            _restore_weight(parameter, state[name].to(engine.device))
        return
    inner = _inner(engine)
    for master in _masters(engine):
        inner.state[master].setdefault(part, torch.zeros_like(master.data))
    _link(engine)
    for name, parameter in parameters:
        _restore_moment(inner, parameter, part, state[name].to(engine.device))


def _restore_weight(parameter: nn.Parameter, weight: Tensor) -> None:
    from deepspeed.utils import safe_set_full_fp32_param, safe_set_local_fp32_param

    with assembled(parameter, changed=True):
        parameter.data.copy_(weight)
    if hasattr(parameter, "ds_id"):
        safe_set_local_fp32_param(parameter, _own_part(parameter, weight))
    else:
        safe_set_full_fp32_param(parameter, weight)


def _restore_moment(
    inner: torch.optim.Optimizer, parameter: nn.Parameter, moment: str, value: Tensor
) -> None:
    from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

    if hasattr(parameter, "ds_id"):
        safe_set_local_optimizer_state(parameter, _own_part(parameter, value), moment)
    elif hasattr(parameter, "_hp_mapping"):
        safe_set_full_optimizer_state(parameter, value, moment)
    else:
        inner.state[parameter][moment].copy_(value)


def full_state(method: nn.Module) -> dict[str, Tensor]:
    """The state dict of a method on the first process, empty on the others; all call it.

    Where ZeRO-3 has split the parameters each is put together in turn.
    """
    found = {}
    for name, tensor in method.state_dict(keep_vars=True).items():
        with assembled(tensor):
            if rank() == 0:
                found[name] = tensor.detach().cpu().clone()
    return found


def restore_full_state(method: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Take over what `full_state` gave, on every process."""
    for name, tensor in method.state_dict(keep_vars=True).items():
        with assembled(tensor, changed=True):
            tensor.data.copy_(state[name])


def clock_of(engine: Any) -> dict[str, Any]:
    """How far optimiser, schedule and engine are, as JSON values."""
    inner = _inner(engine)
    counts = [*inner.state.values(), *inner.param_groups]
    return {
        "optimizer_steps": next((int(c["step"]) for c in counts if "step" in c), None),
        "lr": [float(group["lr"]) for group in inner.param_groups],
        "schedule": engine.lr_scheduler.state_dict(),
        "global_steps": engine.global_steps,
        "global_samples": engine.global_samples,
        "micro_steps": engine.micro_steps,
    }


def restore_clock(engine: Any, clock: Mapping[str, Any]) -> None:
    """Take over what `clock_of` gave; after the moments, which make room for the steps."""
    inner, steps = _inner(engine), clock["optimizer_steps"]
    if steps is not None:
        for master in _masters(engine):
            kept = inner.state[master].get("step", torch.tensor(0.0))
            inner.state[master]["step"] = (
                torch.full_like(kept, steps) if isinstance(kept, Tensor) else steps
            )
        for group in inner.param_groups:
            if "step" in group:
                group["step"] = steps
    engine.lr_scheduler.load_state_dict(dict(clock["schedule"]))
    for group, lr in zip(inner.param_groups, clock["lr"], strict=True):
        group["lr"] = lr
    engine.global_steps = clock["global_steps"]
    engine.global_samples = clock["global_samples"]
    engine.micro_steps = clock["micro_steps"]


@contextmanager
def assembled(tensor: Tensor, changed: bool = False) -> Iterator[None]:
    """In the block a parameter is complete; what is written into it stays if it is `changed`."""
    if not hasattr(tensor, "ds_id"):
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters([tensor], modifier_rank=0 if changed else None):
        yield


def _link(engine: Any) -> None:
    """Let DeepSpeed find the moments of ZeRO-1 and 2 by parameter.

    It does so once, after the first group's first step, when those of the others are not there.
    """
    optimizer = engine.optimizer
    if hasattr(optimizer, "_lazy_init_hp_params_optimizer_state"):
        optimizer._hp_optimizer_states_linked = False
        optimizer._lazy_init_hp_params_optimizer_state()


def _inner(engine: Any) -> torch.optim.Optimizer:
    """The optimiser that ZeRO wraps, or that of the engine."""
    inner: torch.optim.Optimizer = getattr(engine.optimizer, "optimizer", engine.optimizer)
    return inner


def _masters(engine: Any) -> list[Tensor]:
    """What the optimiser steps: this process's flat parts under ZeRO, else the parameters."""
    flat = getattr(engine.optimizer, "fp32_partitioned_groups_flat", None)
    if flat is not None:
        return list(flat)
    return [tensor for group in _inner(engine).param_groups for tensor in group["params"]]


def _moments(inner: torch.optim.Optimizer, masters: list[Tensor]) -> list[str]:
    state = inner.state.get(masters[0], {})
    return sorted(
        name
        for name, value in state.items()
        if isinstance(value, Tensor) and value.shape == masters[0].shape
    )


def _own_part(parameter: Any, value: Tensor) -> Tensor:
    """This process's part of a parameter that ZeRO-3 splits; the last ones are padded by zeros."""
    size = parameter.ds_tensor.numel()
    part = value.new_zeros(size)
    share = value.flatten()[rank() * size : (rank() + 1) * size]
    part[: share.numel()] = share
    return part
