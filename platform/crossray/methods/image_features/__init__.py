"""Plain image features: what a trained tower gives, compared as it is."""

from __future__ import annotations

from crossray.methods.entry import MethodEntry
from crossray.methods.image_features.model import ImageFeatures, ImageFeaturesConfig
from crossray.methods.image_features.recipes import image_features

__all__ = ["METHOD", "ImageFeatures", "ImageFeaturesConfig"]

METHOD = MethodEntry(
    configs=(ImageFeaturesConfig,),
    recipes=(image_features,),
)
