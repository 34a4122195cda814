"""The ablation of MMDL: its texts, and what the paper leaves open (docs/methods/mmdl.md)."""

from __future__ import annotations

from dataclasses import replace

from crossray.evaluation.significance.claims import Claim
from crossray.methods.ablation import FULL, Ablation, vary
from crossray.methods.mmdl.layers import OUT_ACTS
from crossray.methods.mmdl.model import MmdlConfig
from crossray.methods.mmdl.recipes import mmdl_tiny
from crossray.methods.recipe import Recipe

CLAIMS = (
    Claim(
        FULL, "no-text", "mAP@10[found]",
        "The gain over Image-MMDL that the text gives in points (its table is not available)",
        gain=0.030 / 0.650,
    ),
)  # fmt: skip


def variants(base: Recipe) -> dict[str, Recipe]:
    """Texts dropped (Image-MMDL), the crop dropped, and each open choice made otherwise.

    Without the crop the tower sees full images; a base without a localiser has no such variant.
    The ranking loss is a separate run, whose weights a base may start from.
    """
    method = base.method
    assert isinstance(method, MmdlConfig)
    uncropped = replace(method.image, localiser=None)
    cropped = {"no-scda": vary(base, image=uncropped)} if method.image.localiser else {}
    return {
        FULL: base,
        "no-text": vary(base, modalities=("image",)),
        **cropped,
        "fixed-coupling": vary(base, fixed_coupling=True),
        "padded": vary(base, sharing="pad"),
        **{f"out-{act}": vary(base, out_act=act) for act in OUT_ACTS if act != method.out_act},
    }


MMDL = Ablation(mmdl_tiny, variants, CLAIMS, protocol="mmdl")
