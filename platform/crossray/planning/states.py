"""Bytes of weights, gradients and optimiser state on each worker, by ZeRO stage.

Rajbhandari et al. 2020 (ZeRO), section 3.1 and 5: what is shared out over N workers. Stages 2 and 3
in bfloat16 are DeepSpeed's estimators.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from crossray.methods.recipe import GATHERED

STAGES = (0, 1, 2, 3)


class Size(NamedTuple):
    """Numbers of a model. `largest`: parameters of the largest layer, complete even in ZeRO-3."""

    parameters: int
    trained: int
    largest: int


class States(NamedTuple):
    """Bytes on one worker's device, and in the host's memory for all its workers."""

    device: int
    host: int


def size_of(model: nn.Module) -> Size:
    """The numbers of a model, which may be on the `meta` device."""
    parameters = list(model.parameters())
    layers = (sum(p.numel() for p in m.parameters(recurse=False)) for m in model.modules())
    return Size(
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        max(layers),
    )


def model_states(
    size: Size, stage: int, bf16: bool, offload: bool, nodes: int, a_node: int
) -> States:
    """What each worker holds of a model trained by AdamW.

    In bfloat16: weights 2 bytes, gradients 2 and again 4 in single precision, weights in single
    precision 4, two moments 8. In single precision: weights 4, gradients 4, moments 8, and from
    stage 1 on a copy of the weights, 4. An offloaded optimiser has separate gradients, 4. Frozen
    parameters are weights only.
    """
    workers = nodes * a_node
    frozen = (size.parameters - size.trained) * (2 if bf16 else 4)
    if stage == 3:
        frozen //= workers
    if bf16 and stage >= 2:
        return _deepspeed(size, stage, offload, nodes, a_node, frozen)
    weights, gradients, moments = (2, 6, 12) if bf16 else (4, 4, 8 if stage == 0 else 12)
    shared = [moments if stage >= 1 else 0, gradients if stage >= 2 else 0]
    unshared = weights + gradients + moments - sum(shared)
    if stage == 3:
        unshared, shared = 0, [*shared, weights]
    host = 0
    if offload and stage >= 1:
        host = int(size.trained * (moments + 4) / workers) * a_node
        shared.remove(moments)
    device = size.trained * unshared + int(size.trained * sum(shared) / workers) + frozen
    if stage == 3:
        at_once = min(size.parameters, GATHERED)
        device += (size.largest + at_once) * weights + at_once * 4  # gradients on their way
    return States(device, host)


def _deepspeed(
    size: Size, stage: int, offload: bool, nodes: int, a_node: int, frozen: int
) -> States:
    from deepspeed.runtime.zero import stage3, stage_1_and_2

    shape = {"num_gpus_per_node": a_node, "num_nodes": nodes, "cpu_offload": offload}
    if stage == 2:
        host, device = stage_1_and_2.estimate_zero2_model_states_mem_needs(size.trained, **shape)
    else:
        host, device, _ = stage3.estimate_zero3_model_states_mem_needs(
            size.trained, size.largest, **shape, cpu_offload_params=False, zero_init=False
        )
    return States(int(device) + frozen, int(host))
