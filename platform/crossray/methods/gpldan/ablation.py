"""The ablation of GPLDAN: Table 3 of the paper, and the grid of alpha and beta that it searches."""

from __future__ import annotations

from itertools import pairwise, product

from crossray.evaluation.significance.claims import Claim
from crossray.methods.ablation import Ablation, vary
from crossray.methods.gpldan.model import GpldanConfig
from crossray.methods.gpldan.recipes import gpldan_tiny
from crossray.methods.recipe import Recipe

ALPHAS = (0.01, 0.1, 0.5, 1.0, 5.0, 10.0)
BETAS = (0.01, 0.1, 0.5, 1.0)
METRIC = "mAP@50[found]"
RISING = ("paired", "mutual", "unpaired", "graph-pattern", "classifier", "full")
CLAIMS = tuple(Claim(better, worse, METRIC, "Table 3") for worse, better in pairwise(RISING))


def variants(base: Recipe) -> dict[str, Recipe]:
    """Table 3, from the paired distances alone to the full system; inputs; the grid of weights.

    Only the full system has slots and their attention; the other rows of the table compare all L
    features of an item directly. Weights of losses, where a row has the loss, are those of `base`.
    The paper searches alpha and beta for each data set and prints no values of its grid.
    """
    method = base.method
    assert isinstance(method, GpldanConfig)
    full = vary(base, slots=1, embedding=method.width)  # without diversified attention
    table = {
        "paired": vary(full, alpha=0.0, beta=0.0, adversarial=0.0),
        "mutual": vary(full, alpha=0.0, adversarial=0.0),
        "unpaired": vary(full, beta=0.0, adversarial=0.0),
        "graph-pattern": vary(full, adversarial=0.0),
        "classifier": full,
        "full": base,
    }
    grid = {
        f"alpha-{alpha:g}-beta-{beta:g}".replace(".", "p"): vary(base, alpha=alpha, beta=beta)
        for alpha, beta in product(ALPHAS, BETAS)
        if (alpha, beta) != (method.alpha, method.beta)
    }
    other = "plain" if method.inputs == "normalised" else "normalised"
    return {**table, f"{other}-inputs": vary(base, inputs=other), **grid}


# By labels in common, which is the paper's rule where an item has one.
GPLDAN = Ablation(gpldan_tiny, variants, CLAIMS, protocol="gpldan_labels")
