"""A tiny data set, an untrained model, its vectors and an index: what an endpoint serves."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.modality import MODALITIES, Modality
from crossray.data import shards as pair_shards
from crossray.data.schema import PAIR_SCHEMA, row_groups
from crossray.data.tokenization import Tokenizer, train_wordpiece
from crossray.encoders.image import ImageTowerConfig
from crossray.encoders.text import BertShape, TextTowerConfig
from crossray.index.representations import Keep
from crossray.methods.clip import ClipConfig
from crossray.methods.cmfg import CmfgConfig
from crossray.methods.config import MethodConfig
from crossray.methods.gpldan import GpldanConfig
from crossray.methods.hier import Hier, HierConfig
from crossray.methods.mmach import MmachConfig
from crossray.methods.student.model import StudentConfig
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict, save_weights
from crossray.stages.embed import Embedder
from crossray.stages.index import BuildIndex
from support import bruteforce
from support.images import encoded_image

DIM, BITS, ITEMS, MAX_TOKENS = 16, 24, 40, 16
WORDS = ("dog", "cat", "lung", "heart", "effusion", "nodule", "hurdle", "jumps", "left", "right")
ODD_ID = "ward 7/../é<b>.jpg"


def make_items(seed: int, items: int = ITEMS) -> list[dict[str, Any]]:
    """Rows of `PAIR_SCHEMA`: copies, so that scores tie; documents; items without image or text."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(items):
        twin = number - 1 if number % 4 == 3 else number
        texts = [" ".join(np.random.default_rng([seed, twin, n]).choice(WORDS, 4)) for n in (0, 1)]
        document = number % 5 == 4
        rows.append(
            {
                "item_id": ODD_ID if number == 0 else f"item-{number:03d}",
                "group_id": f"g{number}",
                "split": "test",
                "image": None
                if number % 10 == 6
                else encoded_image(twin, "PNG" if twin % 2 else "JPEG"),
                "texts": [] if number % 10 == 8 else texts,
                "sections": [{"name": "findings", "start": 0, "stop": 2}] if document else [],
                "labels": sorted(rng.choice(WORDS, 2, replace=False).tolist()),
                "boxes": [],
                "meta": [("view", "frontal")],
            }
        )
    return rows


def publish_pairs(folder: Path, rows: list[dict[str, Any]]) -> Artifact:
    """A `pairs` artifact with several row groups."""
    with create(str(folder / "pairs"), "pairs", {}) as draft:
        with (
            patch.object(pair_shards, "GROUP_ROWS", 16),
            pair_shards.PairWriter(draft.path) as writer,
        ):
            writer.write(pa.Table.from_pylist(rows, PAIR_SCHEMA))
        draft.metrics.update(items=len(rows))
    return open_artifact(str(folder / "pairs"))


