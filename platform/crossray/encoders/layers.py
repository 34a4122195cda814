"""What the transformer layers of a tower give, read off while it runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn


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
