"""MMACH: code length, margins (None: a quarter of the bits each) and quantisation weight alpha."""

from crossray.methods.mmach.recipes import mmach_pretrained_tiny
from crossray.studies.sweep import Space

SPACE = Space(
    mmach_pretrained_tiny,
    {
        "method.bits": [16, 32, 64, 128],
        "method.alpha": [0.0, 0.2, 0.6, 1.0],
        "method.margins": [None, (4.0, 4.0, 4.0, 4.0), (8.0, 8.0, 8.0, 8.0)],
    },
    metric="mAP@all",
)
