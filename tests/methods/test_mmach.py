"""MMACH in training: who is updated when, what is remembered, what is published."""

from __future__ import annotations

from dataclasses import replace

import faiss
import numpy as np
import pytest
import torch
from torch import Tensor

from crossray.codes import binarise, pack
from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.encoders.image import given_images
from crossray.encoders.text import given_texts
from crossray.evaluation.hamming.average_precision import hamming_average_precision
from crossray.methods.contract import TrainingSet
from crossray.methods.mmach import Mmach, MmachConfig, MmachTraining
from crossray.methods.mmach.label_features import label_text
from crossray.methods.mmach.losses import common_codes
from crossray.methods.mmach.networks import HashNetwork, MultiScale
from support.tiny import LABELS_NC, TINY, batch_of, training_set

CONFIG = TINY["mmach"]
assert isinstance(CONFIG, MmachConfig)
TABLES = ("label_NK", "image_NK", "text_NK")


def training(config: MmachConfig = CONFIG, known: TrainingSet | None = None) -> MmachTraining:
    """A tiny MMACH before its first step."""
    torch.manual_seed(0)
    prepared = config.build().prepare(known or training_set())
    assert isinstance(prepared, MmachTraining)
    return prepared.train()


def seen(size: int, start: int) -> Batch:
    """Some of the twelve items, from one of them on."""
    return replace(
        batch_of(size), rows_B=torch.arange(start, start + size), labels_BC=LABELS_NC[start:][:size]
    )


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("objective", ["triplet", "mse"])
def test_a_phase_changes_its_own_network_only(turn: int, objective: str) -> None:
    """The other two are the fixed points that it learns from (Algorithm 1)."""
    method = training(replace(CONFIG, objective=objective))  # type: ignore[arg-type]
    phase, batch = method.phases()[turn], seen(4, 3)
    before = {name: x.clone() for name, x in method.state_dict().items()}
    sum(method.phase_losses(phase, batch).values()).backward()
    with torch.no_grad():
        for parameter in method.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
    after = method.state_dict()
    changed = {name for name, x in after.items() if not torch.equal(x, before[name])}
    own = {f"{phase.name}_NK", "draws", *(() if objective == "mse" else ("skipped",))}
    learnt = {name for name in changed if name.startswith(phase.parameters)}
    assert learnt
    assert changed - learnt <= own | {"updating"}
    rows = (after[f"{phase.name}_NK"] != before[f"{phase.name}_NK"]).any(dim=1)
    assert rows.nonzero()[:, 0].tolist() == [3, 4, 5, 6]


def test_tables_hold_what_the_networks_gave() -> None:
    """A table row is what the last pass made of the item, not a mixture."""
    method, batch = training(), seen(4, 2)
    method.phase_losses(method.phases()[0], batch)
    expected = method.label_network(method.label_inputs(batch))
    torch.testing.assert_close(method.label_NK[2:6], expected)


def test_codes_are_made_anew_once_an_epoch() -> None:
    """Equation 7 after all three passes: codes that move within a pass are no target."""
    method, batch = training(), seen(6, 0)
    label, image, text = method.phases()
    first = method.codes_NK.clone()
    torch.testing.assert_close(
        first, common_codes(method.image_NK, method.text_NK, method.label_NK)
    )
    for phase in (label, label, image, text):
        method.phase_losses(phase, batch)
        assert torch.equal(method.codes_NK, first)
    expected = common_codes(method.image_NK, method.text_NK, method.label_NK)
    assert not torch.equal(expected, first)
    method.phase_losses(label, batch)
    assert torch.equal(method.codes_NK, expected)


def test_evaluation_leaves_no_trace() -> None:
    """Looking at a loss must not train."""
    method, batch = training().eval(), seen(6, 0)
    before = {name: x.clone() for name, x in method.state_dict().items()}
    first, second = (method.losses(batch) for _ in range(2))
    for name, value in first.items():
        torch.testing.assert_close(value, second[name])
    assert all(torch.equal(x, before[name]) for name, x in method.state_dict().items())


def test_skipped_anchors_are_shown() -> None:
    """Item 9 has no label, so no pass gives it a triplet; a user must see how many go without."""
    method = training()
    method.phase_losses(method.phases()[0], seen(4, 8))
    assert method.observations()["skipped_anchors"] >= 4  # once in each of the four sets


def test_labels_are_left_behind() -> None:
    """Test time knows no labels: what is published has neither label network nor tables."""
    method = training()
    published = method.published_method()
    assert isinstance(published, Mmach)
    names = set(published.state_dict())
    assert names == set(CONFIG.build().state_dict())
    assert not any("label" in name or name.endswith("_NK") for name in names)
    batch = batch_of(3)
    method.eval()
    with torch.no_grad():
        image, text = published.represent_image(batch.image), published.represent_text(batch.text)
        torch.nn.init.zeros_(method.label_network[0].weight)
        for before, after in (
            (image, published.represent_image(batch.image)),
            (text, published.represent_text(batch.text)),
        ):
            assert torch.equal(before["h"], after["h"])


