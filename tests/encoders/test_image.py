"""Image towers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from crossray.core.config import from_dict, to_dict
from crossray.core.errors import CrossRayError
from crossray.encoders.image import ImageTower, ImageTowerConfig, normalisation, resolve_image

TINY_VIT = {"depth": 3, "embed_dim": 48, "num_heads": 3}
TOWERS = [
    ImageTowerConfig("resnet10t", image_size=64),
    ImageTowerConfig("resnet10t", image_size=64, level=2),
    ImageTowerConfig("mobilenetv2_035", image_size=64),
    ImageTowerConfig("efficientnet_lite0", image_size=64, level=3),
    ImageTowerConfig("convnext_atto", image_size=64),
    ImageTowerConfig("convnext_atto", image_size=64, level=1),
    ImageTowerConfig("vit_tiny_patch16_224", image_size=64, options=TINY_VIT),
    ImageTowerConfig("vit_tiny_patch16_224", image_size=64, level=1, options=TINY_VIT),
    ImageTowerConfig("vit_base_patch16_siglip_224", image_size=64, options=TINY_VIT),
    ImageTowerConfig("swin_tiny_patch4_window7_224", image_size=224, level=0),
]


def label(config: ImageTowerConfig) -> str:
    """The name of a parametrised case."""
    return f"{config.name}-{config.level}"


@pytest.mark.parametrize("config", TOWERS, ids=label)
def test_every_trainable_parameter_receives_a_gradient(config: ImageTowerConfig) -> None:
    """Otherwise ZeRO waits for a gradient that never comes, or a dead head is saved and served."""
    tower = ImageTower(config)
    grid_BCYX = tower(torch.randn(2, 3, config.image_size, config.image_size))
    assert grid_BCYX.shape == (2, tower.channels, tower.side, tower.side)
    grid_BCYX.square().sum().backward()
    parameters = [p for p in tower.parameters() if p.requires_grad]
    assert parameters
    assert all(p.grad is not None for p in parameters)


@pytest.mark.parametrize("config", TOWERS, ids=label)
def test_the_map_is_the_one_of_the_whole_timm_model(config: ImageTowerConfig) -> None:
    """Dropping unused parts must not change what the tower sees."""
    tower = ImageTower(config).eval()
    whole = timm.create_model(config.name, num_classes=0, **config.options)
    if hasattr(whole, "set_input_size"):
        whole.set_input_size(img_size=config.image_size)
    whole.load_state_dict(tower.trunk.state_dict(), strict=False)
    whole.eval()
    pixels = torch.randn(1, 3, config.image_size, config.image_size)
    features, maps = whole.forward_intermediates(pixels, output_fmt="NCHW")
    if config.level is not None:
        expected = maps[config.level]
    elif features.ndim == 4:
        expected = features
    else:
        patches = features[:, whole.num_prefix_tokens :]
        rows = [patches[:, r * tower.side : (r + 1) * tower.side] for r in range(tower.side)]
        expected = torch.stack(rows, dim=1).permute(0, 3, 1, 2)
    torch.testing.assert_close(tower(pixels), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", TOWERS, ids=label)
@pytest.mark.parametrize("frozen", [False, True])
def test_a_traced_level_leads_to_the_map(config: ImageTowerConfig, frozen: bool) -> None:
    """A heat map of an earlier level needs its values and its gradient, of frozen towers too."""
    tower = ImageTower(replace(config, frozen=frozen)).eval()
    pixels = torch.randn(2, 3, config.image_size, config.image_size)
    level = 0 if config.level is None else config.level
    traced = tower.traced(pixels, level)
    torch.testing.assert_close(traced.grid_BCYX, tower(pixels))
    whole = timm.create_model(config.name, num_classes=0, **config.options)
    if hasattr(whole, "set_input_size"):
        whole.set_input_size(img_size=config.image_size)
    whole.load_state_dict(tower.trunk.state_dict(), strict=False)
    _, maps = whole.eval().forward_intermediates(pixels, indices=[level], output_fmt="NCHW")
    torch.testing.assert_close(tower.as_grid(traced.level), maps[0], atol=1e-4, rtol=1e-4)
    (gradient,) = torch.autograd.grad(traced.grid_BCYX.square().sum(), traced.level)
    assert tower.as_grid(gradient).shape == maps[0].shape
    assert gradient.abs().sum() > 0


def test_levels_that_are_not_there_are_named() -> None:
    """Asked for a level after the map, a user must read which there are, not a stack trace."""
    tower = ImageTower(ImageTowerConfig("resnet10t", image_size=64, level=2))
    for level in (3, 9, -9):
        with pytest.raises(CrossRayError, match=f"no level {level} "):
            tower.traced(torch.randn(1, 3, 64, 64), level)


def test_vit_grid_keeps_rows_and_columns() -> None:
    """A transposed grid would draw every heat map mirrored along the diagonal."""
    config = ImageTowerConfig("vit_tiny_patch16_224", image_size=64, level=0, options=TINY_VIT)
    tower = ImageTower(config).eval()
    tower.trunk.blocks = torch.nn.Sequential(torch.nn.Identity())
    pixels = torch.zeros(1, 3, 64, 64)
    changed = pixels.clone()
    changed[:, :, 16:32, 48:64] = 1.0
    moved_YX = (tower(changed) - tower(pixels)).abs().sum(dim=1)[0]
    assert moved_YX.nonzero().tolist() == [[1, 3]]


def test_frozen_tower_never_changes() -> None:
    """A frozen tower whose batch statistics drift makes cached features wrong."""
    tower = ImageTower(ImageTowerConfig("resnet10t", image_size=32, frozen=True))
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    holder = torch.nn.ModuleList([tower]).train()
    assert holder.training
    assert not any(module.training for module in tower.modules())
    grid_BCYX = tower(torch.randn(4, 3, 32, 32))
    assert not grid_BCYX.requires_grad
    assert not any(p.requires_grad for p in tower.parameters())
    assert all(torch.equal(value, before[name]) for name, value in tower.state_dict().items())


def test_trainable_tower_follows_train_and_eval() -> None:
    """Evaluation with dropout on, or training with it off, would go unnoticed."""
    tower = ImageTower(ImageTowerConfig("resnet10t", image_size=32))
    assert tower.training
    assert tower.trunk.training
    assert not tower.eval().trunk.training


def test_weights_from_a_path_and_resized_positions(tmp_path: Path) -> None:
    """The user's own weights must arrive, at another image size through resampled positions."""
    big = timm.create_model("vit_tiny_patch16_224", num_classes=5, **TINY_VIT)
    file = tmp_path / "weights.safetensors"
    save_file(big.state_dict(), file)
    config = ImageTowerConfig(
        "vit_tiny_patch16_224", f"path:{file}", image_size=64, options=TINY_VIT
    )
    tower = ImageTower(config).eval()
    assert tower.side == 4
    big.set_input_size(img_size=64)
    pixels = torch.randn(2, 3, 64, 64)
    expected = big.eval().forward_features(pixels)[:, 1:].transpose(1, 2).reshape(2, 48, 4, 4)
    torch.testing.assert_close(tower(pixels), expected, atol=1e-5, rtol=1e-4)


