"""Published methods, one a file; this dict is the whole registry."""

from __future__ import annotations

from crossray.methods.cca import CcaConfig
from crossray.methods.clip import ClipConfig
from crossray.methods.contract import MethodConfig
from crossray.methods.hier import HierConfig, HierUnimodalConfig

METHODS: dict[str, type[MethodConfig]] = {
    "cca": CcaConfig,
    "clip": ClipConfig,
    "hier": HierConfig,
    "hier_unimodal": HierUnimodalConfig,
}
