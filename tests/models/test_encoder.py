"""A trained model as a function from images and texts to vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.tokenization import Tokenizer, train_wordpiece
from crossray.methods.config import MethodConfig
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict, save_weights
from crossray.models.encoder import ModelEncoder
from support.images import encoded_image
from support.tiny import CLOSED_FORM, TINY, UNIMODAL


def artifact_of(config: MethodConfig, folder: Path) -> Artifact:
    """A method that nobody trained, as a teacher."""
    tokenizer = Tokenizer(train_wordpiece(["a dog jumps"] * 3, config.text.vocab_size))
    config = replace(config, text=replace(config.text, vocab_size=tokenizer.vocab_size))
    described = {"method": method_to_dict(config), "tokenizer": {"max_tokens": 16}}
    with create(str(folder / config.name), "teacher", described) as draft:
        save_weights(dict(config.build().state_dict()), draft.path / WEIGHTS)
        tokenizer.save(draft.path / TOKENIZER)
    return open_artifact(str(folder / config.name))


@pytest.mark.parametrize("name", ["ath", "image_ranking", "image_features", "clip"])
def test_the_dimensions_are_those_of_the_vectors(name: str, tmp_path: Path) -> None:
    """Methods of images alone have them from their tower; the vectors' schema is made of them."""
    encoder = ModelEncoder(artifact_of({**TINY, **CLOSED_FORM}[name], tmp_path))
    assert encoder.images([encoded_image(3)]).z_BD.shape == (1, encoder.dim)
    assert encoder.reads_texts == (name == "clip")


def test_a_first_stage_is_refused(tmp_path: Path) -> None:
    """Its images and texts have nothing in common; hits would be chance."""
    with pytest.raises(CrossRayError, match=r"is a first stage, .* --init"):
        ModelEncoder(artifact_of(UNIMODAL, tmp_path))
