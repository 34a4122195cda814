"""GPUs that a run can be planned for, by their makers' data sheets."""

from __future__ import annotations

from typing import NamedTuple


class Gpu(NamedTuple):
    """`memory`: bytes. `flops`: of dense 16-bit products, a second. `a_node`: GPUs a node."""

    memory: int
    flops: float
    a_node: int


GPUS = {
    "a100-40g": Gpu(40 << 30, 312e12, 8),  # NVIDIA A100 data sheet; p4d.24xlarge
    "a100-80g": Gpu(80 << 30, 312e12, 8),  # p4de.24xlarge
    "h100-80g": Gpu(80 << 30, 989e12, 8),  # NVIDIA H100 SXM data sheet; p5.48xlarge
    "t4": Gpu(16 << 30, 65e12, 1),  # NVIDIA T4 data sheet; g4dn.2xlarge
}
