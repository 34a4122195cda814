"""Every method keeps the contract that training, evaluation and serving rely on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, TextBatch
from crossray.methods import METHODS
from crossray.methods.config import MethodConfig
from crossray.methods.contract import ClosedForm, Trainable, Unimodal, same_study
from crossray.methods.hier import HierConfig
from support.tiny import CLOSED_FORM, STUDENT, TINY, UNIMODAL, batch_of, training_set


@pytest.fixture(params=sorted(TINY))
def method(request: pytest.FixtureRequest) -> Trainable[Any]:
    """Every method in turn, small and with the same weights each time."""
    torch.manual_seed(0)
    return TINY[request.param].build().prepare(training_set())


def test_registry_is_covered() -> None:
    """A method without these tests could break its users unseen."""
    assert TINY.keys() | CLOSED_FORM.keys() | {UNIMODAL.name} == METHODS.keys()
    closed = {name for name, config in METHODS.items() if "closed_form" in config().capabilities}
    assert closed == CLOSED_FORM.keys()


@pytest.mark.parametrize("name", sorted(CLOSED_FORM))
def test_closed_forms_keep_the_contract_too(name: str) -> None:
    """Unit vectors, scores that do not depend on the batch, and coarse maps that serve as well."""
    torch.manual_seed(0)
    method = CLOSED_FORM[name].build().eval()
    assert isinstance(method, ClosedForm)
    method.fit([batch_of(12), batch_of(12)])
    test_embeddings_are_unit_vectors(method)
    test_maps_averaged_as_far_as_allowed_serve_as_well(method, 8)
    test_scores_do_not_depend_on_the_batch(method)
    with pytest.raises(TypeError, match="fitted, not trained"):
        method.prepare(training_set())


def test_embeddings_are_unit_vectors(method: Trainable[Any]) -> None:
    """An index compares directions; lengths would bias it."""
    batch = batch_of(4)
    encoded = [method.encode_image(batch.image)]
    if "images_only" not in method.config.capabilities:
        encoded.append(method.encode_text(batch.text))
    for z in encoded:
        torch.testing.assert_close(z.norm(dim=-1), torch.ones(4))


def test_methods_without_texts_say_so() -> None:
    """A wrong protocol would end in a traceback."""
    for name, config in {**TINY, **CLOSED_FORM}.items():
        if "images_only" in config.capabilities:
            with pytest.raises(CrossRayError, match=f"this {name} model reads images only"):
                config.build().encode_text(batch_of(2).text)


@pytest.mark.parametrize("config", [*TINY.values(), *CLOSED_FORM.values(), UNIMODAL, STUDENT])
def test_capabilities_are_what_the_model_has(config: MethodConfig) -> None:
    """A caller that goes by them would ask for codes or labels that are not there."""
    built, can = config.build(), config.capabilities
    assert ("codes" in can) == (built.hashing() is not None) == (config.code_bits > 0)
    assert ("closed_form" in can) == isinstance(built, ClosedForm)
    assert ("pretext" in can) == isinstance(built, Unimodal)
    assert ("labels" in can) == bool(config.label_names)
    if "labels" in can:
        assert config.with_labels(("one", "two")).label_names == ("one", "two")


def test_what_wraps_a_method_is_evaluated_as_it(method: Trainable[Any]) -> None:
    """An epoch would be selected by other scores than those of the model that is published."""
    batch, published = batch_of(4), method.eval().published_method()
    assert method.config is published.config
    assert method.image_tower is published.image_tower
    if "images_only" in method.config.capabilities:
        return
    with torch.no_grad():
        for own, other in zip(
            method.score(method.represent_image(batch.image), method.represent_text(batch.text)),
            published.score(
                published.represent_image(batch.image), published.represent_text(batch.text)
            ),
            strict=True,
        ):
            assert torch.equal(own, other)


@pytest.mark.parametrize("whole", [7, 8, 12])
def test_maps_averaged_as_far_as_allowed_serve_as_well(method: Trainable[Any], whole: int) -> None:
    """Features cached coarsely would train another model than the towers do."""
    side = method.config.map_side(whole)
    grid_BCYX = torch.randn(3, method.image_tower.channels, whole, whole)
    coarse_BCYX = torch.nn.functional.adaptive_avg_pool2d(grid_BCYX, side)
    assert whole % side == 0
    with torch.no_grad():
        fine = method.eval().represent_image(ImageBatch(grid_BCYX=grid_BCYX))
        coarse = method.represent_image(ImageBatch(grid_BCYX=coarse_BCYX))
    for name, part in fine.items():
        torch.testing.assert_close(coarse[name], part)


def test_every_parameter_learns(method: Trainable[Any]) -> None:
    """A parameter without gradient is dead weight in every teacher (HIER's gate included)."""
    with torch.no_grad():  # zeros of the initialisation would hide a gradient
        for p in method.parameters():
            p += 0.1 * torch.randn_like(p)
    sum(method.losses(batch_of(6)).values()).sum().backward()
    dead = [
        name
        for name, p in method.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.abs().sum())
    ]
    assert dead == []


