"""MMDL: its sizes, its dropout, and how many of the training studies have a report (coverage).

Make the pairs first, beside those of the sweep:
`crossray split coverage PAIRS --coverage 0.5 --out coverage-50`, and `coverage-25` likewise.
"""

from crossray.methods.mmdl.recipes import mmdl_tiny
from crossray.studies.sweep import Space

SPACE = Space(
    mmdl_tiny,
    {
        "pairs": ["coverage-50", "coverage-25"],
        "method.embedding": [32, 64, 128],
        "method.dropout": [0.0, 0.3],
        "method.fixed_coupling": [False, True],
    },
    metric="mAP@10[found]",
)
