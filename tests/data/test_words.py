"""Words and their tokens."""

from __future__ import annotations

import pytest

from crossray.data.tokenization import Tokenizer, train_wordpiece
from crossray.data.words import words_of

REPORT = ["A left-sided effusion, of 4.5 cm.", "Café: no pneumothorax!", "effusion effusion"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """A vocabulary so small that words are cut into pieces."""
    return Tokenizer(train_wordpiece([*REPORT, "sided cm of left"] * 2, 60, 1))


def test_tokens_belong_to_their_words(tokenizer: Tokenizer) -> None:
    """Colours would stand on other words than the model read."""
    words = words_of(tokenizer, REPORT, 200)
    row = tokenizer.encode([REPORT], 200)
    assert row.tokens_BT is not None
    tokens = row.tokens_BT[0].tolist()
    assert [place for word in words for place in word.tokens] == list(range(1, len(tokens) - 1))
    assert any(len(word.tokens) > 1 for word in words)
    for word in words:
        alone = tokenizer.encode([[word.text]], 200).tokens_BT
        assert alone is not None
        assert [tokens[place] for place in word.tokens] == alone[0, 1:-1].tolist()
    text = "".join((" " if word.spaced else "") + word.text for word in words)
    assert text == " ".join(REPORT)


def test_what_is_cut_off_has_no_tokens(tokenizer: Tokenizer) -> None:
    """A long report's end is not read, and the picture must say so."""
    words = words_of(tokenizer, REPORT, 8)
    assert [place for word in words for place in word.tokens] == list(range(1, 7))
    assert words[-1].tokens == ()