def test_scores_do_not_depend_on_the_batch(method: Trainable[Any]) -> None:
    """A pair's score must be the same alone and among others (evaluation scores in blocks)."""
    method.eval()
    batch = batch_of(5)
    if "images_only" in method.config.capabilities:
        with torch.no_grad():
            images = method.represent_image(batch.image)
            assert batch.image.pixels_BCYX is not None
            alone = method.represent_image(ImageBatch(pixels_BCYX=batch.image.pixels_BCYX[2:3]))
        for name, part in alone.items():
            torch.testing.assert_close(images[name][2:3], part)
        return
    with torch.no_grad():
        images, texts = method.represent_image(batch.image), method.represent_text(batch.text)
        whole = method.score(images, texts)
        some_images = {k: v[2:3] for k, v in images.items()}
        some_texts = {k: v[1:4] for k, v in texts.items()}
        part = method.score(some_images, some_texts)
    torch.testing.assert_close(whole.image_to_text_BC[2:3, 1:4], part.image_to_text_BC)
    torch.testing.assert_close(whole.text_to_image_BC[2:3, 1:4], part.text_to_image_BC)


def test_zeros_after_the_end_of_a_text_change_no_score(method: Trainable[Any]) -> None:
    """Re-ranking puts stored representations of unequal lengths into one batch, padded with 0."""
    if "images_only" in method.config.capabilities:
        pytest.skip("the method reads no texts")
    method.eval()
    batch = batch_of(4)
    text, length = batch.text, int(batch.text.mask_BT[0].sum())
    assert text.tokens_BT is not None
    assert length < text.mask_BT.shape[1]
    with torch.no_grad():
        images, texts = method.represent_image(batch.image), method.represent_text(text)
        own = (part[:1, :length] for part in (text.mask_BT, text.sentence_BT, text.tokens_BT))
        alone = method.represent_text(TextBatch(*own))
        for name, part in alone.items():
            missing = texts[name].shape[1] - part.shape[1] if part.ndim > 1 else 0
            behind = [0, 0] * (part.ndim - 2) + [0, missing]
            alone[name] = torch.nn.functional.pad(part, behind) if missing else part
        whole, padded = method.score(images, texts), method.score(images, alone)
        pairs_P2 = torch.tensor([[row, 0] for row in range(4)])
        refined = [method.refine(images, part, pairs_P2) for part in (texts, alone)]
    for expected, found in zip(whole, padded, strict=True):
        torch.testing.assert_close(found, expected[:, :1])
    if refined[0] is not None:
        torch.testing.assert_close(refined[1], refined[0])


def test_cached_features_give_the_same_losses(method: Trainable[Any]) -> None:
    """Training on a features artifact must be training through the frozen towers."""
    method.eval()
    batch = batch_of(4)
    with torch.no_grad():
        cached = replace(
            batch,
            image=ImageBatch(grid_BCYX=method.image_grid(batch.image)),
            text=batch.text
            if "images_only" in method.config.capabilities
            else replace(batch.text, tokens_BT=None, states_BTD=method.text_states(batch.text)),
        )
        for name, value in method.losses(batch).items():
            torch.testing.assert_close(value, method.losses(cached)[name])


def test_maps_of_an_alignment_are_shares_of_the_image(method: Trainable[Any]) -> None:
    """A reader of word maps compares them with each other: each must be shares of one whole."""
    batch = batch_of(3)
    with torch.no_grad():
        found = method.eval().alignment(batch.image, batch.text)
        alone = method.alignment(
            ImageBatch(batch.image.pixels_BCYX[1:2]),
            TextBatch(*(part[1:2] for part in (batch.text.mask_BT, batch.text.sentence_BT)),
                      tokens_BT=batch.text.tokens_BT[1:2]),
        )  # fmt: skip
    if found is None:
        pytest.skip("the method has no maps of its own")
    maps_BPYX = found.maps_BPYX
    side = method.image_tower.side
    names = batch.text.tokens_BT[0] if found.parts is None else found.parts
    assert maps_BPYX.shape == (3, len(names), side, side)
    assert (maps_BPYX >= 0).all()
    total_BP = maps_BPYX.sum(dim=(2, 3))
    torch.testing.assert_close(total_BP, total_BP.round())
    assert total_BP.max() == pytest.approx(1)
    if found.parts is None:
        assert not total_BP[~batch.text.mask_BT].any(), "padding has no place"
    torch.testing.assert_close(alone.maps_BPYX[0], maps_BPYX[1])