@pytest.mark.parametrize("norm", ["batch", "local_response"])
def test_outputs_are_open_and_codes_are_signs(norm: str) -> None:
    """Distances between codes are the same in arithmetic, in bits and in the binary index."""
    method = replace(CONFIG, norm=norm).build().eval()  # type: ignore[arg-type]
    batch = batch_of(6)
    with torch.no_grad():
        outputs_BK = method.image_outputs(batch.image)
        hashes = [
            method.represent_image(batch.image)["h"], method.represent_text(batch.text)["h"]
        ]  # fmt: skip
    assert outputs_BK.abs().max() < 1
    assert torch.equal(hashes[0] >= 0, outputs_BK >= 0)
    image_BK, text_BK = (torch.where(h >= 0, 1, -1).numpy() for h in hashes)
    expected_BB = (CONFIG.bits - image_BK @ text_BK.T) // 2
    packed = [pack(binarise(h.numpy())) for h in hashes]
    assert (
        np.bitwise_count(packed[0][:, None] ^ packed[1][None]).sum(axis=2).tolist()
        == expected_BB.tolist()
    )
    index = faiss.IndexBinaryFlat(CONFIG.bits)
    index.add(packed[1])
    distances, items = index.search(packed[0], 6)
    assert distances.tolist() == np.take_along_axis(expected_BB, items, axis=1).tolist()


def test_the_attention_can_be_left_out() -> None:
    """MLSDCH: the label network is fed with the labels alone."""
    batch = seen(6, 0)
    plain, enriched = (training(replace(CONFIG, attention=on)) for on in (False, True))
    expected = plain.label_features_UW[plain.label_set_N[:6]]
    assert torch.equal(plain.label_inputs(batch), expected)
    assert not torch.allclose(enriched.label_inputs(batch), expected)


def test_l2_inputs_are_unit_vectors() -> None:
    """The option of section 5: all three features count alike, whatever their lengths."""
    found = training(replace(CONFIG, l2_inputs=True)).label_inputs(seen(6, 0))
    label = training(replace(CONFIG, l2_inputs=True, attention=False)).label_inputs(seen(6, 0))
    torch.testing.assert_close(label.norm(dim=1), torch.ones(6))
    assert found.norm(dim=1).max() <= 3 + 1e-5


def test_label_features_read_the_names_of_the_labels() -> None:
    """E_L reads text: items with the same labels have the same features, one without has none."""
    assert label_text(LABELS_NC[7], CONFIG.labels) == "fracture mass pleural effusion"
    method = training()
    features_NW = method.label_features_UW[method.label_set_N]
    assert not features_NW[9].any()
    assert len(method.label_features_UW) == len(LABELS_NC.unique(dim=0))
    with torch.no_grad():
        own = method.method.text_features(training_set().encode(["edema mass"]))  # type: ignore[misc]
    torch.testing.assert_close(features_NW[:1], own)


def test_a_feature_set_takes_labels_as_numbers() -> None:
    """It has no text tower to read names with; the sentence says what to do."""
    config = replace(CONFIG, image=given_images(8), text=given_texts(6), scales=(2,))
    known = TrainingSet(seed=0, labels_NC=LABELS_NC)
    with pytest.raises(CrossRayError, match="label_encoding to multi_hot"):
        training(config, known)
    method = training(replace(config, label_encoding="multi_hot"), known)
    features_NW = method.label_features_UW[method.label_set_N]
    torch.testing.assert_close(features_NW @ features_NW.T, LABELS_NC @ LABELS_NC.T)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bits": 12}, "does not fill whole bytes"),
        ({"scales": (2, 0)}, "no sizes of networks"),
        ({"wide": 0}, "no sizes of networks"),
        ({"tries": 0}, "no settings of MMACH"),
        ({"alpha": -1.0}, "no settings of MMACH"),
    ],
)
def test_configurations_that_cannot_be(change: dict[str, object], words: str) -> None:
    """A run that fails in its tenth minute has wasted ten."""
    with pytest.raises(CrossRayError, match=words):
        replace(CONFIG, **change)  # type: ignore[arg-type]


def test_scales_beyond_the_features_are_refused() -> None:
    """Torch would say that an output has no elements."""
    with pytest.raises(CrossRayError, match="leave out the scales above"):
        replace(CONFIG, scales=(1000,)).build()


def test_unlabelled_training_splits_are_refused() -> None:
    """Without one triplet the networks would drift to arbitrary codes."""
    with pytest.raises(CrossRayError, match="no item of the training split carries a label"):
        training(known=replace(training_set(), labels_NC=torch.zeros(12, 4)))


