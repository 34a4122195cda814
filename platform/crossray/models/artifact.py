"""Trained models as artifacts: configuration in the manifest, weights as safetensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from crossray.core.artifacts import Artifact
from crossray.core.config import from_dict, to_dict
from crossray.core.errors import CrossRayError
from crossray.data.tokenization import Tokenizer, load_tokenizer
from crossray.encoders.weights import GIVEN, NO_TOWER
from crossray.methods import METHODS
from crossray.methods.config import MethodConfig
from crossray.methods.contract import Encoder
from crossray.methods.student.model import StudentConfig

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
MODELS: dict[str, type[MethodConfig]] = {**METHODS, StudentConfig.name: StudentConfig}


@dataclass(frozen=True)
class TrainedMethod:
    """A trained method with the tokenizer that its texts need."""

    method: Encoder
    tokenizer: Tokenizer
    max_tokens: int


def method_to_dict(config: MethodConfig) -> dict[str, Any]:
    """The configuration with the method's registry name, for a manifest."""
    return {"name": config.name, **to_dict(config)}


def method_from_dict(data: dict[str, Any], where: str) -> MethodConfig:
    """Read back what `method_to_dict` wrote; raises `CrossRayError` for an unknown method."""
    fields = dict(data)
    name = fields.pop("name", None)
    if name not in MODELS:
        raise CrossRayError(
            f"{where} names the method {name!r}, which this CrossRay does not have; "
            f"it has {', '.join(MODELS)}."
        )
    return from_dict(MODELS[name], fields, where)


def save_weights(state: dict[str, Tensor], path: Path) -> None:
    """Write a state dict as safetensors; tensors that share storage are written once each."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    save_file(tensors, path)


def load_method(artifact: Artifact) -> Encoder:
    """Build a `teacher`'s or `student`'s method and read its weights; in evaluation mode."""
    config = method_from_dict(artifact.manifest.config["method"], f"the manifest of {artifact.uri}")
    method = config.build(load_weights=False)
    state = load_file(artifact.local() / WEIGHTS)
    try:
        method.load_state_dict(state)
    except RuntimeError as error:
        raise CrossRayError(
            f"the weights of {artifact.uri} do not fit its configuration "
            f"({str(error).splitlines()[-1].strip()}); make the artifact again."
        ) from None
    return method.eval()


def load_model(artifact: Artifact) -> TrainedMethod:
    """`load_method` with the tokenizer of its texts.

    Raises `CrossRayError` for a method that was trained on a feature set and reads no texts.
    """
    method = load_method(artifact)
    require_towers(method.config, artifact)
    tokenizer = load_tokenizer(f"path:{artifact.local().absolute() / TOKENIZER}")
    return TrainedMethod(method, tokenizer, artifact.manifest.config["tokenizer"]["max_tokens"])


def require_towers(config: MethodConfig, artifact: Artifact) -> None:
    """Raises `CrossRayError` for a method that reads no pairs, or has no space that both share."""
    if config.image.weights == GIVEN:
        raise CrossRayError(f"{artifact.uri} cannot read pairs: {NO_TOWER}")
    if "pretext" in config.capabilities:
        raise CrossRayError(
            f"{artifact.uri} is a first stage, whose images and texts have separate spaces; "
            f"train a second with jobs/pretrain.py --init {artifact.uri} and give that."
        )