@pytest.mark.parametrize("name", ["clip", "cmfg", "hier"])  # those that learn from negatives
def test_same_study_is_never_a_negative(name: str) -> None:
    """With all rows of one study there is nothing to push apart."""
    torch.manual_seed(0)
    method = TINY[name].build().eval()
    terms = method.losses(batch_of(3, keys=[7, 7, 7]))
    for term, value in terms.items():
        levels = method.config.levels if isinstance(method.config, HierConfig) else ()
        added = method.log_variance[levels.index(term)].item() if term in levels else 0.0
        assert value.item() == pytest.approx(added, abs=1e-5)


def test_refined_scores_are_the_gated_sum_of_all_levels() -> None:
    """Re-ranking must end at the score that training optimised."""
    torch.manual_seed(0)
    hier = TINY["hier"].build().eval()
    with torch.no_grad():
        torch.nn.init.normal_(hier.gate.weight)
        batch = batch_of(4)
        images, texts = hier.represent_image(batch.image), hier.represent_text(batch.text)
        pairs = torch.cartesian_prod(torch.arange(4), torch.arange(4))
        coarse, added = hier.score(images, texts), hier.refine(images, texts, pairs)
        levels = torch.stack([hier.level_scores(n, images, texts) for n in hier.config.levels])
        to_text = torch.einsum("lbc,bl->bc", levels, hier.gate_weights(images["z"]))
        to_image = torch.einsum("lbc,cl->bc", levels, hier.gate_weights(texts["z"]))
    assert added is not None
    added_text, added_image = (part.view(4, 4) for part in added)
    torch.testing.assert_close(coarse.image_to_text_BC + added_text, to_text)
    torch.testing.assert_close(coarse.text_to_image_BC + added_image, to_image)


def test_gate_is_uniform_at_first_and_silent_without_its_loss() -> None:
    """HIER's gate: rows sum to 1, uniform at first, gradient only if asked."""
    config = TINY["hier"]
    assert isinstance(config, HierConfig)
    hier = config.build()
    torch.testing.assert_close(hier.gate_weights(torch.randn(5, 16)), torch.full((5, 3), 1 / 3))
    quiet = replace(config, loss_on_gated=0.0).build()
    sum(quiet.losses(batch_of(4)).values()).sum().backward()
    assert quiet.gate.weight.grad is None


def test_levels_may_learn_by_info_nce() -> None:
    """Each level is CLIP's objective on its own scores, at a temperature of its own."""
    config = TINY["hier"]
    assert isinstance(config, HierConfig)
    torch.manual_seed(0)
    fixed = replace(config, info_nce=config.levels, temperature=0.5, level_weighting="fixed")
    hier, batch = fixed.build().eval(), batch_of(5, keys=[0, 1, 2, 2, 3])
    terms = hier.losses(batch)
    images, texts = hier.represent_image(batch.image), hier.represent_text(batch.text)
    masked = same_study(batch.keys_B) & ~torch.eye(5, dtype=torch.bool)
    for level, weight in zip(config.levels, config.level_weights, strict=True):
        scores_BB = (hier.level_scores(level, images, texts) / 0.5).masked_fill(masked, -1e9)
        own = torch.arange(5)
        expected = sum(torch.nn.functional.cross_entropy(s, own) for s in (scores_BB, scores_BB.T))
        torch.testing.assert_close(terms[level], (weight * expected / 2).expand_as(terms[level]))


def test_level_weights_start_as_printed_and_fixed_ones_stay() -> None:
    """Training that begins with other weights than the printed ones prefers another level."""
    config = TINY["hier"]
    assert isinstance(config, HierConfig)
    assert list(config.build().level_weights().values()) == pytest.approx([0.4, 0.3, 0.3], abs=1e-7)
    observed = dict(zip(config.levels, (0.4, 0.3, 0.3), strict=True))
    assert config.build().observations() == pytest.approx(
        {f"level_weight/{level}": weight for level, weight in observed.items()}
    )
    fixed = replace(config, level_weighting="fixed").build()
    sum(fixed.losses(batch_of(4)).values()).sum().backward()
    assert fixed.log_variance.grad is None


@pytest.mark.parametrize("levels", [("global",), ("region_word",), ("structure_sentence",),
                                    ("region_word", "global")])  # fmt: skip
def test_levels_can_be_dropped(levels: tuple[str, ...]) -> None:
    """The hierarchy ablation must run with any choice of levels."""
    config = TINY["hier"]
    assert isinstance(config, HierConfig)
    hier = replace(config, levels=levels).build()
    batch = batch_of(4)
    terms = hier.losses(batch)
    assert set(terms) == {*levels, "gated"}
    scores = hier.score(hier.represent_image(batch.image), hier.represent_text(batch.text))
    assert scores.image_to_text_BC.shape == (4, 4)
    assert scores.image_to_text_BC.std() > 0
