"""Distillation: who learns, from what, and what is published."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy

from crossray.core.errors import CrossRayError
from crossray.distill import Distillation, DistillationConfig
from crossray.distill.distillation import start_from_teacher
from crossray.distill.teacher_outputs import text_outputs
from crossray.methods.contract import ClosedForm, PairScores
from support.tiny import CLOSED_FORM, SHAPE, STUDENT, TINY, batch_of, distillation, taught


def test_only_the_student_learns_and_is_published() -> None:
    """A teacher that moves chases its own student."""
    torch.manual_seed(0)
    method = distillation().train()
    assert not method.teacher.training
    assert method.published_method() is method.student
    terms = method.losses(taught(batch_of(6), method))
    assert set(terms) == {
        "task", "code_task", "quantisation", "balance", "contrastive", "rank", "code_contrastive",
        "embedding", "hidden", "attention",
    }  # fmt: skip
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is None for p in method.teacher.parameters())
    idle = [n for n, p in method.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


def test_teacher_scores_are_those_of_all_its_levels() -> None:
    """The costly level must be taught too, though a search adds it to a few pairs only."""
    torch.manual_seed(0)
    method, batch = distillation().eval(), batch_of(5)
    teaching = taught(batch, method).teacher
    teacher = method.teacher
    with torch.no_grad():
        images, texts = teacher.represent_image(batch.image), teacher.represent_text(batch.text)
        wanted = method._teacher_scores(teaching.images, teaching.texts)
        levels = torch.stack(
            [teacher.level_scores(n, images, texts) for n in teacher.config.levels]
        )
        gates = teacher.gate_weights(images["z"]), teacher.gate_weights(texts["z"])
    torch.testing.assert_close(wanted[0], torch.einsum("lbc,bl->bc", levels, gates[0]))
    torch.testing.assert_close(wanted[1], torch.einsum("lbc,cl->bc", levels, gates[1]))


TEACHERS = {
    name: c for name, c in (TINY | CLOSED_FORM).items() if "images_only" not in c.capabilities
}


@pytest.mark.parametrize("name", sorted(TEACHERS))
def test_any_method_teaches_by_its_scores(name: str) -> None:
    """Whoever has another teacher than HIER could not make it small."""
    torch.manual_seed(0)
    teacher, batch = TEACHERS[name].build().eval(), batch_of(6)
    if isinstance(teacher, ClosedForm):
        teacher.fit([batch_of(12), batch])
    method = Distillation(STUDENT.build(), teacher, DistillationConfig(layer_map=((0, 0),)))
    taught_batch = taught(batch, method.train())
    terms = method.losses(taught_batch)
    with torch.no_grad():
        images, texts = teacher.represent_image(batch.image), teacher.represent_text(batch.text)
        scores = method._teacher_scores(taught_batch.teacher.images, taught_batch.teacher.texts)
        for row in range(6):
            for column in range(6):
                one = {key: part[row : row + 1] for key, part in images.items()}
                other = {key: part[column : column + 1] for key, part in texts.items()}
                coarse = teacher.score(one, other)
                added = teacher.refine(one, other, torch.zeros(1, 2, dtype=torch.long))
                for whole, part, more in zip(scores, coarse, added or (0, 0), strict=True):
                    torch.testing.assert_close(whole[row, column], (part + more).squeeze())
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert all(term.isfinite() for term in terms.values())
    assert method.student.image_head[0].weight.grad.abs().sum() > 0


def test_layers_end_in_the_states_of_the_tower() -> None:
    """What is taught of the layers must be what the teacher computes, padding left out."""
    torch.manual_seed(0)
    teacher, batch = TINY["hier"].build().eval(), batch_of(3)
    tokens, mask = batch.text.tokens_BT, batch.text.mask_BT
    assert tokens is not None
    _, layers = text_outputs(teacher, batch.text, [0])
    with torch.no_grad():
        states = teacher.text_tower(tokens, mask)
    torch.testing.assert_close(layers["hidden_0"][mask], states[mask])
    rows = layers["attention_0"].sum(dim=2)
    torch.testing.assert_close(rows, mask.float(), msg="attention of a real token sums to 1")


def test_a_layer_that_is_not_there_is_refused() -> None:
    """The default map needs a teacher of twelve layers; the sentence must say so at once."""
    with pytest.raises(CrossRayError, match=r"layer_map names layer 5 of the student.* 0 to 0"):
        Distillation(STUDENT.build(), TINY["hier"].build(), DistillationConfig())


def test_a_student_that_is_its_teacher_has_nothing_to_learn() -> None:
    """Contrastive and order terms vanish when the scores agree; only the margin is left."""
    torch.manual_seed(0)
    config = DistillationConfig(layer_map=((0, 0),), margin=0.0)
    clip = TINY["clip"].build().eval()
    student = replace(STUDENT, embedding=16).build()
    method = Distillation(student, clip, config).eval()
    batch = taught(batch_of(6), method)
    parts = batch.teacher.images, batch.teacher.texts
    scores = method._teacher_scores(*parts)
    for part in parts:
        part["h"] = torch.zeros(6, 8)
    terms = method._score_terms(*parts, scores, torch.eye(6, dtype=torch.bool))
    assert terms["contrastive"].item() == pytest.approx(0, abs=1e-6)
    assert terms["rank"].item() == pytest.approx(0, abs=1e-6)
    uniform = np.full((6, 6), 1 / 6)
    assert terms["code_contrastive"].item() == pytest.approx(divergence(uniform, scores), rel=1e-4)


def divergence(student_BB: np.ndarray, scores: PairScores) -> float:
    """KL from the teacher's softmax at 0.07 to the student's, the mean of both directions."""
    total = 0.0
    for own_BB, taught_BB in ((student_BB, scores[0]), (student_BB.T, scores[1].T)):
        taught = softmax(taught_BB.double().numpy() / 0.07, axis=1)
        total += entropy(taught, own_BB, axis=1).mean() / 2
    return float(total)


def test_codes_follow_the_teacher_by_their_share_of_equal_bits() -> None:
    """Scores of codes that grow with their length would drown the teacher's in long codes."""
    torch.manual_seed(0)
    method = Distillation(
        replace(STUDENT, bits=24).build(),
        TINY["clip"].build().eval(),
        DistillationConfig(layer_map=((0, 0),), codes=2.0),
    ).eval()
    batch = taught(batch_of(6), method)
    scores = method._teacher_scores(batch.teacher.images, batch.teacher.texts)
    signs = [torch.randint(0, 2, (6, 24)).float() * 2 - 1 for _ in range(2)]
    parts = [{"z": torch.zeros(6, 8), "h": h_BK} for h_BK in signs]
    terms = method._score_terms(*parts, scores, torch.eye(6, dtype=torch.bool))
    differing_BB = (signs[0][:, None] != signs[1][None]).sum(dim=2).double().numpy()
    own_BB = (1 - 2 * differing_BB / 24) / 0.07
    wanted = (
        entropy(softmax(scores[0].double().numpy() / 0.07, axis=1), softmax(own_BB, axis=1), axis=1)
        + entropy(
            softmax(scores[1].T.double().numpy() / 0.07, axis=1), softmax(own_BB.T, axis=1), axis=1
        )
    ).mean() / 2
    assert terms["code_contrastive"].item() == pytest.approx(2.0 * wanted, rel=1e-4)


