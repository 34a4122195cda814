"""The student: its size, its shared trunk, its codes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from crossray.codes import binarise, hamming_distances, pack
from crossray.core.errors import CrossRayError
from crossray.core.types import TextBatch
from crossray.encoders.text import BertShape, TextTowerConfig
from crossray.methods.contract import same_study
from crossray.models.code_scorer import CodeScorer
from crossray.recipes.student import student_base
from support.tiny import STUDENT, TEXT, batch_of


def test_full_size_has_the_specified_number_of_parameters() -> None:
    """47,803,904 without the hash heads (HIER, 5.1), and below the limit of 50 M with them."""
    method = student_base().method
    text = replace(method.text, vocab_size=30_000, max_tokens=256)
    with torch.device("meta"):
        student = replace(method, text=text).build()
    counts = {name: parameter.numel() for name, parameter in student.named_parameters()}
    assert sum(n for name, n in counts.items() if "_hash." not in name) == 47_803_904
    assert sum(counts.values()) < 50_000_000


def test_both_modalities_go_through_the_same_layers() -> None:
    """A trunk of its own for each would double the student."""
    torch.manual_seed(0)
    student, batch = STUDENT.build().eval(), batch_of(3)
    before = student.encode_image(batch.image), student.encode_text(batch.text)
    with torch.no_grad():
        student.text_tower.trunk.encoder.layer[0].output.dense.weight.mul_(2)
    after = student.encode_image(batch.image), student.encode_text(batch.text)
    for old, new in zip(before, after, strict=True):
        assert not torch.allclose(old, new)
        torch.testing.assert_close(new.norm(dim=1), torch.ones(3))


def test_padding_does_not_move_a_text() -> None:
    """The same report must have the same vector whatever it is batched with."""
    torch.manual_seed(0)
    student, batch = STUDENT.build().eval(), batch_of(2)
    tokens, text = batch.text.tokens_BT, batch.text
    assert tokens is not None
    alone = TextBatch(text.mask_BT[:1, :7], text.sentence_BT[:1, :7], tokens_BT=tokens[:1, :7])
    torch.testing.assert_close(student.encode_text(text)[:1], student.encode_text(alone))


def test_every_parameter_is_trained() -> None:
    """A parameter without gradient is dead weight, and stops training on several GPUs."""
    torch.manual_seed(0)
    student = STUDENT.build()
    sum(student.losses(batch_of(6)).values()).backward()  # type: ignore[union-attr]
    idle = [n for n, p in student.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


def test_scores_of_a_new_student_are_spread() -> None:
    """Where all scores start equal, the ranking loss keeps them equal."""
    torch.manual_seed(0)
    student, batch = replace(STUDENT, embedding=64).build().train(), batch_of(32)
    for z_BD in (student.encode_image(batch.image), student.encode_text(batch.text)):
        cosines = (z_BD @ z_BD.T)[~torch.eye(32, dtype=torch.bool)]
        assert abs(cosines.mean().item()) < 0.1
        assert cosines.std() > 0.1


def test_task_is_ranking_or_info_nce() -> None:
    """The option changes the loss of the embeddings and no other term."""
    torch.manual_seed(0)
    student, batch = STUDENT.build().eval(), batch_of(6, [0, 1, 2, 2, 4, 5])
    images, texts = student.represent_image(batch.image), student.represent_text(batch.text)
    same = same_study(batch.keys_B)
    ranking = student.own_losses(images, texts, same)
    student.config = replace(STUDENT, task="info_nce", temperature=0.1)
    other = student.own_losses(images, texts, same)
    assert {name for name in ranking if ranking[name] != other[name]} == {"task"}
    scores = (images["z"] @ texts["z"].T).tolist()
    wanted = 0.0
    for own in range(6):
        rest = [n for n in range(6) if n == own or not same[own, n]]
        row = sum(math.exp(scores[own][n] / 0.1) for n in rest)
        column = sum(math.exp(scores[n][own] / 0.1) for n in rest)
        wanted -= (2 * scores[own][own] / 0.1 - math.log(row) - math.log(column)) / 12
    assert other["task"].item() == pytest.approx(wanted, rel=1e-5)


def test_factorised_table_is_a_table() -> None:
    """A narrow table with a linear map stands where the wide one stood."""
    shape = BertShape(layers=1, width=32, heads=2, ffn_width=32, dropout=0.0, token_width=4)
    student = replace(STUDENT, text=replace(TEXT, shape=shape)).build()
    table, widen = student.text_tower.trunk.embeddings.word_embeddings
    assert table.weight.shape == (50, 4)
    assert widen.weight.shape == (32, 4)
    assert student.encode_text(batch_of(2).text).shape == (2, 8)


def test_code_scores_follow_the_hamming_distance() -> None:
    """What evaluation ranks by must be what an index of packed codes finds."""
    torch.manual_seed(0)
    student, batch = STUDENT.build().eval(), batch_of(6)
    scorer = CodeScorer(student)
    with torch.no_grad():
        images, texts = scorer.represent_image(batch.image), scorer.represent_text(batch.text)
        scores = scorer.score(images, texts).image_to_text_BC
        pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6))
        refined = scorer.refine(images, texts, pairs)
        h = [student.hash_image(images["z"]).numpy(), student.hash_text(texts["z"]).numpy()]
    distances = hamming_distances(*(pack(binarise(part)) for part in h))
    torch.testing.assert_close(scores, 1 - 2 * torch.from_numpy(distances.astype("f4")) / 8)
    assert refined is not None
    cosine = scores + refined.image_to_text_BC.view(6, 6)
    torch.testing.assert_close(cosine, images["z"] @ texts["z"].T)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bits": 12}, "multiple of 8"),
        ({"text": TextTowerConfig(architecture={"model_type": "distilbert"}, weights="hub:x",
                                  vocab_size=50, max_tokens=16)}, "two token types"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_student_is_refused(change: dict[str, object], words: str) -> None:
    """One sentence before the training, not a traceback in its middle."""
    with pytest.raises(CrossRayError, match=words):
        replace(STUDENT, **change).build(load_weights=False)  # type: ignore[arg-type]
