"""What a run learns from and judges its epochs by: pairs, pretext tasks or a teacher."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from crossray.core.types import TextBatch
from crossray.data.corpora.corpus import Corpus
from crossray.data.corpora.loading import multi_hot, training_loader
from crossray.data.corpora.sampling import BatchSampler
from crossray.data.pretext.samples import pretext_loader
from crossray.distill import Distillation
from crossray.methods.contract import Encoder, Trainable, TrainingSet, Unimodal
from crossray.methods.student import Student
from crossray.model_evaluation.pretext_validation import validate_pretext
from crossray.model_evaluation.validation import Quality, validate
from crossray.models.artifact import load_model
from crossray.models.corpora import pretext_samples, training_corpora
from crossray.training.spec import RunSpec, TeacherSpec
from crossray.training.teacher import distillation_corpora
from crossray.training.tracking import say_once


class TrainingSource(ABC):
    """The training and the validation split of a run, and what they make of its model."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec, self.recipe = spec, spec.recipe

    @abstractmethod
    def __len__(self) -> int:
        """Items of the training split."""

    @abstractmethod
    def loader(self, sampler: BatchSampler) -> Iterable[Any]:
        """Micro-batches of this process, in the sampler's order."""

    @abstractmethod
    def validate(
        self, method: Trainable[Any], device: torch.device | str, dtype: torch.dtype
    ) -> Quality:
        """How good the model is on the validation split; every process calls it."""

    @property
    def labels(self) -> Tensor | None:
        """`labels_NC` of the training split; None for methods that learn without labels."""
        return None

    def training_set(self) -> TrainingSet:
        """What a method may know of the training split before the first step."""
        tokenizer, max_tokens = self.spec.tokenizer, self.recipe.method.text.max_tokens

        def encode(texts: Sequence[str]) -> TextBatch:
            assert tokenizer is not None
            return tokenizer.encode([[text] for text in texts], max_tokens)

        seed = self.recipe.train.seed
        return TrainingSet(seed, self.labels, None if tokenizer is None else encode)

    def trainable(self, method: Encoder) -> Trainable[Any]:
        """What the loop trains so that `method` learns from this source."""
        return method.prepare(self.training_set())


class PairedSource(TrainingSource):
    """Images with their texts, labels and annotations, from pairs or from cached features."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        self.corpus, self.validation = self._corpora()

    def _corpora(self) -> tuple[Corpus, Corpus]:
        return training_corpora(self.recipe, self.spec.source, self.spec.tokenizer)

    def __len__(self) -> int:
        return len(self.corpus)

    def loader(self, sampler: BatchSampler) -> Iterable[Any]:
        """See `TrainingSource.loader`."""
        return training_loader(
            self.corpus,
            sampler,
            self.recipe.train.seed,
            self.recipe.train.loader_processes,
            self.recipe.method.label_names,
            "images_only" not in self.recipe.method.capabilities,
            self.recipe.augment.sentences,
        )

    def validate(
        self, method: Trainable[Any], device: torch.device | str, dtype: torch.dtype
    ) -> Quality:
        """Retrieval of the validation split."""
        train = self.recipe.train
        return validate(
            method, self.validation, train.validation_items, train.rerank, device, dtype,
            train.select_by,
        )  # fmt: skip

    @property
    def labels(self) -> Tensor | None:
        """See `TrainingSource.labels`."""
        names = self.recipe.method.label_names
        return multi_hot(self.corpus.labels, names) if names else None


class PretextSource(TrainingSource):
    """Images and texts apart, with what self-supervision draws for them."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        assert spec.tokenizer is not None
        self.samples, self.validation = pretext_samples(spec.recipe, spec.data, spec.tokenizer)

    def __len__(self) -> int:
        return len(self.samples)

    def loader(self, sampler: BatchSampler) -> Iterable[Any]:
        """See `TrainingSource.loader`."""
        return pretext_loader(self.samples, sampler, self.recipe.train.loader_processes)

    def validate(
        self, method: Trainable[Any], device: torch.device | str, dtype: torch.dtype
    ) -> Quality:
        """How well the pretext tasks are solved on the validation split."""
        assert isinstance(method, Unimodal)
        items = self.recipe.train.validation_items
        return validate_pretext(method, self.validation, items, device, dtype)


class TaughtSource(PairedSource):
    """Pairs with a teacher's outputs for them, computed once before the first step."""

    def __init__(self, spec: RunSpec, teacher: TeacherSpec) -> None:
        self._teacher, self._method = teacher, load_model(teacher.model).method
        super().__init__(spec)

    def _corpora(self) -> tuple[Corpus, Corpus]:
        say_once("asking the teacher about the training split")
        return distillation_corpora(self.spec, self._teacher, self._method)

    def trainable(self, method: Encoder) -> Trainable[Any]:
        """The student with its teacher."""
        assert isinstance(method, Student)
        return super().trainable(Distillation(method, self._method, self._teacher.config))


def training_source(spec: RunSpec) -> TrainingSource:
    """The source that a run's recipe asks for; every process calls it."""
    if spec.teacher is not None:
        return TaughtSource(spec, spec.teacher)
    if "pretext" in spec.recipe.method.capabilities:
        return PretextSource(spec)
    return PairedSource(spec)
