"""Teachers that nobody trained."""

from __future__ import annotations

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.config import to_dict
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict, save_weights
from crossray.models.fitting import fitted, make_tokenizer
from crossray.recipes import get_recipe


def untrained_teacher(pairs: Artifact, out: str) -> Artifact:
    """`hier_tiny` as it starts."""
    recipe = get_recipe("hier_tiny")
    tokenizer = make_tokenizer(recipe.tokenizer, pairs)
    recipe = fitted(recipe, tokenizer)
    config = {**to_dict(recipe), "method": method_to_dict(recipe.method)}
    with create(out, "teacher", config, (pairs,)) as draft:
        save_weights(dict(recipe.method.build().state_dict()), draft.path / WEIGHTS)
        tokenizer.save(draft.path / TOKENIZER)
    return open_artifact(out)
