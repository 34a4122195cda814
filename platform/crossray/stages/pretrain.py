"""Train a teacher: from a `pairs` or `features` artifact to a `teacher` artifact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

from tyro.conf import arg

from crossray.core.artifacts import Artifact, check_writable, open_artifact, require_parent
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve
from crossray.data.tokenization import Tokenizer, load_tokenizer
from crossray.encoders.weights import GIVEN
from crossray.methods.contract import UnimodalConfig
from crossray.methods.recipe import Recipe
from crossray.models.artifact import TOKENIZER
from crossray.models.fitting import check_selection, fitted, labelled, make_tokenizer
from crossray.models.towers import same_towers, towers_of
from crossray.stages.closed_form import Fit
from crossray.training.initial_weights import require_same_words, tokenizer_of
from crossray.training.run import Run, Watch
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
        recipe, out = self.recipe, resolve(self.out)
        recipe.check()
        check_writable(out)
        if self.track == "mlflow":
            require_mlflow()
        init = self._init()
        if self.features is not None and isinstance(recipe.method, UnimodalConfig):
            raise CrossRayError(
                f"{recipe.name} trains towers, so it reads images and texts themselves; leave "
                "--features out."
            )
        if self.features is not None:
            made = self._from_features(self.features)
        elif self.pairs is not None:
            made = self._from_pairs(self.pairs, init)
        else:
            raise CrossRayError(
                f"{recipe.name} needs data to train on; give --pairs, --features or both."
            )
        made = made._replace(recipe=labelled(made.recipe, made.parents[0]))
        if recipe.method.closed_form:
            return Fit(made.recipe, made.tokenizer, made.source, out, made.parents).publish()
        check_selection(made.recipe, made.parents[0])
        parents = made.parents
        if init is not None:
            parents += (init,)
            if self.features is not None and made.tokenizer is not None:
                require_same_words(init, tokenizer_of(init, recipe.tokenizer), made.tokenizer)
        return Run(
            "teacher", made.recipe, made.tokenizer, made.parents[0], made.source, out,
            parents, self.track, init=init, watch=watch,
        ).publish()  # fmt: skip

    def _init(self) -> Artifact | None:
        if self.init is None:
            return None
        if self.recipe.method.closed_form:
            raise CrossRayError(
                f"{self.recipe.name} is fitted at once and starts from no weights; "
                "leave --init out."
            )
        return open_artifact(resolve(self.init), "teacher")

    def _from_pairs(self, name: str, init: Artifact | None = None) -> _Inputs:
        pairs = open_artifact(resolve(name), "pairs")
        if init is None:
            tokenizer = make_tokenizer(self.recipe.tokenizer, pairs)
        else:
            tokenizer = tokenizer_of(init, self.recipe.tokenizer)
        return _Inputs(tokenizer, fitted(self.recipe, tokenizer), pairs, (pairs,))

    def _from_features(self, name: str) -> _Inputs:
        features = open_artifact(resolve(name), "features")
        parents: tuple[Artifact, ...] = (features,)
        if self.pairs is not None:
            pairs = open_artifact(resolve(self.pairs), "pairs")
            require_parent(features, pairs)
            parents = (pairs, features)
        elif features.manifest.parents:
            made_from = features.manifest.parents[0].uri
            raise CrossRayError(
                f"{features.uri} was made from the pairs {made_from}; give them with --pairs."
            )
        if self.pairs is None:
            image, text = towers_of(features)
            method = replace(self.recipe.method, image=image, text=text)
            tokenizer, recipe = None, replace(self.recipe, method=method)
        else:
            tokenizer = load_tokenizer(f"path:{features.local() / TOKENIZER}")
            recipe, (_, text) = self.recipe, towers_of(features)
            if text.weights == GIVEN:  # Doc2Vec's vectors take the place of a text tower
                recipe = replace(recipe, method=replace(recipe.method, text=text))
            recipe = fitted(recipe, tokenizer)
        same_towers(recipe.method, features)
        return _Inputs(tokenizer, recipe, features, parents)


class _Inputs(NamedTuple):
    """What is trained, on what; the first of the parents says how many items there are."""

    tokenizer: Tokenizer | None
    recipe: Recipe
    source: Artifact
    parents: tuple[Artifact, ...]
