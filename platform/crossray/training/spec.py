"""What a training run is: one frozen value from the stage to every worker."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from crossray.core.artifacts import Artifact, Kind
from crossray.core.config import to_dict
from crossray.core.store import store_root
from crossray.data.tokenization import Tokenizer
from crossray.distill import DistillationConfig
from crossray.methods.recipe import Recipe
from crossray.training.tracking import Track


@dataclass(frozen=True)
class TeacherSpec:
    """Who teaches and how.

    Attributes:
        model: the `teacher` artifact.
        config: of the distillation.
        shared_maps: the student's image tower is the teacher's, so cached maps serve both.
    """

    model: Artifact
    config: DistillationConfig
    shared_maps: bool = False


@dataclass(frozen=True)
class RunSpec:
    """What is trained on what, and where the model goes.

    Attributes:
        recipe: fitted to the data.
        data: the `pairs`, or a feature set, that the run learns from.
        out: URI of the artifact that comes out.
        tokenizer: that of the model; None on a feature set, which has no words.
        features: cached outputs of frozen towers, made from `data`, to read in their place.
        init: the teacher whose weights the model starts from.
        teacher: who teaches, in distillation.
        track: where metrics go besides TensorBoard.
        start: URI of another run's checkpoint that this one goes on from.
        store: URI of the store, which keeps the run's checkpoints.
    """

    recipe: Recipe
    data: Artifact
    out: str
    tokenizer: Tokenizer | None = None
    features: Artifact | None = None
    init: Artifact | None = None
    teacher: TeacherSpec | None = None
    track: Track = "none"
    start: str | None = None
    store: str = field(default_factory=store_root)

    @property
    def kind(self) -> Kind:
        """Of the artifact that comes out."""
        return "teacher" if self.teacher is None else "student"

    @property
    def source(self) -> Artifact:
        """What the student or the method without a teacher reads."""
        return self.features or self.data

    @property
    def parents(self) -> tuple[Artifact, ...]:
        """Of the artifact, which inherits their notes."""
        teacher = None if self.teacher is None else self.teacher.model
        possible = (teacher, self.data, self.features, self.init)
        return tuple(parent for parent in possible if parent is not None)

    def identity(self) -> str:
        """12 hexadecimal digits of all that decides which weights come out.

        A run of the same identity resumes; another one starts anew.
        """
        parents = [parent.id for parent in self.parents]
        start = [] if self.start is None else [self.start]
        content = [to_dict(self.recipe), parents, self.out, *start]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Of the run, for people and for its folder."""
        return f"{self.out.rsplit('/', 1)[-1]}-{self.identity()}"

    @property
    def storage(self) -> str:
        """URI of the run's folder: checkpoints, teacher outputs, TensorBoard files."""
        return f"{self.store}/runs/{self.name}"
