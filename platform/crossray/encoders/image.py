"""Image towers: any timm model, from pixels to a feature map.

timm is imported where it is used: that takes seconds, and every process of a run reads a
configuration, while only those that compute need a tower.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import isqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from crossray.core.config import Config
from crossray.core.errors import CrossRayError
from crossray.encoders import attention_trunk, torchvision_names, weights
from crossray.encoders.scda import crop_to_object
from crossray.encoders.tower import Layers, Tower, recorded

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class ImageTowerConfig(Config):
    """A timm model without its classifier.

    Attributes:
        name: timm's name of the model, or `ath` for the small trunk of that method.
        weights: `scratch`, `hub:ID`, `package:NAME` or `path:/absolute/file-or-folder`; `given`
            for the vectors of a feature set, see `given_images`.
        frozen: keep the weights as they are.
        image_size: side of the square input in pixels.
        level: None for the final feature map, else the index of an intermediate one in timm's
            `forward_intermediates` (earlier maps are finer); what lies above it is not kept.
        options: further arguments of the timm model, such as `depth`.
        mean: of the input's channels, in [0, 1]; None for that of the weights.
        std: standard deviation of the input's channels; None for that of the weights.
        localiser: timm's name of a frozen model that finds the main object (SCDA), to which the
            image is cut before this tower sees it; None for the uncut image.
        localiser_weights: as `weights`.
    """

    name: str = "resnet18"
    weights: str = weights.SCRATCH
    frozen: bool = False
    image_size: int = 224
    level: int | None = None
    options: dict[str, bool | int | float | str] = field(default_factory=dict)
    mean: Channels | None = None
    std: Channels | None = None
    localiser: str | None = None
    localiser_weights: str = "scratch"


def given_images(width: int) -> ImageTowerConfig:
    """What stands for the maker of a feature set's image vectors, maps of one cell."""
    return ImageTowerConfig(
        name=weights.GIVEN, weights=weights.GIVEN, frozen=True, options={"width": width}
    )


def resolve_image(config: ImageTowerConfig) -> ImageTowerConfig:
    """The configuration with the channel statistics of its weights written in.

    A resolved configuration describes tower and input without the source of the weights.
    """
    mean, std = normalisation(config)
    return replace(config, mean=mean, std=std)


def normalisation(config: ImageTowerConfig) -> tuple[Channels, Channels]:
    """Mean and standard deviation of the channels, in [0, 1], that the weights were trained with.

    From the configuration if set, else from the `config.json` next to the weights, else timm's
    for the model's name.
    """
    if config.mean is not None and config.std is not None:
        return config.mean, config.std
    import timm

    known = timm.get_pretrained_cfg(config.name)
    statistics = {"mean": known.mean, "std": known.std} if known else {}
    if config.weights != weights.SCRATCH and (path := weights.locate(config.weights)).is_dir():
        statistics |= weights.read_config(path, "config.json").get("pretrained_cfg", {})
    mean, std = config.mean or statistics.get("mean"), config.std or statistics.get("std")
    if mean is None or std is None:
        raise CrossRayError(
            f"timm knows no channel statistics of {config.name!r}; set the tower's mean and std."
        )
    return _three(mean), _three(std)


class Traced(NamedTuple):
    """`grid_BCYX`: a tower's feature map. `level`: what a level of its trunk gave, in its form."""

    grid_BCYX: Tensor
    level: Tensor


