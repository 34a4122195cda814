"""MMACH's sampler: which triplets it draws, from whom, and what it leaves out."""

from __future__ import annotations

import numpy as np
import torch

from crossray.methods.mmach.triplets import draw_triplets


def test_near_shares_more_labels_than_far() -> None:
    """A triplet the wrong way round teaches the opposite of the labels."""
    labels_NC = (torch.rand(60, 6) > 0.6).float()
    anchors_A, candidates_M = torch.randperm(60)[:40], torch.randperm(60)[:15]
    triplets = draw_triplets(labels_NC, anchors_A, candidates_M, np.random.default_rng(), 50)
    sets = [set(row.nonzero()[:, 0].tolist()) for row in labels_NC]
    for a, near, far in zip(*(part.tolist() for part in triplets[:3]), strict=True):
        assert len(sets[a] & sets[near]) > len(sets[a] & sets[far])
        assert {near, far} <= set(candidates_M.tolist())
    served = triplets.anchor_A.tolist()
    assert len(served) == len(set(served)) == 40 - triplets.skipped
    assert set(served) <= set(anchors_A.tolist())


def test_anchors_that_cannot_be_served_are_counted() -> None:
    """Items without label, and items that are like all others, must not stop an epoch."""
    labels_NC = torch.tensor([[0, 0], [1, 0], [1, 0], [0, 1]]).float()
    rows, rng = torch.arange(4), np.random.default_rng(0)
    triplets = draw_triplets(labels_NC, rows, rows, rng, 50)
    assert triplets.skipped == 1
    assert triplets.anchor_A.tolist() == [1, 2, 3]
    alike = draw_triplets(labels_NC, rows[1:3], rows[1:3], rng, 50)
    assert (alike.skipped, len(alike.anchor_A)) == (2, 0)


def test_an_item_may_be_near_to_itself() -> None:
    """In another modality an item's own partner is a fair example."""
    labels_NC = torch.eye(2)
    triplets = draw_triplets(labels_NC, *[torch.arange(2)] * 2, np.random.default_rng(0), 50)
    assert triplets.near_A.tolist() == triplets.anchor_A.tolist() == [0, 1]
    assert triplets.far_A.tolist() == [1, 0]


def test_draws_follow_the_seed() -> None:
    """Processes that draw different triplets would not train one model; nor would a resumed run."""
    labels_NC = (torch.rand(50, 5) > 0.5).float()
    rows = torch.arange(50)
    one, same, other = (
        draw_triplets(labels_NC, rows, rows, np.random.default_rng(seed), 50) for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(one[:3], same[:3], strict=True))
    assert not torch.equal(one.near_A, other.near_A)


def test_pairs_are_drawn_evenly() -> None:
    """A sampler with favourites would train on a part of the data."""
    labels_NC = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    rows = torch.arange(4)
    triplets = draw_triplets(
        labels_NC, torch.zeros(20_000, dtype=torch.int64), rows, np.random.default_rng(0), 50
    )
    pairs = torch.stack([triplets.near_A, triplets.far_A], dim=1)
    _, counts = pairs.unique(dim=0, return_counts=True)
    assert len(counts) == 5  # 0 over 1, 2, 3 and both of 1 and 2 over 3
    assert counts.min() > 0.9 * 20_000 / 5
