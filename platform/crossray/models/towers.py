"""Which towers made a `features` artifact, and whether a method has the same."""

from __future__ import annotations

from crossray.core.artifacts import Artifact
from crossray.core.config import from_dict, to_dict
from crossray.core.errors import CrossRayError
from crossray.encoders.image import ImageTower, ImageTowerConfig, given_images
from crossray.encoders.text import TextTowerConfig, given_texts
from crossray.methods.config import MethodConfig


def towers_of(features: Artifact) -> tuple[ImageTowerConfig, TextTowerConfig]:
    """The towers that made the features; a feature set, which is no artifact's child, has none."""
    config, metrics = features.manifest.config, features.manifest.metrics
    if not features.manifest.parents:
        return given_images(metrics["grid_shape"][0]), given_texts(metrics["text_width"])
    # A field that is newer than the features stands at its default.
    return (
        from_dict(ImageTowerConfig, config["image"], features.uri),
        from_dict(TextTowerConfig, config["text"], features.uri),
    )


def same_towers(method: MethodConfig, features: Artifact) -> None:
    """Refuse features that other towers than the method's have made, or too coarse ones."""
    image, text = towers_of(features)
    for tower, made, config in (("image", image, method.image), ("text", text, method.text)):
        found = to_dict(made)
        for name, value in to_dict(config).items():
            if found[name] != value:
                raise CrossRayError(
                    f"{features.uri} was made with {tower}.{name}={found[name]!r}, but "
                    f"the method has {value!r}; use the same towers or make the features again."
                )
    side = features.manifest.metrics["grid_shape"][-1]
    native = ImageTower(method.image, load_weights=False).side
    needed = method.map_side(native)
    if side != native and side % needed:
        raise CrossRayError(
            f"{features.uri} holds maps averaged to {side} x {side}, but the method reads them at "
            f"{needed} x {needed}; make the features with side={needed} or a multiple."
        )