def test_state_of_an_artifact_loads_without_the_source(tmp_path: Path) -> None:
    """A served model must not need the place its first weights came from."""
    file = tmp_path / "weights.pth"
    torch.save(timm.create_model("resnet10t", num_classes=0).state_dict(), file)
    config = resolve_image(ImageTowerConfig("resnet10t", f"path:{file}", image_size=32, level=2))
    tower = ImageTower(config).eval()
    file.unlink()
    read_back = from_dict(ImageTowerConfig, to_dict(config))
    assert read_back == config
    assert normalisation(read_back) == (config.mean, config.std)
    again = ImageTower(read_back, load_weights=False).eval()
    again.load_state_dict(tower.state_dict(), strict=True)
    pixels = torch.randn(1, 3, 32, 32)
    assert torch.equal(again(pixels), tower(pixels))


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (ImageTowerConfig("resnet_of_dreams"), "no model"),
        (ImageTowerConfig("resnet10t", image_size=32, level=9), "level 9"),
        (ImageTowerConfig("vit_tiny_patch16_224", image_size=8), "image_size 8"),
        (ImageTowerConfig("resnet10t", options={"legs": 4}), "legs"),
        (ImageTowerConfig("resnet10t", weights="ftp:somewhere"), "ftp:somewhere"),
    ],
)
def test_bad_configurations_are_explained(config: ImageTowerConfig, word: str) -> None:
    """A typo must come back as one sentence, not as a traceback out of timm."""
    with pytest.raises(CrossRayError, match=word):
        ImageTower(config)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    """Weights that do not fit must never leave a tower half random."""
    state = timm.create_model("resnet10t", num_classes=0).state_dict()
    del state["layer2.0.conv1.weight"]
    save_file(state, tmp_path / "lacking.safetensors")
    with pytest.raises(CrossRayError, match=r"lack 1 tensors .* 'layer2.0.conv1.weight'"):
        ImageTower(ImageTowerConfig("resnet10t", f"path:{tmp_path}", image_size=32))
    state["layer2.0.conv1.weight"] = torch.zeros(1, 2, 3, 4)
    save_file(state, tmp_path / "lacking.safetensors")
    with pytest.raises(CrossRayError, match="do not fit"):
        ImageTower(ImageTowerConfig("resnet10t", f"path:{tmp_path}", image_size=32))


def test_normalisation_prefers_what_is_nearer_to_the_weights(tmp_path: Path) -> None:
    """Images normalised unlike in pre-training cost accuracy without any error."""
    assert normalisation(ImageTowerConfig("vit_tiny_patch16_224"))[0] == (0.5, 0.5, 0.5)
    assert normalisation(ImageTowerConfig("resnet18"))[1] == (0.229, 0.224, 0.225)
    (tmp_path / "config.json").write_text('{"pretrained_cfg": {"mean": [0.1, 0.2, 0.3]}}')
    config = ImageTowerConfig("resnet18", f"path:{tmp_path}")
    assert normalisation(config) == ((0.1, 0.2, 0.3), (0.229, 0.224, 0.225))
    own = ImageTowerConfig("resnet18", f"path:{tmp_path}", mean=(0.4, 0.4, 0.4))
    assert normalisation(own)[0] == (0.4, 0.4, 0.4)
