"""The correction for hubs: scores, and what a student is after it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch
from crossray.distill.anchors import NEIGHBOURS, with_fewer_hubs
from crossray.distill.distillation import DistillationConfig
from crossray.methods.student.hubness import EXTRA, Hubness, HubnessConfig
from crossray.methods.student.model import StudentConfig
from crossray.models.artifact import WEIGHTS, load_model
from crossray.models.encoder import ModelEncoder
from support.endpoint import DIM, STUDENT, make_items, publish_model, publish_pairs


def units(count: int, width: int, generator: torch.Generator) -> Tensor:
    """Random unit vectors."""
    return functional.normalize(torch.randn(count, width, generator=generator), dim=-1)


@pytest.mark.parametrize("neighbours", [1, 3, 50])
def test_scores_are_those_of_the_paper(neighbours: int) -> None:
    """A sign or a neighbour too many would make hubs worse."""
    generator = torch.Generator()
    generator.seed()
    width, weight = 6, float(torch.rand((), generator=generator))
    hubness = Hubness(HubnessConfig(weight, neighbours, images=9, texts=12), width)
    hubness.image_anchors_AD = units(9, width, generator)
    hubness.text_anchors_AD = units(12, width, generator)
    images, texts = units(4, width, generator), units(5, width, generator)
    found = hubness(images, "image") @ hubness(texts, "text").T
    for i, image in enumerate(images):
        near_image = sorted((float(image @ t) for t in hubness.text_anchors_AD), reverse=True)
        r_image = np.mean(near_image[:neighbours])
        for t, text in enumerate(texts):
            near_text = sorted((float(text @ a) for a in hubness.image_anchors_AD), reverse=True)
            r_text = np.mean(near_text[:neighbours])
            expected = (float(image @ text) - weight * (r_image + r_text)) / (1 + 2 * weight)
            assert float(found[i, t]) == pytest.approx(expected, abs=1e-5)


def test_vectors_stay_unit_vectors_and_can_be_taken_back() -> None:
    """Indexes are built for unit vectors, and codes are made of what was learnt."""
    generator = torch.Generator()
    generator.seed()
    hubness = Hubness(HubnessConfig(0.25, 2, images=7, texts=7), 5)
    hubness.image_anchors_AD = units(7, 5, generator)
    hubness.text_anchors_AD = units(7, 5, generator)
    z_BD = units(8, 5, generator)
    z_BD[0] = hubness.text_anchors_AD[0]
    for modality in ("image", "text"):
        longer_BE = hubness(z_BD, modality)
        assert longer_BE.shape == (8, 5 + EXTRA)
        assert_close(longer_BE.norm(dim=-1), torch.ones(8))
        assert_close(hubness.before(longer_BE), z_BD)
        # of one modality and equally near to the other: no further apart than they were
        twice_BE = hubness(torch.stack([z_BD[1], z_BD[1]]), modality)
        assert_close(twice_BE[0] @ twice_BE[1], torch.tensor(1.0))


def test_a_student_gets_its_anchors(tmp_path: Path) -> None:
    """What is published must give the corrected scores, and the codes that were learnt."""
    rows = [{**row, "split": "train"} for row in make_items(0)]
    pairs, student = publish_pairs(tmp_path, rows), publish_model(tmp_path, "student", STUDENT)
    plain = load_model(student)
    config, weights = plain.method.config, tmp_path / "weights.safetensors"
    assert isinstance(config, StudentConfig)
    shutil.copy(student.local() / WEIGHTS, weights)
    changed = with_fewer_hubs(config, weights, 0.5, pairs, plain.tokenizer)
    paired = [row for row in rows if row["image"] and row["texts"]]
    assert changed.embedding == DIM + EXTRA
    corrected = changed.build(load_weights=False).eval()
    corrected.load_state_dict(load_file(weights))
    assert corrected.hubness is not None

    encoder = ModelEncoder(student)
    anchors = encoder.images([row["image"] for row in paired])
    assert_close(corrected.hubness.image_anchors_AD.numpy(), anchors.z_BD, rtol=0, atol=1e-5)
    assert corrected.hubness.text_anchors_AD.shape == (changed.hubness.texts, DIM)

    image = ImageBatch(torch.randn(5, 3, 64, 64))
    text = plain.tokenizer.encode([["dog jumps"], ["left effusion"], ["heart"]], plain.max_tokens)
    with torch.inference_mode():
        before, after = (
            (method.represent_image(image), method.represent_text(text))
            for method in (plain.method, corrected)
        )
    for old, new in zip(before, after, strict=True):
        assert_close(new["h"], old["h"], rtol=0, atol=1e-4)
    image_z, text_z = before[0]["z"], before[1]["z"]
    near = [
        (z @ anchors_AD.T).topk(NEIGHBOURS, dim=-1).values.mean(dim=-1)
        for z, anchors_AD in (
            (image_z, corrected.hubness.text_anchors_AD),
            (text_z, corrected.hubness.image_anchors_AD),
        )
    ]
    expected = (image_z @ text_z.T - 0.5 * (near[0][:, None] + near[1][None])) / 2
    assert_close(after[0]["z"] @ after[1]["z"].T, expected, rtol=0, atol=1e-5)


def test_without_a_share_nothing_changes() -> None:
    """A student of earlier recipes must be what it was."""
    assert with_fewer_hubs(STUDENT, Path("nowhere"), 0.0, None, None) == STUDENT  # type: ignore[arg-type]


@pytest.mark.parametrize("hubness", [-0.1, 1.5])
def test_broken_corrections(hubness: float) -> None:
    """It would be noticed after the training."""
    with pytest.raises(CrossRayError, match="is no share"):
        DistillationConfig(hubness=hubness)
