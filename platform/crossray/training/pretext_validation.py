"""How well a model of self-supervision solves its tasks on the validation split."""

from __future__ import annotations

from collections import defaultdict

import torch

from crossray.core.distributed import gather_objects, rank, world_size
from crossray.data.pretext.samples import PretextSamples
from crossray.methods.contract import Unimodal
from crossray.training.validation import Quality

ITEMS_AT_A_TIME = 32


def validate_pretext(
    method: Unimodal,
    samples: PretextSamples,
    items: int,
    device: torch.device | str,
    dtype: torch.dtype,
) -> Quality:
    """The means of what the method measures, and what it has counted in training.

    Looks at the first `items` rows, as they are drawn for epoch 0, so that epochs are compared on
    the same draws. Every process takes a share of them, and all get the same answer.
    """
    method.eval()
    own = list(range(min(items, len(samples))))[rank() :: world_size()]
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for start in range(0, len(own), ITEMS_AT_A_TIME):
        rows = own[start : start + ITEMS_AT_A_TIME]
        batch = samples.collate([samples[0, row] for row in rows]).to(device, dtype)
        for modality, part in method.measure(batch).items():
            for name, pair in part.items():
                total, count = pair.tolist()
                sums[modality, name][0] += total
                sums[modality, name][1] += count
    quality: Quality = defaultdict(dict)
    found = gather_objects(dict(sums))
    for modality, name in dict.fromkeys(key for part in found for key in part):
        total, count = (sum(part[modality, name][n] for part in found if (modality, name) in part)
                        for n in (0, 1))  # fmt: skip
        quality[modality][name] = total / max(1.0, count)
    for modality, shares in method.counted().items():
        quality[modality].update(shares)
    return dict(quality)
