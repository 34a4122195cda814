"""The words of a text, and the tokens that each was cut into."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from crossray.data.tokenization import Tokenizer

_WORD = re.compile(r"\w+|[^\w\s]")


class Word(NamedTuple):
    """A word or a mark of a text.

    `tokens`: places in the row of `Tokenizer.encode`, none where the text was cut before the word.
    `spaced`: whether a space stands before it.
    """

    text: str
    tokens: tuple[int, ...]
    spaced: bool


def words_of(tokenizer: Tokenizer, sentences: Sequence[str], max_tokens: int) -> list[Word]:
    """The words of one text, given as its sentences, in reading order.

    A token belongs to the word in which its last character stands.
    """
    tokens_at: dict[tuple[int, int], list[int]] = {}
    for place, end in enumerate(tokenizer.ends(sentences, max_tokens), start=1):
        tokens_at.setdefault(end, []).append(place)
    words = []
    for number, sentence in enumerate(sentences):
        last = 0
        for match in _WORD.finditer(sentence):
            inside = range(match.start() + 1, match.end() + 1)
            tokens = [token for stop in inside for token in tokens_at.get((number, stop), ())]
            spaced = match.start() > last or (match.start() == 0 and number > 0)
            words.append(Word(match.group(), tuple(tokens), spaced))
            last = match.end()
    return words
