"""Blocked, refined scoring against the whole matrix."""

from __future__ import annotations

import torch

from crossray.model_evaluation.scoring import ahead_of_rest, score_corpus, top_mask
from support.corpora import RandomCorpus
from support.tiny import TINY


def test_blocks_equal_the_whole_matrix(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Evaluation of a large split must be evaluation of a small one."""
    torch.manual_seed(0)
    method = TINY["hier"].build()
    corpus = RandomCorpus(11, 3)
    whole = score_corpus(method, corpus, rerank=1000)
    monkeypatch.setattr("crossray.model_evaluation.scoring.IMAGE_BLOCK", 4)
    monkeypatch.setattr("crossray.model_evaluation.scoring.TEXT_BLOCK", 5)
    parts = score_corpus(method, corpus, rerank=1000)
    for name in ("image_to_text_NC", "text_to_image_NC", "text_rows_C"):
        torch.testing.assert_close(
            torch.from_numpy(getattr(parts, name)), torch.from_numpy(getattr(whole, name))
        )
    assert whole.image_to_text_NC.shape == (11, 33)
    assert whole.text_rows_C.tolist() == [row for row in range(11) for _ in range(3)]


def lowest(scores: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The lowest score of each row among those that are True in `where`."""
    return scores.masked_fill(~where, torch.inf).amin(dim=1)


def highest(scores: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The highest score of each row among those that are True in `where`."""
    return scores.masked_fill(~where, -torch.inf).amax(dim=1)


def test_reranking_puts_the_chosen_first() -> None:
    """A refined candidate must not fall behind one that was never refined."""
    coarse = torch.randn(6, 20)
    chosen = top_mask(coarse, 4)
    assert (chosen.sum(dim=1) == 4).all()
    assert (lowest(coarse, chosen) >= highest(coarse, ~chosen)).all()
    refined = coarse + torch.randn(6, 20)
    merged = ahead_of_rest(refined, coarse, chosen)
    assert (lowest(merged, chosen) > highest(merged, ~chosen)).all()
    everything = torch.ones_like(chosen)
    torch.testing.assert_close(ahead_of_rest(refined, coarse, everything), refined)
