"""Label features enriched by the image and the text of the same item (equations 2 and 3)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def modality_attention(features_BD: Tensor, label_BD: Tensor) -> Tensor:
    r"""Equation 2: $att_{IL} = \cos(F^E_i, H^E_i)$, and $att_{TL}$ with $G^E$; no softmax.

    Returns:
        `attention_B` in [-1, 1]; 0 for an item without label.
    """
    return functional.cosine_similarity(features_BD, label_BD, dim=1, eps=1e-12)


def enhanced_labels(label_BD: Tensor, image_BD: Tensor, text_BD: Tensor) -> Tensor:
    r"""Equation 3: $H^A_i = H^E_i + att_{IL} F^E_i + att_{TL} G^E_i$; `z_BD`."""
    image_B1 = modality_attention(image_BD, label_BD)[:, None]
    text_B1 = modality_attention(text_BD, label_BD)[:, None]
    return label_BD + image_B1 * image_BD + text_B1 * text_BD
