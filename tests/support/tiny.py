"""Every method in a size that a test can afford, and a batch for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import torch

from crossray.core.types import (
    Batch,
    ImageBatch,
    PretextBatch,
    TaughtBatch,
    TeacherOutputs,
    TextBatch,
)
from crossray.distill import Distillation, DistillationConfig
from crossray.distill.teacher_outputs import image_outputs, text_outputs
from crossray.encoders.image import ImageTowerConfig
from crossray.encoders.text import BertShape, TextTowerConfig
from crossray.methods import METHODS
from crossray.methods.ath import AthConfig
from crossray.methods.cca import CcaConfig
from crossray.methods.clip import ClipConfig
from crossray.methods.cmfg import CmfgConfig
from crossray.methods.config import MethodConfig
from crossray.methods.contract import TrainingSet
from crossray.methods.gpldan import GpldanConfig
from crossray.methods.hier import HierConfig, HierUnimodalConfig
from crossray.methods.image_features import ImageFeaturesConfig
from crossray.methods.image_ranking import ImageRankingConfig
from crossray.methods.mmach import MmachConfig
from crossray.methods.mmdl import MmdlConfig
from crossray.methods.student import StudentConfig

IMAGE = ImageTowerConfig(name="resnet10t", image_size=64)
SHAPE = BertShape(layers=1, width=32, heads=2, ffn_width=32, dropout=0.0)
TEXT = TextTowerConfig(shape=SHAPE, vocab_size=50, max_tokens=16)
LABELS = ("edema", "fracture", "mass", "pleural_effusion")
TINY: dict[str, MethodConfig] = {
    "ath": AthConfig(image=IMAGE, text=TEXT, labels=LABELS, bits=12),
    "clip": ClipConfig(image=IMAGE, text=TEXT, embedding=16, hidden=16),
    "cmfg": CmfgConfig(
        image=IMAGE, text=TEXT, embedding=16, grid=2, projection="normalised", key_width=8,
        heads=2, candidates=2, pair_block=8, learn_temperature=True,
    ),
    "gpldan": GpldanConfig(
        image=IMAGE, text=TEXT, embedding=8, slots=3, attention_width=5, classifier_width=6
    ),
    "hier": HierConfig(
        image=IMAGE, text=TEXT, embedding=16, hidden=16, grids=(1, 2),
        structure_width=16, structure_heads=2, structure_feed_forward=16,
    ),
    "image_ranking": ImageRankingConfig(image=IMAGE, text=TEXT, labels=LABELS),
    "mmdl": MmdlConfig(image=IMAGE, text=TEXT, labels=LABELS, embedding=16, hidden=16),
    "mmach": MmachConfig(
        image=IMAGE, text=TEXT, bits=16, scales=(3, 2), wide=16, narrow=16, label_hidden=16,
        labels=LABELS,
    ),
}  # fmt: skip
CLOSED_FORM: dict[str, MethodConfig] = {
    "cca": CcaConfig(image=IMAGE, text=TEXT, embedding=8),
    "image_features": ImageFeaturesConfig(image=IMAGE, text=TEXT),
}
UNIMODAL = HierUnimodalConfig(
    image=IMAGE, text=TEXT, embedding=16, hidden=16, queue=8, decoder=8, sentence_order=0.5
)
for NAME, KIND in METHODS.items():  # a method that needs no more than small towers and widths
    if NAME not in {*TINY, *CLOSED_FORM, UNIMODAL.name}:
        SIZES = {"embedding": 16, "hidden": 16, "bits": 8, "labels": LABELS}
        FIELDS = {field.name for field in fields(KIND)}
        SMALL = {name: size for name, size in SIZES.items() if name in FIELDS}
        TINY[NAME] = KIND(image=IMAGE, text=TEXT, **SMALL)
STUDENT = StudentConfig(image=IMAGE, text=TEXT, embedding=8, grid=1, bits=8)

LABELS_NC = torch.tensor(
    [[1, 0, 1, 0], [1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 1], [0, 0, 0, 1],
     [1, 0, 0, 0], [0, 1, 1, 1], [1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1]]
).float()  # fmt: skip


def training_set() -> TrainingSet:
    """Twelve items with four labels, of which one has none."""
    return TrainingSet(seed=0, labels_NC=LABELS_NC, encode=encoded)


def encoded(texts: Sequence[str]) -> TextBatch:
    """A token a word, by its length."""
    rows = [torch.tensor([5 + len(word) for word in text.split()]) for text in texts]
    tokens_BT = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask_BT = tokens_BT > 0
    return TextBatch(mask_BT, torch.where(mask_BT, 0, -1), tokens_BT=tokens_BT)


def distillation() -> Distillation:
    """A tiny student before a tiny teacher, one layer each."""
    teacher = TINY["hier"].build()
    return Distillation(STUDENT.build(), teacher, DistillationConfig(layer_map=((0, 0),)))


def taught(batch: Batch, method: Distillation) -> TaughtBatch:
    """The batch with what the method's teacher makes of it."""
    config = method.weights
    texts, text_layers = text_outputs(method.teacher, batch.text, config.teacher_layers())
    images, image_layers = image_outputs(method.teacher, batch.image, config.teacher_image_layers())
    outputs = TeacherOutputs(images, texts, image_layers, text_layers)
    return TaughtBatch(**vars(batch), teacher=outputs)


def batch_of(size: int, keys: list[int] | None = None) -> Batch:
    """Random pictures and texts; the first text is shorter. Rows are those of `training_set`."""
    tokens = torch.randint(5, 50, (size, 9))
    sentence = torch.tensor([-1, 0, 0, 0, 1, 1, 2, 2, -1]).repeat(size, 1)
    mask = torch.ones(size, 9, dtype=torch.bool)
    sentence[0, 6:], mask[0, 7:] = -1, False
    return Batch(
        ImageBatch(pixels_BCYX=torch.randn(size, 3, 64, 64)),
        TextBatch(mask, sentence, tokens_BT=tokens),
        torch.tensor(keys or list(range(size))),
        labels_BC=LABELS_NC[:size],
        rows_B=torch.arange(size),
    )


def pretext_batch(size: int, seed: int | None = 0) -> PretextBatch:
    """A batch with draws: some texts without an order, every third without a clinical term.

    Without a seed it is another one every time.
    """
    if seed is not None:
        torch.manual_seed(seed)
    batch = batch_of(size)
    assert batch.text.tokens_BT is not None
    chosen = (torch.rand(size, 9) < 0.3) & batch.text.mask_BT
    chosen[:, 1] = True
    return PretextBatch(
        image=batch.image,
        text=batch.text,
        views_BVCYX=torch.randn(size, 2, 3, 64, 64),
        turns_B=torch.arange(size) % 4,
        hidden_BYX=torch.rand(size, 64, 64) < 0.25,
        targets_BT=torch.where(chosen, torch.randint(5, 50, (size, 9)), -1),
        ordered_B=torch.tensor([1, 0, -1])[torch.arange(size) % 3],
        fallback_B=torch.arange(size) % 3 == 0,
    )
