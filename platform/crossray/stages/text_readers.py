"""What turns texts into the numbers of a features artifact: a frozen tower, or Doc2Vec."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossray.data.doc2vec import Doc2Vec
from crossray.data.tokenization import Tokenizer
from crossray.encoders.text import TextTower, TextTowerConfig

Read = tuple[list[NDArray[Any]], list[NDArray[np.int16]]]


class TextReader(ABC):
    """Sent to the processes that make features, and started there."""

    @abstractmethod
    def started(self) -> TextReader:
        """Ready to read; what is large is loaded here."""

    @abstractmethod
    def read(self, entries: Sequence[list[str]]) -> Read:
        """`states_TW` of each text, and `sentence_T` of its tokens; a text is a list of sentences.

        There is at least one text.
        """


class TokenReader(TextReader):
    """A text tower's states of the real tokens."""

    tower: TextTower

    def __init__(self, text: TextTowerConfig, tokenizer: str) -> None:
        self.config, self.tokenizer = text, tokenizer

    def started(self) -> TokenReader:
        """See `TextReader.started`."""
        self.words = Tokenizer.from_str(self.tokenizer)
        self.tower = TextTower(self.config).eval()
        return self

    def read(self, entries: Sequence[list[str]]) -> Read:
        """See `TextReader.read`."""
        batch = self.words.encode(list(entries), self.config.max_tokens)
        assert batch.tokens_BT is not None
        with torch.inference_mode():
            states_BTD = self.tower(batch.tokens_BT, batch.mask_BT).numpy()
        sentence_BT = batch.sentence_BT.numpy().astype(np.int16)
        lengths = batch.mask_BT.sum(dim=1).tolist()
        return (
            [state[:length] for state, length in zip(states_BTD, lengths, strict=True)],
            [row[:length] for row, length in zip(sentence_BT, lengths, strict=True)],
        )


class Doc2VecReader(TextReader):
    """One vector a text, which counts as one token of one sentence."""

    def __init__(self, model: Doc2Vec) -> None:
        self.model = model

    def started(self) -> Doc2VecReader:
        """See `TextReader.started`."""
        return self

    def read(self, entries: Sequence[list[str]]) -> Read:
        """See `TextReader.read`."""
        vectors = [self.model.vector(" ".join(sentences))[None] for sentences in entries]
        return vectors, [np.zeros(1, np.int16) for _ in entries]
