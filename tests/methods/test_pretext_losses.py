"""The losses of self-supervision against loops over their formulas, and against lightly."""

from __future__ import annotations

import math

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from crossray.methods.hier.losses import (
    byol_loss,
    enqueued,
    inpainting_losses,
    masked_token_losses,
    queue_info_nce,
    rising_momentum,
    rotation_loss,
    sentence_order_losses,
)


def unit(rows: int, width: int) -> Tensor:
    """Rows of unit length."""
    return functional.normalize(torch.randn(rows, width), dim=1)


def test_queue_info_nce_is_lightlys() -> None:
    """A published objective must be that objective."""
    torch.manual_seed(3)
    query, key = unit(5, 8), unit(5, 8)
    for temperature in (0.07, 0.5):
        theirs = NTXentLoss(temperature=temperature, memory_bank_size=(12, 8))
        queue = theirs.memory_bank.bank.clone()
        assert_close(queue_info_nce(query, key, queue, temperature), theirs(query, key))
    total = 0.0
    for q, k in zip(query.double(), key.double(), strict=True):
        own = math.exp(float(q @ k) / 0.07)
        others = sum(math.exp(float(q @ n) / 0.07) for n in queue.double())
        total -= math.log(own / (own + others)) / 5
    assert float(queue_info_nce(query, key, queue, 0.07)) == pytest.approx(total, rel=1e-5)


def test_keys_and_queue_carry_no_gradient() -> None:
    """A key that learns would let the two encoders agree on nothing."""
    torch.manual_seed(1)
    parts = [unit(4, 6).requires_grad_() for _ in range(3)]
    queue_info_nce(*parts, temperature=0.07).backward()
    assert parts[0].grad is not None
    assert parts[1].grad is None
    assert parts[2].grad is None


def test_queue_is_first_in_first_out() -> None:
    """Old keys are of old weights: the oldest must be the ones that go."""
    queue = torch.arange(6.0)[:, None]
    queue = enqueued(queue, torch.tensor([[10.0], [11.0]]))
    assert queue[:, 0].tolist() == [2, 3, 4, 5, 10, 11]
    queue = enqueued(queue, torch.tensor([[12.0], [13.0], [14.0]]))
    assert queue[:, 0].tolist() == [5, 10, 11, 12, 13, 14]
    more = enqueued(queue, torch.arange(20.0, 28.0)[:, None])
    assert more[:, 0].tolist() == [22, 23, 24, 25, 26, 27], "a batch longer than the queue"


def test_byol_goes_from_equal_to_opposite_directions() -> None:
    """The ends of the scale, without a gradient into the target."""
    torch.manual_seed(2)
    target = torch.randn(4, 6, requires_grad=True)
    assert float(byol_loss(3 * target, target)) == pytest.approx(0.0, abs=1e-6)
    assert float(byol_loss(-0.1 * target, target)) == pytest.approx(4.0, abs=1e-6)
    predicted = torch.randn(4, 6, requires_grad=True)
    loss = byol_loss(predicted, target)
    assert_close(loss, 2 + 2 * NegativeCosineSimilarity()(predicted, target))
    loss.backward()
    assert predicted.grad is not None
    assert target.grad is None


def test_momentum_of_byol_rises_to_one() -> None:
    """The target must stand still at the end."""
    values = [rising_momentum(0.996, progress) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert values[0] == pytest.approx(0.996)
    assert values[2] == pytest.approx(0.998)
    assert values[-1] == 1.0
    assert values == sorted(values)


def test_rotation_loss_is_the_formula() -> None:
    """Four classes, the mean over the images."""
    torch.manual_seed(4)
    logits, turns = torch.randn(6, 4), torch.randint(4, (6,))
    expected = 0.0
    for row, turn in zip(logits.tolist(), turns.tolist(), strict=True):
        expected -= math.log(math.exp(row[turn]) / sum(map(math.exp, row))) / 6
    assert float(rotation_loss(logits, turns)) == pytest.approx(expected, rel=1e-5)


def test_inpainting_sees_hidden_pixels_only() -> None:
    """A loss on visible pixels would reward copying."""
    torch.manual_seed(5)
    pixels, painted = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    hidden = torch.rand(3, 4, 4) < 0.4
    hidden[2] = False
    found = inpainting_losses(pixels, painted, hidden)
    for row in range(3):
        total, count = 0.0, 0
        for channel in range(2):
            for y in range(4):
                for x in range(4):
                    if hidden[row, y, x]:
                        total += abs(float((pixels - painted)[row, channel, y, x]))
                        count += 1
        assert float(found[row]) == pytest.approx(total / max(1, count), rel=1e-5)
    assert float(found[2]) == 0.0, "nothing hidden"
    other = torch.where(hidden[:, None], painted, painted + 7)
    assert_close(inpainting_losses(pixels, other, hidden), found)


def test_masked_tokens_and_order_are_cross_entropies() -> None:
    """Texts without an order must not pull the answer anywhere."""
    torch.manual_seed(6)
    logits, targets = torch.randn(5, 9), torch.randint(9, (5,))
    for row, loss in enumerate(masked_token_losses(logits, targets)):
        assert_close(loss, -torch.log_softmax(logits[row], 0)[targets[row]])
    logit = torch.randn(4, requires_grad=True)
    losses = sentence_order_losses(logit, torch.tensor([1, 0, -1, 1]))
    probability = torch.sigmoid(logit.detach())
    expected = torch.stack(
        [
            -probability[0].log(),
            -(1 - probability[1]).log(),
            torch.tensor(0.0),
            -probability[3].log(),
        ]
    )
    assert_close(losses, expected)
    losses.sum().backward()
    assert logit.grad is not None
    assert float(logit.grad[2]) == 0.0
