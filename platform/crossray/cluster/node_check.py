"""Is this node fit to train?

`python -m crossray.cluster.node_check --gpus 8` counts the GPUs, adds numbers up over all of them
with NCCL, and compiles the DeepSpeed op that training needs; with `--gpus 0` the same with gloo
between two processes on the CPU. A cluster's set-up commands run it, so that a broken driver shows
when a node starts and not in mid-training.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass

import torch
import torch.distributed as dist
import tyro
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn

from crossray.core.errors import CrossRayError


@dataclass(frozen=True)
class NodeCheck:
    """Check what training needs of this node.

    Attributes:
        gpus: how many it must have; 0 checks a node that trains on its CPU.
    """

    gpus: int

    def run(self) -> None:
        """Print a line for each part that works.

        Raises:
            CrossRayError: one does not.
        """
        there = torch.cuda.device_count()
        if there < self.gpus:
            raise CrossRayError(
                f"this node has {there} GPUs that torch {torch.__version__} can use and "
                f"{self.gpus} are expected; look at `nvidia-smi` and at the driver's version."
            )
        print(f"GPUs: {self.gpus} of {there}", flush=True)
        backend, processes = ("nccl", self.gpus) if self.gpus else ("gloo", 2)
        self._add_up(backend, processes)
        print(f"{backend}: {processes} processes add up", flush=True)
        name = self._compile()
        print(f"DeepSpeed: {name} is compiled", flush=True)

    def _add_up(self, backend: str, processes: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        try:
            spawn(_add_up, (backend, processes, port), processes)  # type: ignore[no-untyped-call]
        except ProcessExitedException as error:
            raise CrossRayError(
                f"{backend} does not add up over {processes} processes ({error}); look at what "
                "they printed above, and run again with NCCL_DEBUG=INFO."
            ) from error
        except ProcessRaisedException as error:
            reason = str(error).strip().splitlines()[-1]
            raise CrossRayError(
                f"{backend} does not add up over {processes} processes ({reason}); run again with "
                "NCCL_DEBUG=INFO for what it says itself."
            ) from error

    def _compile(self) -> str:
        os.environ.setdefault("DS_ACCELERATOR", "cuda" if self.gpus else "cpu")
        builders = "deepspeed.ops.op_builder"
        where, name = (
            (builders, "FusedAdamBuilder")
            if self.gpus
            else (f"{builders}.cpu.comm", "ShareMemCommBuilder")
        )
        # In another process: DeepSpeed changes torch for the process it is imported in.
        command = f"from {where} import {name}; {name}().load(verbose=False)"
        run = subprocess.run(  # noqa: S603 (a fixed command)
            [sys.executable, "-c", command], capture_output=True, text=True, check=False
        )
        if run.returncode:
            reason = (run.stderr.strip().splitlines() or ["no output"])[-1]
            raise CrossRayError(
                f"DeepSpeed cannot compile {name} ({reason}); install a C++ compiler, ninja and "
                "the CUDA toolkit of torch's version."
            )
        return name.removesuffix("Builder")


def _add_up(rank: int, backend: str, processes: int, port: int) -> None:
    """One process of the check: everybody's rank summed, on its device."""
    if backend == "nccl":
        torch.cuda.set_device(rank)
    dist.init_process_group(backend, f"tcp://127.0.0.1:{port}", rank=rank, world_size=processes)
    total = torch.full((1 << 20,), float(rank), device="cuda" if backend == "nccl" else "cpu")
    dist.all_reduce(total)
    expected = processes * (processes - 1) / 2
    if not bool((total == expected).all()):
        raise ValueError(f"process {rank} got {float(total[0])} in place of {expected}")
    dist.destroy_process_group()


def main() -> None:
    """The command."""
    try:
        tyro.cli(NodeCheck).run()
    except CrossRayError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
