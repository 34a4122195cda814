"""GPLDAN as a whole: who learns from what, and what the parts are worth (tests 4, 8, 9, 10, 12)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.data.corpora.loading import training_loader
from crossray.data.corpora.sampling import BatchSampler
from crossray.encoders.image import given_images
from crossray.encoders.text import given_texts
from crossray.evaluation import average_precision
from crossray.methods.gpldan import Gpldan, GpldanConfig
from crossray.methods.gpldan.losses import (
    PairDistances,
    deception_loss,
    graph_pattern_loss,
    modality_loss,
    original_distances,
)
from crossray.methods.gpldan.model import CLASSIFIER
from support.corpora import RandomCorpus
from support.tiny import TINY

VECTORS = GpldanConfig(
    image=given_images(30), text=given_texts(20), embedding=16, attention_width=8,
    classifier_width=16,
)  # fmt: skip


def vectors(image_BC: Tensor, text_BD: Tensor) -> Batch:
    """Rows of a feature set: one cell an image, one token a text."""
    count = len(image_BC)
    return Batch(
        ImageBatch(grid_BCYX=image_BC[:, :, None, None]),
        TextBatch(
            torch.ones(count, 1, dtype=torch.bool),
            torch.zeros(count, 1, dtype=torch.long),
            states_BTD=text_BD[:, None],
        ),
        torch.arange(count),
    )


def random_vectors(count: int) -> Batch:
    """Independent features of both modalities."""
    return vectors(torch.randn(count, 30), torch.randn(count, 20))


def scores(method: Gpldan, batch: Batch) -> Tensor:
    """Of all images and texts of a batch."""
    with torch.no_grad():
        images, texts = method.represent_image(batch.image), method.represent_text(batch.text)
        return method.score(images, texts).image_to_text_BC


@pytest.mark.parametrize("attention", ["shared", "separate"])
@pytest.mark.parametrize("deviation", ["absolute", "squared"])
def test_losses_are_those_of_the_printed_pipeline(attention: Any, deviation: Any) -> None:
    """Projection, slots, attention and distances, item by item (sections 2 and 3)."""
    config = replace(VECTORS, attention=attention, deviation=deviation, alpha=0.7, beta=0.3)
    method, batch = config.build().eval(), random_vectors(5)
    u, c = batch.image.grid_BCYX[:, :, 0, 0], batch.text.states_BTD[:, 0]  # type: ignore[index]

    def features(x: Tensor, own: torch.nn.Module) -> Tensor:
        return torch.tanh(method.shared_layer(torch.tanh(own(x))))

    v, t = features(u, method.image_layer), features(c, method.text_layer)

    def item(x_L: Tensor, modality: str) -> tuple[Tensor, Tensor]:
        own = method.attention["both" if attention == "shared" else modality]
        x_hk = x_L.view(16, 4)
        return x_hk, torch.softmax((own.w2.weight @ torch.tanh(own.w1.weight @ x_hk))[0], dim=0)

    images, texts = [item(x, "image") for x in v], [item(x, "text") for x in t]

    def l_p(one: tuple[Tensor, Tensor], two: tuple[Tensor, Tensor]) -> Tensor:
        a = one[1] + two[1]
        return 1 - cosine_similarity(one[0] @ a, two[0] @ a, dim=0)

    distances = PairDistances(
        *(torch.stack([torch.stack([l_p(x, y) for y in ys]) for x in xs])
          for xs, ys in ((images, texts), (images, images), (texts, texts)))
    )  # fmt: skip
    expected = graph_pattern_loss(distances, original_distances(u, c), 0.7, 0.3, deviation)
    told = [method.modality_classifier(x)[:, 0] for x in (v, t)]
    expected |= {
        "deception": 0.01 * deception_loss(*told),
        "modality": modality_loss(*told),
    }
    found = method.losses(batch)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_one_slot_is_the_system_without_attention() -> None:
    """The ablation's "without DA": features compared directly (test 4)."""
    method, batch = replace(VECTORS, slots=1).build().eval(), random_vectors(6)
    assert not [name for name, _ in method.named_parameters() if name.startswith("attention")]
    found = scores(method, batch)
    with torch.no_grad():
        image, text = method.encode_image(batch.image), method.encode_text(batch.text)
    torch.testing.assert_close(found, cosine_similarity(image[:, None], text[None], dim=-1))


