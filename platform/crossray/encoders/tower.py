"""What image and text towers share: being frozen, giving memory for time, states layer by layer."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Tower(nn.Module, ABC):
    """A trunk that may be frozen: then it stays in eval mode and outside of autograd."""

    frozen: bool = False

    def freeze(self) -> None:
        """Turn off gradients, dropout and running statistics for good."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Tower":
        """As `nn.Module.train`, but a frozen tower stays in eval mode."""
        super().train(mode and not self.frozen)
        return self

    def recompute(self) -> None:
        """Keep the inputs of layers only, and run them again in the backward pass.

        Activation checkpointing (Chen et al. 2016); a frozen tower keeps nothing anyway. Raises
        `CrossRayError` for a trunk that cannot.
        """
        if not self.frozen:
            self._recompute()

    @abstractmethod
    def _recompute(self) -> None:
        """Tell the trunk to."""

    def gradients(self) -> torch.set_grad_enabled:
        """The context of the forward pass: `no_grad` if frozen, else as it is outside."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen)


class Layers(NamedTuple):
    """What the layers of a tower give, first layer first.

    `hidden`: the states after each layer, [B, T, D]. `attention`: each layer's attention map,
    averaged over its heads, [B, T, T], 0 at padding.
    """

    hidden: Sequence[Tensor]
    attention: Sequence[Tensor]


@contextmanager
def recorded(
    layers: Sequence[nn.Module], attentions: Sequence[nn.Module], maps: Callable[[Any], Tensor]
) -> Iterator[Layers]:
    """Fill what it yields while the modules run.

    Args:
        layers: modules that give states, in their order.
        attentions: of each of them the module whose output holds its attention maps.
        maps: takes the maps, [B, H, T, T], out of that output.
    """
    hidden: list[Tensor] = []
    attention: list[Tensor] = []
    with ExitStack() as hooks:
        for layer, attends in zip(layers, attentions, strict=True):
            for hook in (
                layer.register_forward_hook(lambda _, inputs, states: hidden.append(states)),
                attends.register_forward_hook(
                    lambda _, inputs, output: attention.append(maps(output).mean(dim=1))
                ),
            ):
                hooks.callback(hook.remove)
        yield Layers(hidden, attention)
