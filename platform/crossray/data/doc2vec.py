"""Doc2Vec: one vector a text, learned from the training split's texts alone.

Le and Mikolov 2014, through gensim (the extra `doc2vec`). What it learns stays in the process that
learned it: only the vectors of texts are kept.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crossray.core.config import Config
from crossray.core.errors import CrossRayError


@dataclass(frozen=True)
class Doc2VecConfig(Config):
    """How Doc2Vec learns.

    Attributes:
        width: of a text's vector.
        algorithm: distributed memory or distributed bag of words.
        window: words to either side that a word is predicted from.
        min_count: rarer words are not learned.
        epochs: passes over the texts, and over a text whose vector is asked for.
        inferences: how many vectors, each from another seed, are averaged for a text.
        seed: of everything that is drawn.
    """

    width: int = 300
    algorithm: Literal["pv_dm", "pv_dbow"] = "pv_dm"
    window: int = 5
    min_count: int = 5
    epochs: int = 20
    inferences: int = 3
    seed: int = 0


def plain_words(text: str) -> list[str]:
    """Lower-case words without accents and punctuation."""
    from gensim.utils import simple_preprocess

    words: list[str] = simple_preprocess(text, deacc=True, min_len=1, max_len=40)
    return words


def stable_hash(text: str) -> int:
    """The same number in every process, unlike Python's `hash`."""
    return zlib.crc32(text.encode())


class Doc2Vec:
    """A fitted model; the vector of a text depends on the text, the fit and the seed alone."""

    def __init__(self, texts: Iterable[str], config: Doc2VecConfig) -> None:
        """Fit on `texts`.

        Raises `CrossRayError` without gensim, and where no word is frequent enough to be learned.
        """
        try:
            from gensim.models.doc2vec import Doc2Vec as Gensim
            from gensim.models.doc2vec import TaggedDocument
        except ImportError:
            raise CrossRayError(
                "Doc2Vec needs gensim, which is not installed; install crossray[doc2vec]."
            ) from None
        documents = [TaggedDocument(plain_words(text), [n]) for n, text in enumerate(texts)]
        self.config = config
        self._model: Any = Gensim(
            vector_size=config.width,
            dm=int(config.algorithm == "pv_dm"),
            window=config.window,
            min_count=config.min_count,
            epochs=config.epochs,
            seed=config.seed,
            workers=1,  # several would learn in an order of chance
        )
        self._model.build_vocab(documents)
        if not len(self._model.wv):
            raise CrossRayError(
                f"no word occurs {config.min_count} times in the training split's "
                f"{len(documents)} texts; lower doc2vec.min_count."
            )
        self._model.train(documents, total_examples=len(documents), epochs=config.epochs)

    @property
    def vocabulary(self) -> set[str]:
        """The words that were learned."""
        return set(self._model.wv.key_to_index)

    def vector(self, text: str) -> NDArray[np.float32]:
        """`vector_W`, the mean over the inferences; words that were not learned are passed over."""
        words = plain_words(text)
        found = [self._inferred(words, number) for number in range(self.config.inferences)]
        mean_W: NDArray[np.float64] = np.stack(found).mean(axis=0, dtype=np.float64)
        return mean_W.astype(np.float32)

    def _inferred(self, words: list[str], number: int) -> NDArray[np.float32]:
        """One inference, as gensim's, which starts from Python's hash of the words."""
        from gensim.models import doc2vec

        model, config = self._model, self.config
        seed = (config.seed, number, stable_hash(" ".join(words)))
        model.random.seed(np.random.SeedSequence(seed).generate_state(1)[0])
        vector_1W = np.random.default_rng(seed).random((1, config.width), dtype=np.float32)
        vector_1W -= 0.5
        vector_1W /= config.width
        step = doc2vec.train_document_dm
        if config.algorithm == "pv_dbow":
            step = doc2vec.train_document_dbow
        for alpha in np.linspace(model.alpha, model.min_alpha, config.epochs):
            step(
                model, words, [0], alpha, learn_words=False, learn_hidden=False,
                doctag_vectors=vector_1W, doctags_lockf=np.ones(1, dtype=np.float32),
            )  # fmt: skip
        vector_W: NDArray[np.float32] = vector_1W[0]
        return vector_W
