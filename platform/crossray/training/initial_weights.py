"""The weights of an earlier teacher as the start of a new model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from safetensors.torch import load_file

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.data.tokenization import WORDPIECE, Tokenizer, load_tokenizer
from crossray.methods.contract import Encoder
from crossray.methods.recipe import TokenizerConfig
from crossray.models.artifact import TOKENIZER, WEIGHTS

TOWERS = ("image_tower.", "text_tower.")


@dataclass(frozen=True)
class TakenOver:
    """Names of tensors: taken, only in the new model, only in the earlier one."""

    taken: tuple[str, ...]
    new: tuple[str, ...]
    left: tuple[str, ...]

    def words(self, source: str) -> str:
        """One sentence for the screen, tensors counted by the part of the model they are in."""
        return (
            f"{len(self.taken)} tensors start as in {source}: {_parts(self.taken)}; "
            f"anew start {_parts(self.new)}; not taken {_parts(self.left)}"
        )


def start_from(method: Encoder, artifact: Artifact, towers: bool = True) -> TakenOver:
    """Give a model the weights of a teacher that have its tensors' names and shapes.

    `towers=False` leaves the model's towers as they are. Raises `CrossRayError` where a name is of
    another shape, and where none matches.
    """
    _require_same_labels(method, artifact)
    ours = method.state_dict()
    found = load_file(artifact.local() / WEIGHTS)
    if not towers:
        found = {name: value for name, value in found.items() if not name.startswith(TOWERS)}
    taken = {name: value for name, value in found.items() if name in ours}
    for name, value in taken.items():
        if value.shape != ours[name].shape:
            raise CrossRayError(
                f"the weights of {artifact.uri} do not fit this model: {name} has the shape "
                f"{tuple(value.shape)} there and {tuple(ours[name].shape)} here; give both the "
                "same towers and sizes, or another --init."
            )
    if not taken:
        raise CrossRayError(
            f"{artifact.uri} has no weight that this model could start from: no name of its "
            f"{len(found)} tensors is one of the model's; give a teacher with the same towers."
        )
    method.load_state_dict(taken, strict=False)
    return TakenOver(
        tuple(taken),
        tuple(name for name in ours if name not in taken),
        tuple(name for name in found if name not in taken),
    )


def _require_same_labels(method: Encoder, artifact: Artifact) -> None:
    """Refuse a teacher of other labels, whose columns would start as those of other names."""
    labels = method.config.label_names
    theirs = tuple(artifact.manifest.config["method"].get("labels") or ())
    if labels and theirs and theirs != labels:
        raise CrossRayError(
            f"{artifact.uri} learned {len(theirs)} other labels than the {len(labels)} of this "
            "run; give --init a teacher of data with the same labels."
        )


def tokenizer_of(artifact: Artifact, config: TokenizerConfig) -> Tokenizer:
    """The tokenizer of a teacher, with which a run that starts from it must read.

    Raises `CrossRayError` where the run names another one, whose numbers mean other words.
    """
    path = artifact.local().absolute() / TOKENIZER
    if not path.exists():
        raise CrossRayError(
            f"{artifact.uri} was trained on a feature set and reads no texts; give --init a "
            "teacher that was trained on pairs."
        )
    ours = load_tokenizer(f"path:{path}")
    if config.source != WORDPIECE:
        require_same_words(artifact, ours, load_tokenizer(config.source))
    return ours


def require_same_words(artifact: Artifact, ours: Tokenizer, other: Tokenizer) -> None:
    """Refuse a teacher with another vocabulary than that of the run."""
    if ours.to_str() != other.to_str():
        raise CrossRayError(
            f"the vocabulary of {artifact.uri} is not that of this run, so every word would start "
            "as another one; give both the same tokenizer.source."
        )


def _parts(names: Iterable[str]) -> str:
    counts = Counter(name.split(".", 1)[0] for name in names)
    return ", ".join(f"{part} ({count})" for part, count in counts.items()) or "nothing"
