"""The words of a text, and the tokens that each was cut into."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from crossray.data.tokenization import Tokenizer

_WORD = re.compile(r"\w+|[^\w\s]")


class Word(NamedTuple):
    """A word or a mark of a text.

    `tokens`: places in the row of `Tokenizer.encode`, none where the text was cut before the word.
    `spaced`: whether a space precedes it.
    """

    text: str
    tokens: tuple[int, ...]
    spaced: bool


def words_of(tokenizer: Tokenizer, sentences: Sequence[str], max_tokens: int) -> list[Word]:
    """The words of one text, given as its sentences, in reading order."""
    spans = [[match.span() for match in _WORD.finditer(sentence)] for sentence in sentences]
    _, span_BT = tokenizer.encode_spans([sentences], [spans], max_tokens)
    tokens: dict[int, list[int]] = {}
    for place, span in enumerate(span_BT[0].tolist()):
        tokens.setdefault(span, []).append(place)
    words: list[Word] = []
    for number, (sentence, places) in enumerate(zip(sentences, spans, strict=True)):
        last = 0
        for start, stop in places:
            spaced = start > last or (start == 0 and number > 0)
            words.append(Word(sentence[start:stop], tuple(tokens.get(len(words), ())), spaced))
            last = stop
    return words
