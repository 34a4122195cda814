"""What a score loses without a word."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from crossray.core.types import TextBatch
from crossray.data.tokenization import Tokenizer, train_wordpiece
from crossray.data.words import words_of
from crossray.explain.contributions import word_shares
from support.tiny import TEXT, TINY

REPORT = ["there is a large left effusion", "no pneumothorax", "the heart is large"]


@pytest.mark.parametrize(("vocabulary", "max_tokens"), [(45, 64), (200, 12)])
def test_shares_equal_scores_of_texts_written_without_the_word(
    vocabulary: int, max_tokens: int
) -> None:
    """The colours must be what happens when a reader strikes a word out, pieces and all."""
    tokenizer = Tokenizer(train_wordpiece(REPORT * 2, vocabulary, 1))
    torch.manual_seed(0)
    method = replace(TINY["clip"], text=replace(TEXT, max_tokens=64, vocab_size=200)).build().eval()
    target = torch.nn.functional.normalize(torch.randn(16), dim=0)

    def score(text: TextBatch) -> Tensor:
        with torch.no_grad():
            scores_B: Tensor = method.encode_text(text) @ target
        return scores_B

    words = words_of(tokenizer, REPORT, max_tokens)
    whole = tokenizer.encode([REPORT], max_tokens)
    shares = word_shares(whole, words, score)
    kept = sum(bool(word.tokens) for word in words)
    assert (kept < len(words)) == (max_tokens == 12)
    assert all(math.isnan(share) for share in shares[kept:])
    read = " ".join(REPORT).split()[:kept]
    for number in range(kept):
        rest = " ".join(word for place, word in enumerate(read) if place != number)
        expected = score(whole) - score(tokenizer.encode([[rest]], 64))
        torch.testing.assert_close(shares[number : number + 1], expected, atol=1e-5, rtol=1e-4)
    assert shares[:kept].abs().max() > 0
