"""The ablation of MMACH (tables 2 and 3): without the attention, and with another objective."""

from __future__ import annotations

from crossray.evaluation.significance.claims import Claim
from crossray.methods.ablation import Ablation, vary
from crossray.methods.mmach.recipes import mmach_pretrained_tiny
from crossray.methods.recipe import Recipe

# Exceptions in the paper: MLSDCH leads on NUS-WIDE (64 bits, image to text) and on MS COCO
# (16 bits, text to image).
CLAIMS = (
    Claim("full", "mlsdch", "mAP@all", "Table 2, image to text, and Table 3, text to image"),
    Claim("full", "mmach-mse", "mAP@all", "Table 2, image to text, and Table 3, text to image"),
)


def variants(base: Recipe) -> dict[str, Recipe]:
    """MLSDCH, whose label network sees labels alone (H^A = H^E), and MMACH-MSE."""
    full = vary(base, attention=True, objective="triplet")
    return {
        "full": full,
        "mlsdch": vary(full, attention=False),
        "mmach-mse": vary(full, objective="mse"),
    }


MMACH = Ablation(mmach_pretrained_tiny, variants, CLAIMS, protocol="mmach")
