"""Memory and operations of a training step on one worker.

What it keeps for its backward pass and computes is measured on a few items and scaled up. Weights,
gradients and optimiser state follow from the ZeRO stage (Rajbhandari et al. 2020, sections 3.1 and
5): what is divided over N workers. Stages 2 and 3 in bfloat16 are DeepSpeed's estimators.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.methods.contract import Trainable
from crossray.methods.recipe import GATHERED

BATCHES = (2, 4, 6)
STAGES = (0, 1, 2, 3)


class Growth(NamedTuple):
    """`item` for each item of a worker's batch, `pair` for each of its items with each of all."""

    item: float
    pair: float

    def at(self, items: int, batch: int) -> int:
        """The amount for `items` items on a worker of `batch` in all."""
        return int(self.item * items + self.pair * items * batch)


class Step(NamedTuple):
    """Of one worker's forward pass: bytes kept for the backward pass, and operations."""

    kept: Growth
    flops: Growth


def measure_step(method: Trainable[Any]) -> Step:
    """Run batches of 2, 4 and 6 random items on the CPU, in single precision."""
    method.train()
    kept, flops = [], []
    for size in BATCHES:
        batch = random_batch(method, size)
        kept.append(_kept(method, batch))
        with FlopCounterMode(display=False) as counter:
            method.losses(batch)
        flops.append(counter.get_total_flops())
    return Step(_growth(kept), _growth(flops))


def _kept(method: Trainable[Any], batch: Batch) -> int:
    """Bytes of the distinct tensors that autograd saves, parameters left out."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in method.parameters()}
    seen: dict[int, int] = {}
    held = []  # a storage that is freed in between would give its address to another

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            seen[storage.data_ptr()] = storage.nbytes()
            held.append(storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        torch.stack(list(method.losses(batch).values())).sum()
    return sum(seen.values())


def _growth(amounts: list[int]) -> Growth:
    sizes = np.array(BATCHES, dtype=float)
    (item, pair), *_ = np.linalg.lstsq(
        np.stack([sizes, sizes**2], axis=1), np.array(amounts, dtype=float), rcond=None
    )
    return Growth(max(0.0, float(item)), max(0.0, float(pair)))


def random_batch(method: Trainable[Any], size: int) -> Batch:
    """Random pixels, or maps where there is no tower, and texts of the longest length."""
    image, text = method.config.image, method.config.text
    tokens = text.max_tokens
    sentence_BT = torch.arange(tokens).div(16, rounding_mode="floor").repeat(size, 1)
    sentence_BT[:, 0] = sentence_BT[:, -1] = -1
    names = method.config.label_names
    return Batch(
        ImageBatch(pixels_BCYX=torch.randn(size, 3, image.image_size, image.image_size)),
        TextBatch(
            torch.ones(size, tokens, dtype=torch.bool),
            sentence_BT,
            tokens_BT=torch.randint(0, text.vocab_size, (size, tokens)),
        ),
        torch.arange(size),
        labels_BC=torch.ones(size, len(names)) if names else None,
        rows_B=torch.arange(size),
    )


class Size(NamedTuple):
    """Numbers of a model. `largest`: parameters of the largest layer, undivided even in ZeRO-3."""

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
    stage 1 on a copy of the weights, 4. An offloaded optimiser has a copy of the gradients, 4.
    Frozen parameters are weights only.
    """
    workers = nodes * a_node
    frozen = (size.parameters - size.trained) * (2 if bf16 else 4)
    if stage == 3:
        frozen //= workers
    if bf16 and stage >= 2:
        return _deepspeed(size, stage, offload, nodes, a_node, frozen)
    weights, gradients, moments = (2, 6, 12) if bf16 else (4, 4, 8 if stage == 0 else 12)
    shared = [moments if stage >= 1 else 0, gradients if stage >= 2 else 0]
    undivided = weights + gradients + moments - sum(shared)
    if stage == 3:
        undivided, shared = 0, [*shared, weights]
    host = 0
    if offload and stage >= 1:
        host = int(size.trained * (moments + 4) / workers) * a_node
        shared.remove(moments)
    device = size.trained * undivided + int(size.trained * sum(shared) / workers) + frozen
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
