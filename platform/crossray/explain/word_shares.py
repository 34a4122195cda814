"""What each word adds to a score: the score of the text less that of the text without the word."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from crossray.core.types import TextBatch
from crossray.data.words import Word

AT_A_TIME = 32


def word_shares(
    text: TextBatch, words: Sequence[Word], score: Callable[[TextBatch], Tensor]
) -> Tensor:
    """`shares_W`: how much higher the score is with a word than without it.

    Leaving a part out is the erasure of Li et al. 2016 ("Understanding Neural Networks through
    Representation Erasure", section 3). NaN for a word without tokens, which the model never read.

    Args:
        text: one text.
        words: of it.
        score: `scores_B` of texts.
    """
    read = [word for word, found in enumerate(words) if found.tokens]
    shares_W = torch.full((len(words),), torch.nan)
    if not read:
        return shares_W
    whole = float(score(text)[0])
    for start in range(0, len(read), AT_A_TIME):
        some = read[start : start + AT_A_TIME]
        shares_W[some] = whole - score(without(text, [words[word].tokens for word in some])).cpu()
    return shares_W


def without(text: TextBatch, left_out: Sequence[Sequence[int]]) -> TextBatch:
    """One text B times, each time without some of its tokens, as if they had not been written."""
    assert text.tokens_BT is not None
    length = text.tokens_BT.shape[1]
    kept = [[place for place in range(length) if place not in set(out)] for out in left_out]

    def rows(row_T: Tensor, padding: float) -> Tensor:
        return pad_sequence([row_T[k] for k in kept], batch_first=True, padding_value=padding)

    return TextBatch(
        mask_BT=rows(text.mask_BT[0], False),
        sentence_BT=rows(text.sentence_BT[0], -1),
        tokens_BT=rows(text.tokens_BT[0], int(text.tokens_BT[0, 0])),
    )
