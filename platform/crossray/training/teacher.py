"""Distillation inside a training process: the teacher's outputs and the corpora with them."""

import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import ray.train.torch
from pyarrow import fs
from torch import Tensor

from crossray.core.distributed import barrier, rank, world_size
from crossray.core.store import filesystem, is_local
from crossray.core.types import Representation, move
from crossray.data.corpora import distillation
from crossray.data.corpora.corpus import Corpus, FeatureCorpus
from crossray.data.corpora.memory_map import map_table
from crossray.distill.teacher_outputs import image_outputs, text_outputs, without_padding
from crossray.methods.contract import Encoder
from crossray.models.corpora import pair_corpus, training_corpora
from crossray.training.spec import RunSpec, TeacherSpec

ITEMS_AT_A_TIME = 32


def distillation_corpora(
    spec: RunSpec, teacher: TeacherSpec, method: Encoder
) -> tuple[Corpus, Corpus]:
    """The training corpus with the teacher's outputs, and the validation corpus.

    `method` is the teacher's. Every process calls this.
    """
    assert spec.tokenizer is not None
    training, validation = training_corpora(spec.recipe, spec.data, spec.tokenizer)
    read = pair_corpus(method.config, spec.data, "train", spec.tokenizer)
    images: Corpus = read
    if spec.features is not None:
        images = FeatureCorpus(spec.features, "train")
        if teacher.shared_maps:
            maps = FeatureCorpus(spec.features, spec.recipe.train.validation_split)
            validation = distillation.DistillationCorpus(maps, validation, None)
    items = distillation.DistillationCorpus(images, read, None)
    outputs = _cached(teacher, method, items, f"{spec.storage}/teaching")
    shown = images if teacher.shared_maps else training
    return distillation.DistillationCorpus(shown, training, outputs), validation


def _cached(teacher: TeacherSpec, method: Encoder, corpus: Corpus, folder: str) -> pa.Table:
    """The teacher's outputs for every item; each process computes and writes its share once.

    `folder`: URI of a folder that all processes see.
    """
    names = [f"{number}-of-{world_size()}.arrow" for number in range(world_size())]
    system, root = filesystem(folder)
    system.create_dir(root, recursive=True)
    share = f"{root}/{names[rank()]}"
    if system.get_file_info(share).type == fs.FileType.NotFound:
        rows = np.array_split(np.arange(len(corpus)), world_size())[rank()]
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / names[rank()]
            with (
                pa.OSFile(str(path), "wb") as sink,
                pa.ipc.new_file(sink, distillation.OUTPUTS_SCHEMA) as file,
            ):
                for batch in _ask(teacher, method, corpus, rows.tolist()):
                    file.write_batch(batch)
            partial = f"{share}.partial"
            fs.copy_files(str(path), partial, destination_filesystem=system)
            system.move(partial, share)
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
    teacher: TeacherSpec, method: Encoder, corpus: Corpus, rows: list[int]
) -> Iterator[pa.RecordBatch]:
    device = ray.train.torch.get_device()
    method = method.to(device)
    of_text, of_image = teacher.config.teacher_layers(), teacher.config.teacher_image_layers()
    for start in range(0, len(rows), ITEMS_AT_A_TIME):
        block = rows[start : start + ITEMS_AT_A_TIME]
        images = corpus.collate_images([corpus.image(row) for row in block])
        image_rows = (
            _rows(part, len(block))
            for part in image_outputs(method, move(images, device), of_image)
        )
        texts = [(row, number) for row in block for number in range(corpus.text_count(row))]
        batch = corpus.collate_texts([corpus.text(row, number) for row, number in texts])
        said, layers = (
            _rows(part, len(texts)) for part in text_outputs(method, move(batch, device), of_text)
        )
        lengths = batch.mask_BT.sum(dim=1).tolist()
        answers = iter(zip(said, map(without_padding, layers, lengths), strict=True))
        yield distillation.outputs_batch(
            _outputs(image, image_layers, islice(answers, corpus.text_count(row)))
            for row, image, image_layers in zip(block, *image_rows, strict=True)
        )


def _outputs(
    image: Representation,
    image_layers: Representation,
    answers: Iterable[tuple[Representation, Representation]],
) -> distillation.ItemOutputs:
    texts, text_layers = zip(*answers, strict=True)
    return distillation.ItemOutputs(image, texts, image_layers, text_layers)


def _rows(part: dict[str, Tensor], count: int) -> list[Representation]:
    return [{name: tensor[row] for name, tensor in part.items()} for row in range(count)]
