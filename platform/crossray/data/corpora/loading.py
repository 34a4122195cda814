"""Training batches from a corpus, through a torch DataLoader; its errors name the item."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, TaughtBatch, TeacherOutputs, TextBatch
from crossray.data.corpora.corpus import Corpus
from crossray.data.corpora.distillation import collate_outputs
from crossray.data.corpora.sampling import BatchSampler

_Sample = tuple[object, object, int, TeacherOutputs | None]


class _Samples(Dataset[Any]):
    def __init__(
        self,
        corpus: Corpus,
        seed: int,
        label_names: Sequence[str],
        texts: bool,
        sentences: float,
    ) -> None:
        self.corpus, self.seed, self.texts, self.sentences = corpus, seed, texts, sentences
        self.labels_NC = multi_hot(corpus.labels, label_names) if label_names else None

    def __len__(self) -> int:
        return len(self.corpus)

    def __getitem__(self, at: tuple[int, int]) -> _Sample:
        epoch, row = at
        with naming(self.corpus.item_ids[row]):
            if not self.texts:
                return self.corpus.image(row, epoch), None, row, None
            choice = np.random.default_rng((self.seed, epoch, row))
            number = int(choice.integers(self.corpus.text_count(row)))
            outputs = self.corpus.teacher_outputs(row, number)
            text = self.corpus.text(row, number)
            if self.sentences < 1 and isinstance(text, list):
                text = some_sentences(text, self.sentences, choice)
            return self.corpus.image(row, epoch), text, row, outputs

    def collate(self, samples: Sequence[_Sample]) -> Batch:
        images, texts, rows, outputs = zip(*samples, strict=True)
        rows_B = torch.tensor(rows)
        batch = Batch(
            image=self.corpus.collate_images(images),
            text=self.corpus.collate_texts(texts) if self.texts else no_texts(len(rows)),
            keys_B=self.corpus.keys_N[rows_B],
            labels_BC=None if self.labels_NC is None else self.labels_NC[rows_B],
            rows_B=rows_B,
        )
        taught = [some for some in outputs if some is not None]
        return TaughtBatch(**vars(batch), teacher=collate_outputs(taught)) if taught else batch


def some_sentences(text: Sequence[str], least: float, rng: np.random.Generator) -> list[str]:
    """At least one sentence of a text, in their order, a share of them uniform in [`least`, 1]."""
    count = max(1, round(rng.uniform(least, 1) * len(text)))
    return [text[number] for number in np.sort(rng.choice(len(text), count, replace=False))]


def no_texts(rows: int) -> TextBatch:
    """Texts without a token, for methods that read none."""
    return TextBatch(torch.zeros(rows, 0, dtype=torch.bool), torch.zeros(rows, 0, dtype=torch.long))


def training_loader(
    corpus: Corpus,
    sampler: BatchSampler,
    seed: int,
    processes: int,
    label_names: Sequence[str] = (),
    texts: bool = True,
    sentences: float = 1.0,
) -> DataLoader[Batch]:
    """Micro-batches of one process, in the sampler's order.

    Each item comes with one of its texts, drawn again every epoch. What is drawn depends on the
    seed, the epoch and the item only, so neither resuming nor the number of loader processes
    changes it. `label_names` are the columns of `labels_BC`; without them it is left out. Without
    `texts` no text is read, and the batches have none. `sentences`: see `AugmentConfig`.
    """
    samples = _Samples(corpus, seed, label_names, texts, sentences)
    return ordered_loader(samples, samples.collate, sampler, processes)


def ordered_loader(
    samples: Dataset[Any],
    collate: Callable[[Sequence[Any]], Any],
    sampler: BatchSampler,
    processes: int,
) -> DataLoader[Any]:
    """`samples` as the batches of `sampler`, in its order, by so many processes."""
    # Without a generator each pass draws a seed from torch's, which would give a resumed
    # run another dropout.
    return DataLoader(
        samples,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=processes,
        generator=torch.Generator(),
    )


def multi_hot(labels: Sequence[Sequence[str]], names: Sequence[str]) -> Tensor:
    """Labels as numbers, `labels_NC`: float32, 1 where an item carries a label.

    Raises `CrossRayError` for a label that `names` does not have.
    """
    columns = {name: column for column, name in enumerate(names)}
    labels_NC = torch.zeros(len(labels), len(columns))
    for row, some in enumerate(labels):
        for name in some:
            if name not in columns:
                raise CrossRayError(
                    f"row {row} carries the label {name!r}, which the data's manifest does not "
                    "list; ingest the data again."
                )
            labels_NC[row, columns[name]] = 1.0
    return labels_NC


@contextmanager
def naming(item_id: str) -> Iterator[None]:
    """Whatever is raised inside becomes a `CrossRayError` that names the item."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise CrossRayError(
            f"the item {item_id!r} cannot be read ({reason}); mend it and ingest it again, or "
            "leave it out."
        ) from error