def test_what_does_not_fit_of_a_teacher_stays_as_it_is() -> None:
    """A wider student would not start at all, or with half of a tensor."""
    torch.manual_seed(0)
    wider = replace(STUDENT.text, shape=replace(SHAPE, ffn_width=48))
    student, teacher = replace(STUDENT, text=wider).build(), TINY["hier"].build()
    before = {name: t.clone() for name, t in student.text_tower.state_dict().items()}
    start_from_teacher(student, teacher)
    taken = teacher.text_tower.state_dict()
    differing = {name for name, t in before.items() if t.shape != taken[name].shape}
    assert {name.split(".")[-2] for name in differing} == {"dense"}
    assert len(differing) == 3
    for name, tensor in student.text_tower.state_dict().items():
        wanted = before if name in differing else taken
        torch.testing.assert_close(tensor, wanted[name], msg=name)


def test_a_student_may_start_with_what_fits_of_its_teacher() -> None:
    """The layers both have are copied, in the teacher's order; the others start on their own."""
    torch.manual_seed(0)
    deeper = replace(STUDENT, text=replace(STUDENT.text, shape=replace(SHAPE, layers=2)))
    student, teacher = deeper.build(), TINY["hier"].build()
    second = {n: t.clone() for n, t in student.text_tower.state_dict().items() if "layer.1." in n}
    assert second
    Distillation(student, teacher, DistillationConfig(layer_map=((1, 0),), from_teacher=True))
    for own, other in (
        (student.image_tower, teacher.image_tower),
        (student.text_tower, teacher.text_tower),
    ):
        state = own.state_dict()
        for name, tensor in other.state_dict().items():
            torch.testing.assert_close(state[name], tensor, msg=name)
    state = student.text_tower.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in second.items())


def test_without_a_layer_map_no_layer_is_compared() -> None:
    """A recipe that compares scores only must not pay for attention maps."""
    torch.manual_seed(0)
    whole = distillation().eval()
    bare = Distillation(
        whole.student, whole.teacher, replace(whole.weights, layer_map=(), contrastive=3.0)
    ).eval()
    batch = taught(batch_of(5), whole)
    with_layers, without = whole.losses(batch), bare.losses(batch)
    assert with_layers.keys() - without.keys() == {"hidden", "attention"}
    for name, value in without.items():
        factor = 3.0 if name == "contrastive" else 1.0
        if name != "embedding":  # its map is drawn anew
            torch.testing.assert_close(value, factor * with_layers[name])
