"""GPLDAN: the weights of its graph terms (alpha, beta) and of its modality classifier (lambda).

The paper searches alpha and beta for each data set, prints no grid, and sets lambda to 0.01.
"""

from crossray.methods.gpldan.recipes import gpldan_pretrained_tiny
from crossray.studies.sweep import Space

SPACE = Space(
    gpldan_pretrained_tiny,
    {
        "method.alpha": [0.01, 0.1, 0.5, 1.0, 5.0, 10.0],
        "method.beta": [0.01, 0.1, 0.5, 1.0],
        "method.adversarial": [0.001, 0.01, 0.1],
    },
    metric="mAP@50[found]",
    protocol="gpldan_labels",
)
