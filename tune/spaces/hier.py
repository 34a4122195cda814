"""HIER: the margin of its ranking losses, its levels' first weights, smoothing and width."""

from ray import tune

from crossray.methods.hier.recipes import hier_pretrained_tiny
from crossray.studies.sweep import Space

SPACE = Space(
    hier_pretrained_tiny,
    {
        "method.level_weights": [(0.4, 0.3, 0.3), (0.6, 0.3, 0.1), (0.2, 0.3, 0.5)],
        "method.margin": tune.uniform(0.05, 0.4),
        "method.smoothing": tune.loguniform(1.0, 16.0),
        "method.embedding": [128, 256, 512],
    },
    metric="R@10",
)