def test_margins_are_a_quarter_of_the_bits() -> None:
    """Section 5; a margin of 4 is one bit."""
    assert CONFIG.gammas == (4.0,) * 4
    assert replace(CONFIG, margins=(1.0, 2.0, 3.0, 4.0)).gammas == (1.0, 2.0, 3.0, 4.0)
    assert replace(CONFIG, bits=64).embedding == 64


def test_scales_against_loops() -> None:
    """Section 3.1: average, ReLU, stretch to the old length; the vector itself comes first."""
    x_BD = torch.randn(3, 13)
    found_BSD = MultiScale((4, 1))(x_BD)
    assert torch.equal(found_BSD[:, 0], x_BD)
    torch.testing.assert_close(found_BSD[:, 2], x_BD.relu())
    for row in range(3):
        coarse = [max(0.0, float(x_BD[row, 4 * n : 4 * n + 4].mean())) for n in range(3)]
        for at in range(13):
            place = min(max((at + 0.5) * 3 / 13 - 0.5, 0.0), 2.0)
            low = min(int(place), 1)
            expected = coarse[low] + (place - low) * (coarse[low + 1] - coarse[low])
            assert found_BSD[row, 1, at].item() == pytest.approx(expected, abs=1e-5)


def test_networks_have_the_published_sizes() -> None:
    """4096 and 512 at full size: six channels of 512 feed the first."""
    with torch.device("meta"):
        network = HashNetwork(512, (10, 6, 3, 2, 1), 4096, 512, 64, "batch")
    assert network.wide.weight.shape == (4096, 6 * 512)
    assert network.narrow.weight.shape == (512, 4096)
    assert network.out.weight.shape == (64, 512)


def causes(items: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Image and text features of items whose labels are seen in both, under noise; the labels."""
    draws = torch.Generator().manual_seed(seed)
    maps = torch.Generator().manual_seed(99)
    labels_NC = (torch.rand(items, 5, generator=draws) > 0.6).float()
    views = [
        labels_NC @ torch.randn(5, width, generator=maps)
        + 0.5 * torch.randn(items, width, generator=draws)
        for width in (24, 16)
    ]
    return views[0], views[1], labels_NC


def batch_from(image_BC: Tensor, text_BW: Tensor, rows_B: Tensor) -> Batch:
    """Features as a batch of maps of one cell and texts of one token."""
    ones = torch.ones(len(rows_B), 1, dtype=torch.bool)
    text = TextBatch(ones, ones.long(), states_BTD=text_BW[:, None])
    return Batch(ImageBatch(grid_BCYX=image_BC[:, :, None, None]), text, rows_B, rows_B=rows_B)


def quality(method: Mmach) -> list[float]:
    """Mean average precision over all by labels, both directions, on items of another seed."""
    image_NC, text_NW, labels_NC = causes(150, seed=2)
    batch = batch_from(image_NC, text_NW, torch.arange(150))
    with torch.no_grad():
        method.eval()
        parts = method.represent_image(batch.image), method.represent_text(batch.text)
    image_NY, text_NY = (pack(binarise(part["h"].numpy())) for part in parts)
    labels = labels_NC.numpy() > 0
    kept = labels.any(axis=1)
    return [
        float(hamming_average_precision(a, b, labels, labels)[kept].mean())
        for a, b in ((image_NY, text_NY), (text_NY, image_NY))
    ]


@pytest.mark.parametrize("change", [{}, {"objective": "mse"}, {"attention": False}])
def test_training_beats_chance_and_untrained_codes(change: dict[str, object]) -> None:
    """The whole method, 16 bits, a few epochs: labels of unseen items are found both ways."""
    config = MmachConfig(
        image=given_images(24), text=given_texts(16), bits=16, scales=(3, 2), wide=32, narrow=16,
        label_hidden=32, label_encoding="multi_hot", labels=tuple("abcde"), **change,  # type: ignore[arg-type]
    )  # fmt: skip
    image_NC, text_NW, labels_NC = causes(256, seed=1)
    method = training(config, TrainingSet(seed=0, labels_NC=labels_NC))
    untrained = quality(method.method)
    test_labels = causes(150, seed=2)[2]
    chance = float((test_labels @ test_labels.T > 0).float().mean())
    for epoch in range(12):
        method.train()
        for phase in method.phases():
            own = [p for n, p in method.named_parameters() if n.startswith(phase.parameters)]
            optimizer = torch.optim.SGD(own, lr=0.3 * (1 - epoch / 12))
            for rows_B in torch.randperm(256).split(64):
                batch = batch_from(image_NC[rows_B], text_NW[rows_B], rows_B)
                optimizer.zero_grad()
                sum(method.phase_losses(phase, batch).values()).backward()
                optimizer.step()
    trained = quality(method.method)
    assert min(trained) > max(untrained) + 0.05
    assert min(trained) > chance + 0.1
