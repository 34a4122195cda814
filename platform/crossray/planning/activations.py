"""What a step keeps for its backward pass and computes, measured on a few items and scaled up."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.methods.contract import Trainable

BATCHES = (2, 4, 6)


class Growth(NamedTuple):
    """`item` for each item of a worker's batch, `pair` for each of its items with each of all."""

    item: float
    pair: float

    def at(self, local: int, batch: int) -> int:
        """The amount for `local` items on a worker of `batch` in all."""
        return int(self.item * local + self.pair * local * batch)


class Step(NamedTuple):
    """Of one worker's forward pass: bytes kept for the backward pass, and operations."""

    kept: Growth
    flops: Growth


def measure(method: Trainable[Any]) -> Step:
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
