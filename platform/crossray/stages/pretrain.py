"""Train a teacher: from a `pairs` or `features` artifact to a `teacher` artifact."""

from dataclasses import dataclass, replace
from typing import Annotated

from tyro.conf import arg

from crossray.core.artifacts import Artifact, check_writable, open_artifact, require_parent
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve
from crossray.data.tokenization import load_tokenizer
from crossray.encoders.weights import GIVEN
from crossray.methods.recipe import Recipe
from crossray.models.artifact import TOKENIZER
from crossray.models.fitting import check_selection, fitted, make_tokenizer, with_label_vocabulary
from crossray.models.towers import same_towers, towers_of
from crossray.models.training_data import open_training_data
from crossray.stages.closed_form import fit
from crossray.training.initial_weights import require_same_words, tokenizer_of
from crossray.training.run import Watch, publish
from crossray.training.spec import RunSpec
from crossray.training.tracking import Track, require_mlflow


@dataclass(frozen=True)
class Pretrain:
    """Train a model on Ray Train with DeepSpeed; a closed-form method is fitted in this process.

    Attributes:
        pairs: the artifact to train on: a name in the store, an absolute path or a URI; nothing for
            a feature set. Self-supervision also reads its items without a text or an image.
        out: the teacher artifact.
        recipe: the method and everything that trains it.
        features: an artifact with cached outputs of the recipe's frozen towers, made from `pairs`;
            or a feature set, whose vectors then stand in the place of towers.
        init: a teacher to start from: weights of equal name and shape are taken from it, and its
            vocabulary; with `features`, all but the towers'.
        track: where metrics go besides TensorBoard.
    """

    pairs: str | None
    out: str
    recipe: Annotated[Recipe, arg(name="")]
    features: str | None = None
    init: str | None = None
    track: Track = "none"

    def run(self, watch: Watch | None = None) -> Artifact:
        """Train and publish; prints progress and one table."""
        recipe = self.recipe
        recipe.check()
        check_writable(resolve(self.out))
        if self.track == "mlflow":
            require_mlflow()
        init = self._init()
        can = recipe.method.capabilities
        if self.features is not None and "pretext" in can:
            raise CrossRayError(
                f"{recipe.name} trains towers, so it reads images and texts themselves; leave "
                "--features out."
            )
        spec = self.spec(init)
        recipe = with_label_vocabulary(spec.recipe, spec.data)
        start = None if watch is None else watch.start
        spec = replace(spec, recipe=recipe, init=init, track=self.track, start=start)
        if "closed_form" in can:
            return fit(spec)
        check_selection(recipe, spec.data)
        if init is not None and spec.features is not None and spec.tokenizer is not None:
            require_same_words(init, tokenizer_of(init, recipe.tokenizer), spec.tokenizer)
        return publish(spec, watch)

    def spec(self, init: Artifact | None = None) -> RunSpec:
        """The run from its data alone: the recipe fitted to them, and their tokenizer."""
        data = open_training_data(self.pairs, self.features, self.recipe.name)
        if data.is_feature_set:
            return self._from_vectors(data.source)
        if data.features is not None:
            return self._from_features(data.source, data.features)
        return self._from_pairs(data.source, init)

    def _init(self) -> Artifact | None:
        if self.init is None:
            return None
        if "closed_form" in self.recipe.method.capabilities:
            raise CrossRayError(
                f"{self.recipe.name} is fitted at once and starts from no weights; "
                "leave --init out."
            )
        return open_artifact(resolve(self.init), "teacher")

    def _from_pairs(self, pairs: Artifact, init: Artifact | None) -> RunSpec:
        if init is None:
            tokenizer = make_tokenizer(self.recipe.tokenizer, pairs)
        else:
            tokenizer = tokenizer_of(init, self.recipe.tokenizer)
        return RunSpec(fitted(self.recipe, tokenizer), pairs, resolve(self.out), tokenizer)

    def _from_features(self, pairs: Artifact, features: Artifact) -> RunSpec:
        recipe, text = self.recipe, towers_of(features)[1]
        require_parent(features, pairs)
        tokenizer = load_tokenizer(f"path:{features.local() / TOKENIZER}")
        if text.weights == GIVEN:  # Doc2Vec's vectors take the place of a text tower
            recipe = replace(recipe, method=replace(recipe.method, text=text))
        spec = RunSpec(fitted(recipe, tokenizer), pairs, resolve(self.out), tokenizer, features)
        same_towers(spec.recipe.method, features)
        return spec

    def _from_vectors(self, vectors: Artifact) -> RunSpec:
        image, text = towers_of(vectors)
        if vectors.manifest.parents:
            made_from = vectors.manifest.parents[0].uri
            raise CrossRayError(
                f"{vectors.uri} was made from the pairs {made_from}; give them with --pairs."
            )
        method = replace(self.recipe.method, image=image, text=text)
        spec = RunSpec(replace(self.recipe, method=method), vectors, resolve(self.out))
        same_towers(spec.recipe.method, vectors)
        return spec
