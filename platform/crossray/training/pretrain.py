"""Train a teacher: from a `pairs` or `features` artifact to a `teacher` artifact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from crossray.core.artifacts import Artifact, check_writable, open_artifact, require_parent
from crossray.core.store import resolve
from crossray.data.tokenization import Tokenizer, load_tokenizer
from crossray.distill.models import TOKENIZER
from crossray.training.config import Recipe
from crossray.training.features import same_towers
from crossray.training.fitting import fitted, make_tokenizer
from crossray.training.run import Run
from crossray.training.tracking import Track, require_mlflow


@dataclass(frozen=True)
class Pretrain:
    """Train a model on Ray Train with DeepSpeed.

    Attributes:
        pairs: the artifact to train on: a name in the store, an absolute path or a URI.
        out: the teacher artifact.
        recipe: the method and everything that trains it.
        features: an artifact with cached outputs of the recipe's frozen towers, made from `pairs`.
        track: where metrics go besides TensorBoard.
    """

    pairs: str
    out: str
    recipe: Annotated[Recipe, arg(name="")]
    features: str | None = None
    track: Track = "none"

    def run(self) -> Artifact:
        """Train and publish; prints progress and one table."""
        recipe, out = self.recipe, resolve(self.out)
        recipe.check()
        check_writable(out)
        if self.track == "mlflow":
            require_mlflow()
        pairs = open_artifact(resolve(self.pairs), "pairs")
        tokenizer, recipe, source = self._inputs(pairs)
        parents = (pairs,) if source.id == pairs.id else (pairs, source)
        return Run("teacher", recipe, tokenizer, pairs, source, out, parents, self.track).publish()

    def _inputs(self, pairs: Artifact) -> tuple[Tokenizer, Recipe, Artifact]:
        if self.features is None:
            tokenizer = make_tokenizer(self.recipe.tokenizer, pairs)
            return tokenizer, fitted(self.recipe, tokenizer), pairs
        features = open_artifact(resolve(self.features), "features")
        require_parent(features, pairs)
        tokenizer = load_tokenizer(f"path:{features.local() / TOKENIZER}")
        recipe = fitted(self.recipe, tokenizer)
        same_towers(recipe, features)
        return tokenizer, recipe, features