def test_noise_is_for_training_only() -> None:
    """A search would give other results every time (test 10)."""
    method, batch = VECTORS.build(), random_vectors(6)
    once, again = ({n: v.item() for n, v in method.losses(batch).items()} for _ in range(2))
    assert once["paired"] != again["paired"]
    method.eval()
    torch.testing.assert_close(scores(method, batch), scores(method, batch), atol=0, rtol=0)


@pytest.mark.parametrize(("targets", "moves"), [("clean", False), ("corrupted", True)])
def test_targets_are_of_clean_inputs_unless_asked(
    targets: Any, moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Corrupted inputs would give every batch other distances to learn."""
    seen: list[Tensor] = []

    def spy(image_BC: Tensor, text_BD: Tensor) -> Tensor:
        seen.append(original_distances(image_BC, text_BD))
        return seen[-1]

    monkeypatch.setattr("crossray.methods.gpldan.losses.original_distances", spy)
    method, batch = replace(VECTORS, targets=targets).build(), random_vectors(6)
    for _ in range(2):
        method.losses(batch)
    assert torch.equal(*seen) != moves


def test_normalised_inputs_know_neither_mean_nor_scale() -> None:
    """Two data sets that differ by shift and scale of each dimension are one to the method."""
    config = replace(VECTORS, inputs="normalised", noise_image=0.0, noise_text=0.0)
    method, batch = config.build(), random_vectors(6)
    scale_C, shift_C = torch.rand(30) + 0.5, 10 * torch.randn(30)
    moved = vectors(
        batch.image.grid_BCYX[:, :, 0, 0] * scale_C + shift_C,  # type: ignore[index]
        batch.text.states_BTD[:, 0],  # type: ignore[index]
    )
    losses, of_moved = (method.losses(each) for each in (batch, moved))
    for name in ("paired", "unpaired", "mutual"):
        torch.testing.assert_close(of_moved[name], losses[name], rtol=1e-3, atol=1e-4)
    plain = replace(config, inputs="plain").build()
    assert abs(plain.losses(moved)["unpaired"] - plain.losses(batch)["unpaired"]) > 0.01


def test_normalised_inputs_of_one_item_do_not_depend_on_its_neighbours() -> None:
    """An endpoint encodes what it is asked, alone or in a batch."""
    method = replace(VECTORS, inputs="normalised").build()
    method.losses(random_vectors(50))
    batch = random_vectors(6)
    method.eval()
    alone = torch.cat(
        [
            method.encode_image(ImageBatch(grid_BCYX=grid_CYX[None]))
            for grid_CYX in batch.image.grid_BCYX  # type: ignore[union-attr]
        ]
    )
    torch.testing.assert_close(alone, method.encode_image(batch.image))


def gradients(method: Gpldan, terms: tuple[str, ...], frozen: bool) -> dict[str, float]:
    """Lengths of the gradients of some terms; `frozen`: the classifier stands still."""
    method.modality_classifier.requires_grad_(not frozen)
    method.zero_grad()
    losses = method.losses(random_vectors(6))
    torch.stack([losses[name] for name in terms]).sum().backward()
    method.modality_classifier.requires_grad_(True)
    return {
        name: 0.0 if p.grad is None else float(p.grad.norm())
        for name, p in method.named_parameters()
    }


def test_the_phases_share_out_parameters_and_terms() -> None:
    """A classifier that helps to deceive itself is no adversary (test 8)."""
    method = VECTORS.build()
    classifier, projector = method.phases()
    assert {*classifier.terms, *projector.terms} == method.losses(random_vectors(6)).keys()
    assert not set(classifier.terms) & set(projector.terms)
    assert (classifier.optimizer, projector.optimizer) == ("RMSprop", "AdamW")
    method.eval()
    batch = random_vectors(6)
    whole, apart = method.losses(batch), {}
    for phase in (classifier, projector):
        terms = method.phase_losses(phase, batch)
        assert set(terms) == set(phase.terms)
        apart |= terms
    for name, value in whole.items():
        torch.testing.assert_close(apart[name], value)
    method.train()
    told = gradients(method, classifier.terms, frozen=False)
    assert {name for name, size in told.items() if size} == {
        name for name in told if name.startswith(classifier.parameters)
    }
    deceived = gradients(method, ("deception",), frozen=True)
    moved = {name for name, size in deceived.items() if size}
    assert moved
    assert all(name.startswith(projector.parameters) for name in moved)
    names = [name for name, _ in method.named_parameters()]
    both = (classifier.parameters, projector.parameters)
    assert all(sum(name.startswith(part) for part in both) == 1 for name in names)


def test_without_a_classifier_there_is_one_phase() -> None:
    """The ablation's rows before "+ modality classifier"."""
    method = replace(VECTORS, adversarial=0.0, alpha=0.0).build()
    assert [phase.terms for phase in method.phases()] == [()]
    assert method.losses(random_vectors(6)).keys() == {"paired", "mutual"}
    assert not hasattr(method, CLASSIFIER)


class Poison:
    """Labels that nobody may look at."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"training looked at {name} of the labels")


class PoisonedCorpus(RandomCorpus):
    """A corpus whose labels nobody may read."""

    labels = property(lambda self: Poison(), lambda self, value: None)  # type: ignore[assignment]


def test_no_label_is_looked_at() -> None:
    """Figures of an unsupervised method would be worthless (test 9)."""
    method = TINY["gpldan"].build()
    sampler = BatchSampler(6, 6, 1, 0, (1, 0), 1)
    (batch,) = training_loader(PoisonedCorpus(6, 1), sampler, seed=0, processes=0)
    poisoned = replace(batch, labels_BC=Poison())
    plain = method.eval().losses(replace(batch, labels_BC=torch.ones(6, 3)))
    for name, value in method.losses(poisoned).items():
        torch.testing.assert_close(value, plain[name])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"slots": 0}, "slots=0"),
        ({"noise_text": 1.0}, "noise_text=1.0"),
        ({"alpha": -1.0}, "alpha=-1.0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(change: dict[str, Any], sentence: str) -> None:
    """A run would end in NaN after hours."""
    with pytest.raises(CrossRayError, match=sentence):
        replace(VECTORS, **change)


class World:
    """Ten classes seen by two modalities through fixed random networks."""

    def __init__(self) -> None:
        self.centres = 2 * torch.randn(10, 8)
        self.image, self.text = torch.randn(8, 30), torch.randn(8, 20)

    def draw(self, count: int) -> tuple[Batch, Tensor]:
        """Paired rows with some noise of each modality's own, and their classes."""
        label_B = torch.randint(10, (count,))
        cause = self.centres[label_B] + torch.randn(count, 8)
        image = torch.tanh(cause @ self.image / 4) + 0.3 * torch.randn(count, 30)
        return vectors(image, cause @ self.text / 4 + 0.3 * torch.randn(count, 20)), label_B


def test_the_whole_loss_beats_paired_distances_alone() -> None:
    """Pulling pairs together and nothing else collapses the space (test 12)."""
    torch.manual_seed(0)
    world = World()
    (train, _), (test, label_B) = world.draw(512), world.draw(200)
    relevant = (label_B[:, None] == label_B[None, :]).numpy()
    found = {}
    for name, config in (
        ("whole", VECTORS),
        ("paired", replace(VECTORS, alpha=0.0, beta=0.0, adversarial=0.0)),
    ):
        method = config.build()
        phases = [
            (
                phase.terms or ("paired",),
                torch.optim.Adam(
                    [p for n, p in method.named_parameters()
                     if not phase.parameters or n.startswith(phase.parameters)], 2e-3
                ),
            )
            for phase in method.phases()
        ]  # fmt: skip
        for _ in range(150):
            rows = torch.randperm(512)[:64]
            image, text = train.image.grid_BCYX, train.text.states_BTD
            assert image is not None
            assert text is not None
            batch = vectors(image[rows, :, 0, 0], text[rows, 0])
            for terms, optimiser in phases:
                losses = method.losses(batch)
                method.zero_grad()
                sum(losses[term] for term in terms).backward()
                optimiser.step()
        scores_QN = scores(method.eval(), test).numpy()
        both = (average_precision(s, relevant, 50, "found") for s in (scores_QN, scores_QN.T))
        found[name] = float(np.mean([values.mean() for values in both]))
    assert found["whole"] > found["paired"] + 0.1
    assert found["whole"] > 0.6
