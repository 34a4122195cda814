"""Published methods, one a file; this dict is the whole registry."""

from __future__ import annotations

from crossray.methods.ath import AthConfig
from crossray.methods.cca import CcaConfig
from crossray.methods.clip import ClipConfig
from crossray.methods.cmfg import CmfgConfig
from crossray.methods.contract import MethodConfig
from crossray.methods.gpldan import GpldanConfig
from crossray.methods.hier import HierConfig, HierUnimodalConfig
from crossray.methods.image_features import ImageFeaturesConfig
from crossray.methods.image_ranking import ImageRankingConfig
from crossray.methods.mmach import MmachConfig
from crossray.methods.mmdl import MmdlConfig

METHODS: dict[str, type[MethodConfig]] = {
    "ath": AthConfig,
    "cca": CcaConfig,
    "clip": ClipConfig,
    "cmfg": CmfgConfig,
    "gpldan": GpldanConfig,
    "hier": HierConfig,
    "hier_unimodal": HierUnimodalConfig,
    "image_features": ImageFeaturesConfig,
    "image_ranking": ImageRankingConfig,
    "mmdl": MmdlConfig,
    "mmach": MmachConfig,
}
