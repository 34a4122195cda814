"""Distillation inside a training process: the teacher, its outputs, and the corpora with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import ray.train.torch
from pyarrow import fs
from torch import Tensor

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.distributed import barrier, rank, world_size
from crossray.core.store import filesystem, is_local
from crossray.core.types import Representation, move
from crossray.data.corpora.corpus import Corpus, FeatureCorpus
from crossray.data.corpora.distillation import (
    OUTPUTS_SCHEMA,
    DistillationCorpus,
    ItemOutputs,
    outputs_batch,
)
from crossray.data.corpora.memory_map import map_table
from crossray.data.tokenization import Tokenizer
from crossray.distill import DistillationConfig
from crossray.distill.teacher_outputs import image_outputs, text_outputs, without_padding
from crossray.methods.contract import Method
from crossray.methods.recipe import Recipe
from crossray.models.corpora import pair_corpus, training_corpora

ITEMS_AT_A_TIME = 32


@dataclass(frozen=True)
class Lesson:
    """Who teaches and how. `features`: URI of cached maps of the image towers, if there are any.

    `shared_maps`: the student's image tower is the features' one too.
    """

    teacher: str
    config: DistillationConfig
    features: str | None = None
    shared_maps: bool = False


def taught_corpora(
    lesson: Lesson,
    teacher: Method,
    recipe: Recipe,
    pairs: Artifact,
    tokenizer: Tokenizer,
    folder: str,
) -> tuple[Corpus, Corpus]:
    """The training corpus with the teacher's outputs, and the validation corpus.

    `folder`: URI of a folder that all processes see, for the outputs. Every process calls this.
    """
    training, validation = training_corpora(recipe, pairs, tokenizer)
    asked = pair_corpus(teacher.config, pairs, "train", tokenizer)
    images: Corpus = asked
    if lesson.features is not None:
        features = open_artifact(lesson.features, "features")
        images = FeatureCorpus(features, "train")
        if lesson.shared_maps:
            seen = FeatureCorpus(features, recipe.train.validation_split)
            validation = DistillationCorpus(seen, validation, None)
    outputs = _cached(lesson, teacher, DistillationCorpus(images, asked, None), folder)
    shown = images if lesson.shared_maps else training
    return DistillationCorpus(shown, training, outputs), validation


def _cached(lesson: Lesson, teacher: Method, corpus: Corpus, folder: str) -> pa.Table:
    """The teacher's outputs for every item; each process computes and writes its share once."""
    names = [f"{number}-of-{world_size()}.arrow" for number in range(world_size())]
    system, root = filesystem(folder)
    system.create_dir(root, recursive=True)
    own = f"{root}/{names[rank()]}"
    if system.get_file_info(own).type == fs.FileType.NotFound:
        rows = np.array_split(np.arange(len(corpus)), world_size())[rank()]
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / names[rank()]
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, OUTPUTS_SCHEMA) as file:
                for batch in _ask(lesson, teacher, corpus, rows.tolist()):
                    file.write_batch(batch)
            partial = f"{own}.partial"
            fs.copy_files(str(path), partial, destination_filesystem=system)
            system.move(partial, own)
    barrier()
    return pa.concat_tables([map_table(_local(f"{folder}/{name}")) for name in names])


def _local(uri: str) -> Path:
    """The file on this machine; an object store's is copied for as long as the process lives."""
    system, path = filesystem(uri)
    if is_local(uri):
        return Path(path)
    copy = Path(tempfile.mkdtemp(prefix="crossray-")) / path.rsplit("/", 1)[-1]
    fs.copy_files(path, str(copy), source_filesystem=system)
    return copy


def _ask(
    lesson: Lesson, teacher: Method, corpus: Corpus, rows: list[int]
) -> Iterator[pa.RecordBatch]:
    device = ray.train.torch.get_device()
    teacher = teacher.to(device)
    of_text, of_image = lesson.config.teacher_layers(), lesson.config.teacher_image_layers()
    for start in range(0, len(rows), ITEMS_AT_A_TIME):
        block = rows[start : start + ITEMS_AT_A_TIME]
        images = corpus.collate_images([corpus.image(row) for row in block])
        image_rows = (
            _rows(part, len(block))
            for part in image_outputs(teacher, move(images, device), of_image)
        )
        texts = [(row, number) for row in block for number in range(corpus.text_count(row))]
        batch = corpus.collate_texts([corpus.text(row, number) for row, number in texts])
        said, layers = (
            _rows(part, len(texts)) for part in text_outputs(teacher, move(batch, device), of_text)
        )
        lengths = batch.mask_BT.sum(dim=1).tolist()
        answers = iter(zip(said, map(without_padding, layers, lengths), strict=True))
        yield outputs_batch(
            _outputs(image, image_layers, islice(answers, corpus.text_count(row)))
            for row, image, image_layers in zip(block, *image_rows, strict=True)
        )


def _outputs(
    image: Representation,
    image_layers: Representation,
    answers: Iterable[tuple[Representation, Representation]],
) -> ItemOutputs:
    texts, text_layers = zip(*answers, strict=True)
    return ItemOutputs(image, texts, image_layers, text_layers)


def _rows(part: dict[str, Tensor], count: int) -> list[Representation]:
    return [{name: tensor[row] for name, tensor in part.items()} for row in range(count)]
