"""Distil a student: from a `teacher` and a `pairs` artifact to a `student` artifact."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import arg

from crossray.core.artifacts import Artifact, check_writable, open_artifact, require_parent
from crossray.core.config import from_dict
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve
from crossray.data.tokenization import load_tokenizer
from crossray.distill import DistillationConfig
from crossray.distill.anchors import with_fewer_hubs
from crossray.distill.distillation import check_layers
from crossray.methods.recipe import Recipe, TokenizerConfig
from crossray.methods.student import StudentConfig
from crossray.models.artifact import TOKENIZER, method_from_dict
from crossray.models.fitting import fitted
from crossray.training.run import Watch, publish
from crossray.training.spec import RunSpec, TeacherSpec
from crossray.training.tracking import Track, require_mlflow


@dataclass(frozen=True)
class StudentRecipe(Recipe):
    """A full distillation: the student and everything that trains it."""

    needs_teacher: ClassVar[bool] = True
    method: StudentConfig
    distillation: DistillationConfig = field(default_factory=DistillationConfig)

    def check(self) -> None:
        """As `Recipe.check`, and for texts whose tokens are not those that the teacher has seen."""
        super().check()
        if self.augment.sentences < 1 and self.distillation.layer_map:
            raise CrossRayError(
                "distillation.layer_map compares the states of tokens, and augment.sentences="
                f"{self.augment.sentences} leaves sentences out that the teacher has seen; set it "
                "to 1, or empty the map."
            )


@dataclass(frozen=True)
class Distill:
    """Train a student on a teacher's outputs, on Ray Train with DeepSpeed.

    Attributes:
        teacher: the teacher artifact: a name in the store, an absolute path or a URI.
        pairs: the artifact that the teacher was trained on.
        out: the student artifact.
        recipe: the student and everything that trains it; its tokenizer is the teacher's.
        features: cached outputs of the teacher's frozen towers, made from `pairs`.
        track: where metrics go besides TensorBoard.
    """

    teacher: str
    pairs: str
    out: str
    recipe: Annotated[StudentRecipe, arg(name="")]
    features: str | None = None
    track: Track = "none"

    def run(self, watch: Watch | None = None) -> Artifact:
        """Train and publish; prints progress and one table."""
        out = resolve(self.out)
        self.recipe.check()
        check_writable(out)
        if self.track == "mlflow":
            require_mlflow()
        teacher = open_artifact(resolve(self.teacher), "teacher")
        pairs = open_artifact(resolve(self.pairs), "pairs")
        require_parent(teacher, pairs)
        tokenizer = load_tokenizer(f"path:{teacher.local() / TOKENIZER}")
        same = from_dict(TokenizerConfig, teacher.manifest.config["tokenizer"], teacher.uri)
        recipe = fitted(replace(self.recipe, tokenizer=same), tokenizer)
        method = method_from_dict(teacher.manifest.config["method"], teacher.uri)
        if "images_only" in method.capabilities:
            raise method.no_text()
        taught = recipe.method
        distillation = self.recipe.distillation
        check_layers(taught.build(load_weights=False), method.build(False), distillation)
        features = None
        if self.features is not None:
            if distillation.image_layer_map:
                raise CrossRayError(
                    "cached features hold the last feature map only, and "
                    "distillation.image_layer_map compares layers of the teacher's image tower; "
                    "leave out the features, or empty the map."
                )
            features = open_artifact(resolve(self.features), "features")
            require_parent(features, pairs)
            require_parent(teacher, features)
        shared_maps = features is not None and taught.image == method.image
        spec = RunSpec(
            recipe, pairs, out, tokenizer, features, track=self.track,
            teacher=TeacherSpec(teacher, distillation, shared_maps),
            start=None if watch is None else watch.start,
        )  # fmt: skip

        def finished(weights: Path) -> StudentConfig:
            return with_fewer_hubs(taught, weights, distillation.hubness, pairs, tokenizer)

        return publish(spec, watch, finished)
