"""How well a model of self-supervision solves its tasks on the validation split."""

from collections import defaultdict
from collections.abc import Sequence

import torch

from crossray.data.pretext.samples import PretextSamples
from crossray.methods.contract import Unimodal
from crossray.model_evaluation.distributed_map import blocks_of, shared_out
from crossray.model_evaluation.validation import Quality

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

    def measure(rows: Sequence[int]) -> dict[tuple[str, str], list[float]]:
        batch = samples.collate([samples[0, row] for row in rows]).to(device, dtype)
        return {
            (modality, name): pair.tolist()
            for modality, part in method.measure(batch).items()
            for name, pair in part.items()
        }

    blocks = blocks_of(range(min(items, len(samples))), ITEMS_AT_A_TIME)
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for measured in shared_out(blocks, measure):
        for key, (total, count) in measured.items():
            sums[key][0] += total
            sums[key][1] += count
    quality: Quality = defaultdict(dict)
    for (modality, name), (total, count) in sums.items():
        quality[modality][name] = total / max(1.0, count)
    for modality, shares in method.counted().items():
        quality[modality].update(shares)
    return dict(quality)
