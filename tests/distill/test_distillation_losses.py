"""Distillation terms against loops over the printed equations."""

from __future__ import annotations

import math

import pytest
import torch

from crossray.distill.losses import (
    attention_loss,
    embedding_loss,
    hidden_loss,
    order_loss,
    score_divergence,
)


def test_hidden_loss_by_hand() -> None:
    """Padding that counts would teach the student what the teacher says of nothing."""
    student, teacher, mask = torch.randn(3, 4, 5), torch.randn(3, 4, 5), torch.rand(3, 4) < 0.6
    mask[0, 0] = True
    total = sum(
        float((student[b, t] - teacher[b, t]) @ (student[b, t] - teacher[b, t]))
        for b, t in mask.nonzero().tolist()
    )
    expected = total / (int(mask.sum()) * 5)
    assert hidden_loss(student, teacher, mask).item() == pytest.approx(expected, rel=1e-5)
    assert hidden_loss(student, teacher, torch.zeros_like(mask)).item() == 0


def test_attention_loss_by_hand() -> None:
    """The maps count by their pattern: a student whose maps are scaled loses nothing."""
    student, teacher = torch.rand(3, 4, 4), torch.rand(3, 4, 4)
    each = [
        ((s / s.square().sum().sqrt() - t / t.square().sum().sqrt()) ** 2).sum()
        for s, t in zip(student, teacher, strict=True)
    ]
    torch.testing.assert_close(attention_loss(student, teacher), torch.stack(each).mean())
    assert attention_loss(3 * teacher, teacher).item() == pytest.approx(0, abs=1e-6)


def test_order_loss_by_hand() -> None:
    """Every triple counts once, the query's study never, and the teacher decides the order."""
    student, teacher = torch.randn(5, 5), torch.randn(5, 5)
    teacher[0, 1] = teacher[0, 0]  # a tie of the teacher asks for nothing but the margin
    keys = torch.tensor([0, 1, 1, 2, 3])
    same = keys[:, None] == keys[None]
    terms = []
    for q in range(5):
        for n in range(5):
            if not same[q, n]:
                sign = math.copysign(1, teacher[q, q] - teacher[q, n])
                sign = 0 if teacher[q, q] == teacher[q, n] else sign
                terms.append(max(0.0, 0.05 - float(student[q, q] - student[q, n]) * sign))
    found = order_loss(student, teacher, same, 0.05).item()
    assert found == pytest.approx(sum(terms) / len(terms), rel=1e-5)
    assert order_loss(student, teacher, torch.ones_like(same), 0.05).item() == 0
    far = order_loss(teacher * 100, teacher, torch.eye(5, dtype=torch.bool), 0.05).item()
    assert far == pytest.approx(0.05 / 20)  # only the tie


def test_embedding_loss_by_hand() -> None:
    """The squared distance counts whole, as in the formula, not per dimension."""
    student, teacher = torch.randn(3, 5), torch.randn(3, 5)
    each = [float((s - t) @ (s - t)) for s, t in zip(student, teacher, strict=True)]
    assert embedding_loss(student, teacher).item() == pytest.approx(sum(each) / 3, rel=1e-5)


def test_score_divergence_by_hand() -> None:
    """The teacher's softmax weighs the logarithms; the other way round is another loss.

    The teacher's two directions differ: its gate looks at the query.
    """
    student, to_text, to_image = torch.randn(3, 4, 4)

    def rows(s: torch.Tensor, t: torch.Tensor) -> float:
        total = 0.0
        for q in range(4):
            p = [math.exp(x / 0.07) for x in (t[q] - t[q].max()).tolist()]
            r = [math.exp(x / 0.07) for x in (s[q] - s[q].max()).tolist()]
            p, r = [x / sum(p) for x in p], [x / sum(r) for x in r]
            total += sum(a * math.log(a / b) for a, b in zip(p, r, strict=True) if a > 0)
        return total / 4

    expected = (rows(student, to_text) + rows(student.T, to_image)) / 2
    found = score_divergence(student, to_text, to_image, 0.07).item()
    assert found == pytest.approx(expected, rel=1e-3)
    same = score_divergence(to_text, to_text, to_text.T, 0.07).item()
    assert same == pytest.approx(0, abs=1e-6)
