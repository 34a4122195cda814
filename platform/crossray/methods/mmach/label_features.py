"""The input of the label network: label features (equation 1, E_L), enriched (2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from crossray.core.errors import CrossRayError
from crossray.methods.contract import TrainingSet
from crossray.methods.mmach.model import Mmach

TEXTS_AT_A_TIME = 64


def label_features(method: Mmach, training: TrainingSet) -> tuple[Tensor, Tensor]:
    """`H^E` of every set of labels that occurs, `features_UW`, and the set of each row, `set_N`.

    As wide as text features. A set without labels is 0. Every process computes the same. Raises
    `CrossRayError` where names are asked for and there is no text tower to read them.
    """
    assert training.labels_NC is not None
    sets_UC, set_N = torch.unique(training.labels_NC, dim=0, return_inverse=True)
    if method.config.label_encoding == "multi_hot":
        return sets_UC @ fixed_map(sets_UC.shape[1], method.text_tower.width, training.seed), set_N
    if training.encode is None:
        raise CrossRayError(
            "a feature set has no text tower that could read the names of labels; set "
            "method.label_encoding to multi_hot."
        )
    features_UW = torch.zeros(len(sets_UC), method.text_tower.width)
    named_M = sets_UC.any(dim=1).nonzero()[:, 0]
    texts = [label_text(row, method.config.labels) for row in sets_UC[named_M]]
    mode = method.text_tower.training
    method.text_tower.eval()
    with torch.no_grad():
        for start in range(0, len(texts), TEXTS_AT_A_TIME):
            text = training.encode(texts[start : start + TEXTS_AT_A_TIME])
            at = named_M[start : start + TEXTS_AT_A_TIME]
            features_UW[at] = method.text_features(text).float()
    method.text_tower.train(mode)
    return features_UW, set_N


def label_text(labels_C: Tensor, names: Sequence[str]) -> str:
    """The names of an item's labels, concatenated."""
    return " ".join(names[column].replace("_", " ") for column in labels_C.nonzero()[:, 0].tolist())


def fixed_map(rows: int, columns: int, seed: int) -> Tensor:
    """A random map whose shorter side is orthonormal, so that cosines are all but kept."""
    draws = torch.Generator().manual_seed(seed)
    map_RC = torch.empty(rows, columns)
    torch.nn.init.orthogonal_(map_RC, generator=draws)
    return map_RC


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
