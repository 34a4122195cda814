"""The last step of a distillation: the anchors of a student's hubness correction."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from crossray.core.artifacts import Artifact
from crossray.data.tokenization import Tokenizer
from crossray.methods.student.hubness import EXTRA, HubnessConfig
from crossray.methods.student.model import Student, StudentConfig
from crossray.models.artifact import save_weights
from crossray.models.corpora import pair_corpus

ANCHORS = 1000  # items of the training split
NEIGHBOURS = 5  # of them count
ITEMS_AT_A_TIME = 64


def with_fewer_hubs(
    config: StudentConfig,
    weights: Path,
    weight: float,
    pairs: Artifact,
    tokenizer: Tokenizer,
) -> StudentConfig:
    """The student with its correction; the file of its weights is written anew with the anchors.

    Anchors are items of the training split, evenly spread over its order, each with all its texts.
    `weight` is `distillation.hubness`; where it is 0 the student stays as it is.
    """
    if not weight:
        return config
    student = config.build(load_weights=False).eval()
    state = load_file(weights)
    student.load_state_dict(state)
    images_AD, texts_AD = _anchors(student, pairs, tokenizer)
    hubness = HubnessConfig(weight, NEIGHBOURS, len(images_AD), len(texts_AD))
    state["hubness.image_anchors_AD"], state["hubness.text_anchors_AD"] = images_AD, texts_AD
    save_weights(state, weights)
    return replace(config, embedding=config.embedding + EXTRA, hubness=hubness)


@torch.inference_mode()
def _anchors(student: Student, pairs: Artifact, tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    corpus = pair_corpus(student.config, pairs, "train", tokenizer)
    rows = np.unique(np.linspace(0, len(corpus) - 1, ANCHORS).astype(int)).tolist()
    images, texts = [], []
    for start in range(0, len(rows), ITEMS_AT_A_TIME):
        block = rows[start : start + ITEMS_AT_A_TIME]
        shown = corpus.collate_images([corpus.image(row) for row in block])
        images.append(student.encode_image(shown))
        said = [corpus.text(row, n) for row in block for n in range(corpus.text_count(row))]
        texts.append(student.encode_text(corpus.collate_texts(said)))
    return torch.cat(images), torch.cat(texts)