class ImageTower(Tower):
    """Pixels to a square feature map: `channels` wide, `side` rows and columns.

    Every parameter that requires a gradient receives one: the classifier and whatever else the
    map does not depend on is left out. With `load_weights=False` only the architecture is built,
    for the weights of an artifact, and the source of the weights is not touched. With a localiser
    the map is that of the image cut to its main object.
    """

    trunk: Any  # timm's models share methods, not a base class
    localiser: "ImageTower | None"
    channels: int
    side: int

    def __init__(self, config: ImageTowerConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config, self.localiser = config, None
        if config.weights == weights.GIVEN:
            self.trunk, self.channels, self.side = None, int(config.options["width"]), 1
            return
        self.trunk = _create(config)
        missing = set()
        if load_weights and config.weights != weights.SCRATCH:
            missing = _load(self.trunk, config)
        self._trim()
        if lost := sorted(missing & set(self.trunk.state_dict())):
            raise CrossRayError(
                f"the weights {config.weights!r} lack {len(lost)} tensors of {config.name!r}, "
                f"the first is {lost[0]!r}; use weights of this very model."
            )
        if config.localiser is not None:
            finder = replace(
                config, name=config.localiser, weights=config.localiser_weights, frozen=True,
                level=None, options={}, localiser=None,
            )  # fmt: skip
            self.localiser = ImageTower(finder, load_weights)
        if config.frozen:
            self.freeze()

    def forward(self, pixels_BCYX: Tensor) -> Tensor:
        """Normalised pixels to grid_BCYX."""
        with self.gradients():
            return self._map(pixels_BCYX)

    def traced(self, pixels_BCYX: Tensor, level: int) -> Traced:
        """The feature map, and what a level gave on the way to it, with gradient in between.

        A frozen tower is traced too. `level` is an index of timm's `feature_info`, which goes with
        that of `ImageTowerConfig`; negative ones count from the last. Raises `CrossRayError` for a
        level that the tower does not have.
        """
        outputs: list[Tensor] = []
        module = self._level(level)
        hook = module.register_forward_hook(lambda _, inputs, output: outputs.append(output))
        try:
            with torch.enable_grad():
                grid_BCYX = self._map(pixels_BCYX.detach().requires_grad_())
        finally:
            hook.remove()
        if not outputs:  # it lies after the map
            raise self._no_level(level)
        return Traced(grid_BCYX, outputs[0])

    def _recompute(self) -> None:
        try:
            self.trunk.set_grad_checkpointing(True)
        except (AttributeError, AssertionError):
            raise CrossRayError(
                f"the image tower {self.config.name!r} cannot compute its layers again; switch "
                "train.recompute off."
            ) from None

    def _level(self, level: int) -> nn.Module:
        try:
            name: str = self.trunk.feature_info[level]["module"]
            module: nn.Module = self.trunk.get_submodule(name)
        except (AttributeError, IndexError):
            raise self._no_level(level) from None
        return module

    def _no_level(self, level: int) -> CrossRayError:
        count = len(getattr(self.trunk, "feature_info", ()))
        return CrossRayError(
            f"{self.config.name!r} has no level {level} on the way to its map; choose another of "
            f"its {count} levels, counted from 0, or leave it out for the map itself."
        )

    def as_grid(self, features: Tensor) -> Tensor:
        """`grid_BCYX` of what the trunk or one of its levels gives: tokens, or a map."""
        if features.ndim == 3:
            patches_BTC = features[:, getattr(self.trunk, "num_prefix_tokens", 0) :]
            side = isqrt(patches_BTC.shape[1])
            return patches_BTC.transpose(1, 2).reshape(len(features), -1, side, side)
        if getattr(self.trunk, "output_fmt", "NCHW") == "NHWC":
            return features.permute(0, 3, 1, 2)
        return features

    def _map(self, pixels_BCYX: Tensor) -> Tensor:
        if self.trunk is None:
            raise CrossRayError(weights.NO_TOWER)
        if self.localiser is not None:
            pixels_BCYX = crop_to_object(pixels_BCYX, self.localiser(pixels_BCYX))
        # Convolutions run up to twice as fast with the channels last, on CPUs as on tensor cores.
        # The weights stay as they are: DeepSpeed cannot broadcast them in that format.
        pixels_BCYX = pixels_BCYX.contiguous(memory_format=torch.channels_last)
        if self.config.level is None:
            return self.as_grid(self.trunk.forward_features(pixels_BCYX))
        grids: list[Tensor] = self.trunk.forward_intermediates(
            pixels_BCYX,
            indices=[self.config.level],
            stop_early=True,
            intermediates_only=True,
            output_fmt="NCHW",
        )
        return grids[0]

    @property
    def depth(self) -> int:
        """Number of transformer layers that `recorded_layers` can read; 0 for a CNN."""
        return len(self._blocks())

    @property
    def tokens(self) -> int:
        """Length of the sequence in a transformer's layers: class and other tokens, and cells."""
        return self.side**2 + int(getattr(self.trunk, "num_prefix_tokens", 0))

    @contextmanager
    def recorded_layers(self) -> Iterator[Layers]:
        """What the layers of a vision transformer give while `forward` runs in eval mode."""
        blocks = self._blocks()
        fused = [block.attn.fused_attn for block in blocks]
        for block in blocks:
            block.attn.fused_attn = False  # the fused kernel never forms the map
        try:
            # Without dropout, what passes through `attn_drop` is the map.
            dropouts = [block.attn.attn_drop for block in blocks]
            with recorded(blocks, dropouts, lambda maps: maps) as layers:
                yield layers
        finally:
            for block, flag in zip(blocks, fused, strict=True):
                block.attn.fused_attn = flag

    def _blocks(self) -> list[Any]:
        from timm.layers import Attention

        blocks = getattr(self.trunk, "blocks", ())
        return [block for block in blocks if isinstance(getattr(block, "attn", None), Attention)]

    def _trim(self) -> None:
        """Drop the parts that the map does not depend on, and set `channels` and `side`.

        One pass on the meta device (shapes and the autograd graph, no numbers) tells which
        parameters the map depends on, for any timm model and level.
        """
        meta = {
            name: tensor.detach().to("meta").requires_grad_(tensor.requires_grad)
            for name, tensor in (*self.named_parameters(), *self.named_buffers())
        }
        names = [name for name, tensor in meta.items() if tensor.requires_grad]
        size = self.config.image_size
        self.eval()
        try:
            pixels = torch.empty(1, 3, size, size, device="meta")
            grid_BCYX = functional_call(self, meta, pixels)
        except (AssertionError, RuntimeError) as error:
            raise CrossRayError(
                f"{self.config.name!r} gives no feature map for image_size {size} "
                f"and level {self.config.level} ({error}); change one of the two."
            ) from None
        gradients = torch.autograd.grad(
            grid_BCYX.sum(), [meta[name] for name in names], allow_unused=True
        )
        used = {
            name for name, gradient in zip(names, gradients, strict=True) if gradient is not None
        }
        _drop(self, "", used)
        self.train()
        self.channels, self.side = int(grid_BCYX.shape[1]), int(grid_BCYX.shape[2])


def _create(config: ImageTowerConfig) -> Any:
    if config.name == attention_trunk.NAME:
        return attention_trunk.AttentionTrunk()
    import timm

    if not timm.is_model(config.name):
        raise CrossRayError(
            f"timm has no model {config.name!r}; see timm.list_models() for the names."
        )
    try:
        options: dict[str, Any] = dict(config.options)
        trunk: Any = timm.create_model(config.name, num_classes=0, **options)
        if hasattr(trunk, "set_input_size"):
            trunk.set_input_size(img_size=config.image_size)
    except (TypeError, AssertionError, RuntimeError) as error:
        raise CrossRayError(
            f"{config.name!r} cannot be built with image_size {config.image_size} and options "
            f"{config.options} ({error}); change one of them."
        ) from None
    return trunk


def _load(trunk: nn.Module, config: ImageTowerConfig) -> set[str]:
    """Load the weights into the trunk; returns the names of the tensors they lack."""
    state = weights.read_state(weights.locate(config.weights))
    if torchvision_names.is_mobilenetv2(state):
        state = torchvision_names.mobilenetv2(state)
    elif torchvision_names.is_densenet(state):
        state = torchvision_names.densenet(state)
    # timm keeps each architecture's conversion of foreign checkpoints and of position embeddings
    # made for another image size in a function of this name.
    convert = getattr(sys.modules[type(trunk).__module__], "checkpoint_filter_fn", None)
    try:
        if convert is not None:
            state = convert(state, trunk)
        return set(trunk.load_state_dict(state, strict=False).missing_keys)
    except (RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[-1].strip().rstrip(".")
        raise CrossRayError(
            f"the weights {config.weights!r} do not fit {config.name!r} ({reason}); "
            "use weights of this very model."
        ) from None


def _drop(module: nn.Module, prefix: str, used: set[str]) -> None:
    """Replace every submodule whose parameters are all unused; bar single ones from training."""
    for name, child in module.named_children():
        names = [f"{prefix}{name}.{parameter}" for parameter, _ in child.named_parameters()]
        if names and used.isdisjoint(names):
            # Empty, not Identity: it passes its input on and can be iterated like a stage.
            setattr(module, name, nn.Sequential())
        else:
            _drop(child, f"{prefix}{name}.", used)
    for name, parameter in module.named_parameters(recurse=False):
        if f"{prefix}{name}" not in used:
            parameter.requires_grad_(False)


def _three(values: tuple[float, ...]) -> Channels:
    red, green, blue = values
    return float(red), float(green), float(blue)
