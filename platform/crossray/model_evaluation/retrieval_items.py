"""The images and texts of a corpus as an evaluation judges them: study keys and labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossray.data.corpora.corpus import Corpus
from crossray.data.splits.held_out import qualified


@dataclass(frozen=True)
class RetrievalItems:
    """Queries or a database: study keys, and labels if there are any."""

    keys_N: NDArray[np.int64]
    labels_NC: NDArray[np.bool_] | None

    def take(self, rows: slice | NDArray[np.bool_]) -> "RetrievalItems":
        """Some of them."""
        labels_NC = None if self.labels_NC is None else self.labels_NC[rows]
        return RetrievalItems(self.keys_N[rows], labels_NC)


def retrieval_items(
    corpus: Corpus,
    text_rows_C: NDArray[np.int64],
    among: Sequence[str] = (),
    items: int | None = None,
) -> tuple[RetrievalItems, RetrievalItems]:
    """The first `items` images and the texts of the rows `text_rows_C`; labels: `corpus_labels`."""
    keys_N, labels_NC = corpus.keys_N.numpy()[:items], corpus_labels(corpus, among, items)
    of_texts = None if labels_NC is None else labels_NC[text_rows_C]
    return RetrievalItems(keys_N, labels_NC), RetrievalItems(keys_N[text_rows_C], of_texts)


def corpus_labels(
    corpus: Corpus, among: Sequence[str] = (), items: int | None = None
) -> NDArray[np.bool_] | None:
    """`labels_NC` over `label_names`; None where none occurs."""
    labels_NC = label_flags(corpus.labels[:items], label_names(corpus, among))
    return labels_NC if labels_NC.any() else None


def label_names(corpus: Corpus, among: Sequence[str] = ()) -> list[str]:
    """The sorted labels that occur, or those of `among` and what qualifies them."""
    found = {label for row in corpus.labels for label in row}
    if among:
        found &= {*among, *(name for head in among for name in qualified(head, found))}
    return sorted(found)


def label_flags(labels: Sequence[Sequence[str]], names: Sequence[str]) -> NDArray[np.bool_]:
    """`labels_NC`: bool, one column a name; labels without a name are left out."""
    column = {name: number for number, name in enumerate(names)}
    flags_NC = np.zeros((len(labels), len(names)), dtype=bool)
    for row, carried in enumerate(labels):
        flags_NC[row, [column[label] for label in carried if label in column]] = True
    return flags_NC
