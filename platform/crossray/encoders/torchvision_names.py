"""torchvision's names of MobileNetV2's and DenseNet's weights, in timm's words."""

import re

from torch import Tensor

# Inverted residual blocks per stage: Sandler et al., "MobileNetV2", 2018, table 2, column n.
_BLOCKS_PER_STAGE = (1, 2, 3, 4, 3, 3, 1)
_ENDS = {"0.0": "conv_stem", "0.1": "bn1", "18.0": "conv_head", "18.1": "bn2"}
# The first block has no expansion, so its layers carry other numbers.
_FIRST_BLOCK = {"0.0": "conv_dw", "0.1": "bn1", "1": "conv_pw", "2": "bn2"}
_BLOCK = {
    "0.0": "conv_pw",
    "0.1": "bn1",
    "1.0": "conv_dw",
    "1.1": "bn2",
    "2": "conv_pwl",
    "3": "bn3",
}
_NAME = re.compile(r"features\.(\d+)\.(?:conv\.)?(\d(?:\.\d)?)\.(\w+)")


# The published DenseNet files are older than the rule that names hold no dots.
_OLD_DENSENET = re.compile(r"(features\..*denselayer\d+\.(?:norm|conv))\.(\d\..*)")


def is_mobilenetv2(state: dict[str, Tensor]) -> bool:
    """Whether the tensors carry torchvision's names of MobileNetV2."""
    return "features.18.0.weight" in state and "features.1.conv.0.0.weight" in state


def mobilenetv2(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision's `mobilenet_v2` tensors under the names of timm's `mobilenetv2_100`.

    The two networks are the same layer for layer; the classifier is left out.
    """
    renamed = {}
    for name, tensor in state.items():
        match = _NAME.fullmatch(name)
        if match is not None:
            feature, layer, leaf = match.groups()
            renamed[f"{_layer(int(feature), layer)}.{leaf}"] = tensor
    return renamed


def _layer(feature: int, layer: str) -> str:
    if feature in (0, 18):
        return _ENDS[f"{feature}.{layer}"]
    stage, block = 0, feature - 1
    while block >= _BLOCKS_PER_STAGE[stage]:
        block -= _BLOCKS_PER_STAGE[stage]
        stage += 1
    names = _FIRST_BLOCK if feature == 1 else _BLOCK
    return f"blocks.{stage}.{block}.{names[layer]}"


def is_densenet(state: dict[str, Tensor]) -> bool:
    """Whether the tensors carry torchvision's names of a DenseNet, which are also timm's."""
    return "features.denseblock1.denselayer1.norm1.weight" in densenet(state)


def densenet(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision's DenseNet tensors under timm's names; the classifier is left out.

    A prefix that wrappers put before all names (`module.`, `densenet121.`) is taken off.
    """
    renamed = {}
    for name, tensor in state.items():
        at = name.find("features.")
        if at >= 0:
            renamed[_OLD_DENSENET.sub(r"\1\2", name[at:])] = tensor
    return renamed