STUDENT = StudentConfig(embedding=DIM, bits=BITS, grid=2)
HIER = HierConfig(
    embedding=DIM, hidden=16, grids=(1, 2),
    structure_width=16, structure_heads=2, structure_feed_forward=16,
)  # fmt: skip
CLIP = ClipConfig(embedding=DIM, hidden=16)
GPLDAN = GpldanConfig(embedding=DIM // 4, slots=4, attention_width=8)
CMFG = CmfgConfig(embedding=DIM, key_width=8, grid=2)
MMACH = MmachConfig(bits=BITS, labels=WORDS, wide=32, narrow=16, label_hidden=16)


def publish_model(
    folder: Path, kind: Literal["teacher", "student"], config: MethodConfig, seed: int = 0
) -> Artifact:
    """A model of that method with random weights and tiny towers."""
    tokenizer = Tokenizer(train_wordpiece(WORDS, 200, min_frequency=1))
    shape = BertShape(layers=1, width=32, heads=2, ffn_width=32, dropout=0.0)
    text = TextTowerConfig(shape=shape, vocab_size=tokenizer.vocab_size, max_tokens=MAX_TOKENS)
    config = replace(config, image=ImageTowerConfig(name="test_byobnet", image_size=64), text=text)
    torch.manual_seed(seed)
    method = config.build()
    if isinstance(method, Hier):  # at first it is uniform, and both directions score alike
        torch.nn.init.normal_(method.gate.weight, std=4.0)
    manifest = {"method": method_to_dict(config), "tokenizer": {"max_tokens": MAX_TOKENS}}
    with create(str(folder / kind), kind, manifest) as draft:
        save_weights(method.state_dict(), draft.path / WEIGHTS)
        tokenizer.save(draft.path / TOKENIZER)
    return open_artifact(str(folder / kind))


def publish_vectors(
    folder: Path, model: Artifact, pairs: Artifact, keep: Keep = "vectors"
) -> Artifact:
    """The `vectors` artifact of a model and its pairs."""
    parts = folder / "parts"
    parts.mkdir()
    units = row_groups(pairs)
    names = [f"part-{number:05d}.parquet" for number in range(len(units))]
    Embedder(model.uri, pairs.uri, str(parts), None, False, keep)(
        pa.table({"name": names, "unit": [json.dumps(unit) for unit in units]})
    )
    bits = model.manifest.config["method"].get("bits", 0)
    dim = len(pq.read_table(parts / names[0])["vector"][0])
    config = {"dim": dim, "bits": bits, "keep": keep}
    with create(str(folder / "vectors"), "vectors", config, (model, pairs)) as draft:
        rows = dict.fromkeys(MODALITIES, 0)
        for name in names:
            for modality in pq.read_table(parts / name)["modality"].to_pylist():
                rows[modality] += 1
        shutil.copytree(parts, draft.path, dirs_exist_ok=True)
        draft.metrics["rows"] = rows
    return open_artifact(str(folder / "vectors"))


@dataclass(frozen=True)
class Side:
    """What brute force searches: the rows of one modality in their order."""

    vectors_ND: np.ndarray
    codes_NY: np.ndarray
    keys: list[tuple[str, int]]


@dataclass(frozen=True)
class World:
    """Artifacts that belong together, and the rows behind them."""

    folder: Path
    rows: list[dict[str, Any]]
    model: Artifact
    pairs: Artifact
    vectors: Artifact

    def index(self, shards: int = 1) -> Artifact:
        """An exact index of so many shards."""
        uri = self.folder / f"index-{shards}"
        if uri.exists():
            return open_artifact(str(uri))
        return BuildIndex(self.vectors.uri, str(uri), shards=shards, kind="flat").run()

    def row(self, item_id: str) -> dict[str, Any]:
        """An item as it was ingested."""
        return next(row for row in self.rows if row["item_id"] == item_id)

    def side(self, modality: Modality) -> Side:
        """The vectors, codes and keys of a modality, read from the artifact's Parquet files."""
        files = sorted(self.vectors.local().glob("part-*.parquet"))
        rows = [row for file in files for row in pq.read_table(file).to_pylist()]
        own = [row for row in rows if row["modality"] == modality]
        return Side(
            np.array([row["vector"] for row in own], np.float16),
            np.array([np.frombuffer(row.get("code", b""), np.uint8) for row in own]),
            [(row["item_id"], row["number"]) for row in own],
        )

    def expected(
        self, target: str, vector_D: np.ndarray, code_Y: np.ndarray, k: int, mode: str
    ) -> list[tuple[float, str, str, int]]:
        """The answer of brute force: score, modality, item and text number, best first.

        Of `any` the hits of both modalities in turn, as reciprocal rank fusion gives them.
        """
        found = []
        for place, modality in enumerate(MODALITIES):
            if target not in (modality, "any"):
                continue
            side = self.side(modality)
            scores, rows = _answer(side, vector_D[None], code_Y[None], k, mode)
            ranked = [pair for pair in zip(scores[0], rows[0], strict=True) if pair[1] >= 0]
            found += [
                (-1 / (60 + rank), place, score, modality, *side.keys[row])
                for rank, (score, row) in enumerate(ranked, start=1)
            ]
        best = sorted(found, key=lambda hit: hit[:2])[:k]
        return [(score, modality, item, number) for _, _, score, modality, item, number in best]


def _answer(
    side: Side, vector_QD: np.ndarray, code_QY: np.ndarray, k: int, mode: str
) -> bruteforce.Answer:
    if mode == "binary":
        return bruteforce.ranked(bruteforce.code_scores(code_QY, side.codes_NY), k)
    scores = bruteforce.float_scores(vector_QD, side.vectors_ND)
    if mode == "float":
        return bruteforce.ranked(scores, k)
    distances = bruteforce.distances(code_QY, side.codes_NY)
    return bruteforce.rescored(scores, distances, max(10 * k, 100), k)


def make_world(
    folder: Path,
    kind: Literal["teacher", "student"] = "student",
    config: MethodConfig = STUDENT,
    keep: Keep = "vectors",
) -> World:
    """Pairs, a model and vectors under a folder."""
    rows = make_items(0)
    pairs, model = publish_pairs(folder, rows), publish_model(folder, kind, config)
    return World(folder, rows, model, pairs, publish_vectors(folder, model, pairs, keep))


def told(answer: dict[str, Any]) -> list[tuple[float, str, str, int]]:
    """The hits of an answer in the form of `World.expected`."""
    return [(h["score"], h["modality"], h["item_id"], h["number"]) for h in answer["hits"]]
