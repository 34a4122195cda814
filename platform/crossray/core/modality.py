"""The two modalities of an item, and the directions of a search between them."""

from typing import Literal

from crossray.core.errors import CrossRayError

Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, ...] = ("image", "text")


def other(modality: Modality) -> Modality:
    """The modality whose queries are answered from `modality`."""
    return "text" if modality == "image" else "image"


def direction(target: Modality) -> str:
    """The name of a search in `target` by queries of the other modality."""
    return f"{other(target)}_to_{target}"


def check_modality(modality: str) -> None:
    """Raises `CrossRayError` unless `modality` is one of the two."""
    if modality not in MODALITIES:
        raise CrossRayError(f"{modality!r} is not a modality; use 'image' or 'text'.")
