"""Published methods, one a file; this dict is the whole registry."""

from __future__ import annotations

from crossray.methods.cca import CcaConfig
from crossray.methods.clip import ClipConfig
from crossray.methods.cmfg import CmfgConfig
from crossray.methods.contract import MethodConfig
from crossray.methods.gpldan import GpldanConfig
from crossray.methods.hier import HierConfig, HierUnimodalConfig
from crossray.methods.mmach import MmachConfig

METHODS: dict[str, type[MethodConfig]] = {
    "cca": CcaConfig,
    "clip": ClipConfig,
    "cmfg": CmfgConfig,
    "gpldan": GpldanConfig,
    "hier": HierConfig,
    "hier_unimodal": HierUnimodalConfig,
    "mmach": MmachConfig,
}
