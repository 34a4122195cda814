"""What each word, each dimension and each bit adds to a score."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from crossray.core.types import TextBatch
from crossray.data.words import Word

Scores = NDArray[np.float64]
AT_A_TIME = 32


def dimension_contributions(image_D: NDArray[np.floating], text_D: NDArray[np.floating]) -> Scores:
    r"""`c_D` in [-1, 1], whose sum is the cosine of two vectors of unit length.

    $$\cos(v, t) = \sum_d v_d t_d$$
    """
    return image_D.astype(np.float64) * text_D.astype(np.float64)


def bit_contributions(image_K: NDArray[np.bool_], text_K: NDArray[np.bool_]) -> Scores:
    r"""`c_K`, each +1/K or -1/K, whose sum is the similarity of two codes.

    $$1 - \frac{2 d_H(b, b')}{K} = \frac1K \sum_k b_k b'_k, \qquad b_k \in \{-1, +1\}$$
    """
    agree_K: Scores = np.where(image_K == text_K, 1.0, -1.0)
    return agree_K / len(agree_K)


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
    full = float(score(text)[0])
    for start in range(0, len(read), AT_A_TIME):
        some = read[start : start + AT_A_TIME]
        shares_W[some] = (
            full - score(without_tokens(text, [words[word].tokens for word in some])).cpu()
        )
    return shares_W


def without_tokens(text: TextBatch, left_out: Sequence[Sequence[int]]) -> TextBatch:
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
