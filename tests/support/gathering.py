"""What the processes of the gathering tests run; importable by them."""

from __future__ import annotations

import socket
from dataclasses import replace

import torch
import torch.distributed as dist
from safetensors.torch import save_file

from crossray.core.distributed import gather, gather_ragged
from crossray.core.types import Batch, ImageBatch, PretextBatch, TextBatch
from crossray.distill import Distillation
from crossray.encoders.batch_norm import SyncBatchNorm
from crossray.methods.contract import Encoder
from support.tiny import (
    TINY,
    UNIMODAL,
    batch_of,
    distillation,
    pretext_batch,
    taught,
    training_set,
)

VARIANTS = {
    "hier_fusion": replace(TINY["hier"], levels=("global",), gate=False, fusion="coattn"),  # type: ignore[call-arg]
    "hier_masks": replace(TINY["hier"], regions="masks", structures="masks"),  # type: ignore[call-arg]
    "gpldan_normalised": replace(TINY["gpldan"], inputs="normalised"),  # type: ignore[call-arg]
}
UNIMODALS = {"moco": UNIMODAL, "byol": replace(UNIMODAL, objective="byol")}
METHODS = (*sorted(TINY), *VARIANTS, "distillation", *UNIMODALS)


def part_of(batch: Batch | PretextBatch, rows: slice) -> Batch | PretextBatch:
    """Rows of a batch; the text is cut to its own longest row, so widths differ between parts."""
    mask = batch.text.mask_BT[rows]
    width = int(mask.sum(dim=1).max())
    assert batch.image.pixels_BCYX is not None
    assert batch.text.tokens_BT is not None
    image = ImageBatch(
        pixels_BCYX=batch.image.pixels_BCYX[rows],
        masks_BRYX=None if batch.image.masks_BRYX is None else batch.image.masks_BRYX[rows],
    )
    text = TextBatch(
        mask[:, :width],
        batch.text.sentence_BT[rows, :width],
        tokens_BT=batch.text.tokens_BT[rows, :width],
    )
    if isinstance(batch, PretextBatch):
        parts = {name: value[rows] for name, value in vars(batch).items() if name[-1].isupper()}
        parts["targets_BT"] = parts["targets_BT"][:, :width]
        return PretextBatch(image, text, **parts)
    return Batch(
        image,
        text,
        batch.keys_B[rows],
        labels_BC=None if batch.labels_BC is None else batch.labels_BC[rows],
        rows_B=None if batch.rows_B is None else batch.rows_B[rows],
    )


def gradients(name: str, batch: Batch | PretextBatch) -> dict[str, torch.Tensor]:
    """The gradient of a method's summed losses by parameter."""
    torch.manual_seed(0)
    configs = TINY | UNIMODALS | VARIANTS
    built: Encoder = distillation() if name == "distillation" else configs[name].build()
    method = built.prepare(training_set()).double().eval()
    for module in method.modules():
        if isinstance(module, SyncBatchNorm):  # of the heads; a tower's own is each process' own
            module.train()
    for p in method.parameters():  # a gate of zeros would hide its own gradient
        if p.dim() == 2 and not p.detach().any():
            torch.nn.init.normal_(p)
    batch = batch.to("cpu", torch.float64)
    if isinstance(method, Distillation):
        assert isinstance(batch, Batch)
        batch = taught(batch, method)
    sum(method.losses(batch).values()).sum().backward()
    return {n: p.grad for n, p in method.named_parameters() if p.grad is not None}


def global_batch(name: str = "hier") -> Batch | PretextBatch:
    """Six rows of different lengths, two of them of one study; for stage 1 with its draws."""
    torch.manual_seed(1)
    batch = pretext_batch(6) if name in UNIMODALS else batch_of(6, keys=[0, 1, 2, 3, 3, 4])
    if name == "hier_masks":
        masks_BRYX = (torch.rand(6, 3, 8, 8) > 0.6).float()
        masks_BRYX[:2, 1:] = 0
        batch = replace(batch, image=replace(batch.image, masks_BRYX=masks_BRYX))
    batch.text.mask_BT[:3, 7:] = False
    batch.text.sentence_BT[:3, 7:] = -1
    if isinstance(batch, PretextBatch):
        batch.targets_BT[:3, 7:] = -1
    return batch


def worker(rank: int, world: int, folder: str, port: int) -> None:
    """Save every method's gradient of shares of the batch, and what the collectives give."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world
    )
    share = 6 // world
    for name in METHODS:
        rows = slice(rank * share, (rank + 1) * share)
        found = gradients(name, part_of(global_batch(name), rows))
        for grad in found.values():
            dist.all_reduce(grad)
            grad /= world
        if rank == 0:
            save_file(found, f"{folder}/{name}.safetensors")
    result = collected(rank)
    if rank == 0:
        save_file(result, f"{folder}/gathered.safetensors")
    dist.destroy_process_group()


def collected(rank: int) -> dict[str, torch.Tensor]:
    """What one process gets from the collectives; parts grow with the rank."""
    mask = torch.ones(2, rank + 1, dtype=torch.bool)
    numbers = torch.full((2, rank + 1, 3), float(rank + 1))
    return {
        "mask": gather_ragged(mask).to(torch.uint8),
        "numbers": gather_ragged(numbers),
        "ranks": gather(torch.tensor([rank])),
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
