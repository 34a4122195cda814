"""Towers that recompute their layers or are compiled give what they gave before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from crossray.core.errors import CrossRayError
from crossray.encoders.image import ImageTower, ImageTowerConfig
from crossray.encoders.text import TextTower
from crossray.encoders.tower import Tower
from support.tiny import IMAGE, TEXT

VIT = ImageTowerConfig(
    name="vit_tiny_patch16_224", image_size=32, options={"img_size": 32, "depth": 2}
)
Towers = dict[str, Callable[[], tuple[Tower, tuple[Tensor, ...]]]]


def images(config: ImageTowerConfig) -> tuple[Tower, tuple[Tensor, ...]]:
    """An image tower and its input."""
    torch.manual_seed(0)
    size = config.image_size
    return ImageTower(config).eval(), (torch.randn(2, 3, size, size),)


def texts() -> tuple[Tower, tuple[Tensor, ...]]:
    """A text tower and its input."""
    torch.manual_seed(0)
    tokens_BT = torch.randint(1, 50, (2, 8))
    return TextTower(TEXT).eval(), (tokens_BT, torch.ones(2, 8, dtype=torch.bool))


TOWERS: Towers = {
    "vision transformer": lambda: images(VIT), "CNN": lambda: images(IMAGE), "text": texts,
}  # fmt: skip


def run(tower: Tower, inputs: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor], int]:
    """The output, the gradients of its weighted sum, and how many numbers were kept for them."""
    kept = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = tower(*inputs)
    weight = torch.linspace(-1, 1, output.numel()).view_as(output)
    parameters = [p for p in tower.parameters() if p.requires_grad]
    return output.detach(), list(torch.autograd.grad((weight * output).sum(), parameters)), kept


@pytest.mark.parametrize("name", TOWERS)
def test_recomputing_changes_memory_alone(name: str) -> None:
    """Another gradient would be another run; as much memory would be no help."""
    tower, inputs = TOWERS[name]()
    tower.train()
    for module in tower.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
    output, gradients, kept = run(tower, inputs)
    tower.recompute()
    again, others, less = run(tower, inputs)
    torch.testing.assert_close(again, output)
    torch.testing.assert_close(others, gradients)
    assert less < kept


@pytest.mark.parametrize("name", TOWERS)
def test_compiled_towers_are_equal(name: str) -> None:
    """Traced and differentiated ahead; the code generator itself is torch's."""
    tower, inputs = TOWERS[name]()
    output, gradients, _ = run(tower, inputs)
    names = list(tower.state_dict())
    tower.compile(backend="aot_eager")
    again, others, _ = run(tower, inputs)
    torch.testing.assert_close(again, output, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(others, gradients, atol=1e-4, rtol=1e-3)
    assert list(tower.state_dict()) == names, "checkpoints must not depend on it"


def test_a_tower_that_cannot_recompute() -> None:
    """Said before the run, not by an error within timm."""
    tower = ImageTower(ImageTowerConfig(name="ath", image_size=64))
    with pytest.raises(CrossRayError, match=r"'ath' cannot compute its layers again"):
        tower.recompute()
    tower.freeze()
    tower.recompute()
