"""MMDL against plain computations of its printed equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.encoders.image import given_images
from crossray.encoders.text import given_texts
from crossray.evaluation import average_precision, mean_over_queries, share_label
from crossray.evaluation.metrics.relevance import own_columns, without_own
from crossray.methods.mmdl import Mmdl, MmdlConfig
from crossray.methods.mmdl.layers import OutAct, SharedEncoder, coupling_matrix
from crossray.methods.mmdl.model import label_residual
from support.tiny import LABELS, TINY, batch_of

IMAGE_WIDTH, TEXT_WIDTH = 12, 7
SMALL = MmdlConfig(
    image=given_images(IMAGE_WIDTH), text=given_texts(TEXT_WIDTH), labels=LABELS,
    hidden=16, embedding=8,
)  # fmt: skip


def features_batch(images_BC: Tensor, texts_BW: Tensor, labels_BC: Tensor) -> Batch:
    """A batch of vectors."""
    rows = len(images_BC)
    text = TextBatch(
        torch.ones(rows, 1, dtype=torch.bool),
        torch.zeros(rows, 1, dtype=torch.long),
        states_BTD=texts_BW[:, None],
    )
    images = ImageBatch(grid_BCYX=images_BC[:, :, None, None])
    return Batch(images, text, torch.arange(rows), labels_BC=labels_BC)


def random_batch(seed: int = 0) -> Batch:
    """Six rows of random vectors and labels."""
    generator = torch.Generator().manual_seed(seed)
    return features_batch(
        torch.randn(6, IMAGE_WIDTH, generator=generator),
        torch.randn(6, TEXT_WIDTH, generator=generator),
        torch.randint(0, 2, (6, len(LABELS)), generator=generator).float(),
    )


def built(config: MmdlConfig, seed: int = 0) -> Mmdl:
    """The model with the weights of a seed."""
    torch.manual_seed(seed)
    return config.build()


def test_losses_are_equation_1_of_each_modality() -> None:
    """The sum over modalities is equation 2; a mean over both would halve the step."""
    mmdl, batch = built(SMALL), random_batch()
    assert batch.image.grid_BCYX is not None
    assert batch.text.states_BTD is not None
    assert batch.labels_BC is not None
    image_h = mmdl.encoder(batch.image.grid_BCYX[:, :, 0, 0], "image")
    text_h = mmdl.encoder(batch.text.states_BTD[:, 0], "text")
    terms = mmdl.losses(batch)
    assert set(terms) == {"image", "text"}
    for name, h_BD in (("image", image_h), ("text", text_h)):
        residuals = h_BD @ mmdl.coupling - batch.labels_BC
        torch.testing.assert_close(terms[name], residuals.norm(dim=1).mean())


def test_layers_are_shared_but_for_the_first() -> None:
    """Test 2: without shared weights the report could not shape what images become."""
    names = set(dict(built(SMALL).named_parameters()))
    assert names == {
        "coupling", "encoder.first.image.weight", "encoder.first.image.bias",
        "encoder.first.text.weight", "encoder.first.text.bias", "encoder.second.weight",
        "encoder.second.bias", "encoder.third.weight", "encoder.third.bias",
    }  # fmt: skip
    mmdl, batch = built(SMALL), random_batch()
    shared = (mmdl.encoder.second.weight, mmdl.encoder.third.weight, mmdl.coupling)
    for term in ("image", "text"):
        mmdl.zero_grad()
        mmdl.losses(batch)[term].backward()
        assert all(p.grad is not None and p.grad.any() for p in shared), term


def test_padding_shares_all_layers() -> None:
    """Test 2: zeros that were learned from, or put before the features, would mix columns up."""
    mmdl = built(replace(SMALL, sharing="pad"))
    assert set(mmdl.encoder.first) == {"shared"}
    texts_BW = torch.randn(4, TEXT_WIDTH)
    padded_BC = torch.cat([texts_BW, torch.zeros(4, IMAGE_WIDTH - TEXT_WIDTH)], dim=1)
    torch.testing.assert_close(mmdl.encoder(texts_BW, "text"), mmdl.encoder(padded_BC, "image"))


def test_image_mmdl_is_mmdl_without_its_text_term() -> None:
    """Test 3: an epoch on unpaired images must not depend on whether reports were ever read."""
    both, alone = built(SMALL), built(replace(SMALL, modalities=("image",)))
    alone.load_state_dict(both.state_dict(), strict=False)
    batch = random_batch()
    both.losses(batch)["image"].backward()
    without = replace(batch, text=TextBatch(torch.ones(6, 0).bool(), torch.zeros(6, 0).long()))
    terms = alone.losses(without)
    assert set(terms) == {"image"}
    terms["image"].backward()
    for name, parameter in alone.named_parameters():
        other = both.get_parameter(name).grad
        assert other is not None
        torch.testing.assert_close(parameter.grad, other, msg=name)
    assert all(p.grad is None for p in both.encoder.first["text"].parameters())


def test_coupling_matrix_starts_with_orthonormal_columns() -> None:
    """Classes that start entangled are told apart later, or never."""
    for fixed in (False, True):
        coupling_DC = coupling_matrix(8, 3, fixed)
        torch.testing.assert_close(coupling_DC.T @ coupling_DC, torch.eye(3))
        assert coupling_DC.requires_grad != fixed
    mmdl = built(replace(SMALL, fixed_coupling=True))
    sum(mmdl.losses(random_batch()).values()).sum().backward()
    assert mmdl.coupling.grad is None
    with pytest.raises(CrossRayError, match=r"raise method\.embedding"):
        replace(SMALL, embedding=2)


@pytest.mark.parametrize("out_act", ["relu", "l2", "linear"])
def test_rankings_do_not_depend_on_the_length_of_an_embedding(out_act: OutAct) -> None:
    """Test 10: a bright film would otherwise be near to everything."""
    torch.manual_seed(0)
    mmdl = built(replace(SMALL, out_act=out_act)).eval()
    image = random_batch().image
    with torch.no_grad():
        z_BD = mmdl.encode_image(image)
        mmdl.encoder.third.weight *= 3.0
        mmdl.encoder.third.bias *= 3.0
        torch.testing.assert_close(mmdl.encode_image(image), z_BD)
    cosines = z_BD @ z_BD.T
    if out_act == "relu":
        assert cosines.min() >= 0
        assert cosines.max() <= 1 + 1e-6


def test_a_silent_embedding_scores_zero() -> None:
    """Test 10: NaN would be ranked first, or stop the evaluation."""
    mmdl = built(SMALL).eval()
    with torch.no_grad():
        mmdl.encoder.third.weight.zero_()
        mmdl.encoder.third.bias.fill_(-1.0)
        found = mmdl.represent_image(random_batch().image)
    assert not (found["z"] @ found["z"].T).any()
    torch.testing.assert_close(found["classes"], torch.full((6, len(LABELS)), 0.5))


def test_classes_are_the_sigmoid_of_the_mapped_embedding() -> None:
    """Acc-1 would be read off other numbers than training fitted to the labels."""
    mmdl, image = built(SMALL).eval(), random_batch().image
    assert image.grid_BCYX is not None
    h_BD = mmdl.encoder(image.grid_BCYX[:, :, 0, 0], "image")
    expected = 1 / (1 + torch.exp(-(h_BD @ mmdl.coupling)))
    torch.testing.assert_close(mmdl.represent_image(image)["classes"], expected)


def test_modalities_that_cannot_be_asked_by_images_are_refused() -> None:
    """A text-only model would be judged by images that it never saw."""
    for modalities in (("text",), (), ("image", "image")):
        with pytest.raises(CrossRayError, match="cannot be asked by images"):
            replace(SMALL, modalities=modalities)


def test_dropout_is_off_when_asked() -> None:
    """Two answers to one question would differ."""
    encoder = SharedEncoder({"image": 5}, 8, 4, dropout=0.5).eval()
    features_BC = torch.randn(3, 5)
    torch.testing.assert_close(encoder(features_BC, "image"), encoder(features_BC, "image"))


def test_towers_are_read_as_features_are() -> None:
    """The means over map and tokens are what both modalities bring."""
    config = TINY["mmdl"]
    assert isinstance(config, MmdlConfig)
    mmdl, batch = built(config).eval(), batch_of(4)
    assert batch.labels_BC is not None
    with torch.no_grad():
        states_BTD, mask_BT = mmdl.text_states(batch.text), batch.text.mask_BT
        means_BD = torch.stack([s[m].mean(dim=0) for s, m in zip(states_BTD, mask_BT, strict=True)])
        h_BD = mmdl.encoder(means_BD, "text")
        torch.testing.assert_close(
            mmdl.losses(batch)["text"], label_residual(h_BD, mmdl.coupling, batch.labels_BC)
        )
        torch.testing.assert_close(mmdl.encode_text(batch.text), functional.normalize(h_BD, dim=1))


def retrieval(mmdl: Mmdl, images_NC: Tensor, labels_NC: Tensor) -> float:
    """mAP@10[found], leave-one-out, of images that ask for images."""
    with torch.no_grad():
        z_ND = mmdl.eval().encode_image(ImageBatch(grid_BCYX=images_NC[:, :, None, None]))
    own = own_columns(slice(0, len(z_ND)))
    labels = labels_NC.numpy() > 0
    relevant = without_own(share_label(labels, labels), own)
    scores = without_own((z_ND @ z_ND.T).numpy(), own)
    assert scores.shape == (len(z_ND), len(z_ND) - 1)
    return mean_over_queries(average_precision(scores, relevant, 10, "found"))


def test_reports_help_where_images_lack_what_the_labels_need() -> None:
    """Test 12: with text, images are retrieved better than by Image-MMDL (mean of five seeds).

    Most images of training show their labels in noise; the texts show them cleanly, so that they
    settle the shared layers and the coupling matrix.
    """
    gains = []
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)

        def drawn(
            rows: int, noise: float, generator: torch.Generator = generator
        ) -> tuple[Tensor, Tensor]:
            labels = (torch.rand(rows, 6, generator=generator) < 0.25).float()
            return labels, noise * torch.randn(rows, IMAGE_WIDTH, generator=generator)

        image_map, text_map = (
            torch.randn(6, width, generator=generator) for width in (IMAGE_WIDTH, IMAGE_WIDTH)
        )
        labels_NC, noise_NC = drawn(60, 2.0)
        images_NC, texts_NW = labels_NC @ image_map + noise_NC, labels_NC @ text_map
        test_labels_NC, test_noise_NC = drawn(200, 2.0)
        test_images_NC = test_labels_NC @ image_map + test_noise_NC
        batch = features_batch(images_NC, texts_NW, labels_NC)
        found = {}
        for modalities in (("image", "text"), ("image",)):
            mmdl = built(
                replace(
                    SMALL, text=given_texts(IMAGE_WIDTH), labels=tuple("abcdef"), hidden=64,
                    embedding=32, modalities=modalities,
                ),
                seed,
            )  # fmt: skip
            optimizer = torch.optim.Adam(mmdl.parameters(), lr=1e-3, betas=(0.5, 0.999))
            for _ in range(150):
                optimizer.zero_grad()
                sum(mmdl.losses(batch).values()).sum().backward()
                optimizer.step()
            found[len(modalities)] = retrieval(mmdl, test_images_NC, test_labels_NC)
        gains.append(found[2] - found[1])
    assert np.mean(gains) > 0, gains
