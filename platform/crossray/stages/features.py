"""Cache what frozen towers give: from a `pairs` to a `features` artifact, with Ray Data."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.data
import torch
from numpy.typing import NDArray
from rich.progress import Progress as ProgressBar
from torch.nn import functional

from crossray.cluster.placement import role_selector
from crossray.cluster.room import ALONE, Need, wait_for_room
from crossray.cluster.start import ensure_ray, quiet
from crossray.core.artifacts import Artifact, check_writable, create, open_artifact
from crossray.core.config import to_dict
from crossray.core.errors import CrossRayError
from crossray.core.inspection import print_stage
from crossray.core.store import resolve
from crossray.data.corpora.corpus import study_key
from crossray.data.corpora.feature_table import FeatureWriter, feature_table
from crossray.data.doc2vec import Doc2Vec, Doc2VecConfig
from crossray.data.schema import read_row_group, row_groups, text_entries
from crossray.data.tokenization import Tokenizer
from crossray.data.transforms import evaluation_transform
from crossray.encoders.image import ImageTower, ImageTowerConfig, normalisation
from crossray.encoders.text import TextTower, TextTowerConfig, given_texts
from crossray.methods.recipe import Recipe, TokenizerConfig
from crossray.models.artifact import TOKENIZER
from crossray.models.fitting import fitted_towers, make_tokenizer, training_texts

IMAGES_AT_A_TIME = 16
_COLUMNS = ["item_id", "split", "image", "texts", "sections", "labels", "meta"]
Read = tuple[list[NDArray[Any]], list[NDArray[np.int16]]]


@dataclass(frozen=True)
class Features:
    """Run frozen towers once over all paired items, or all images, and keep what they give.

    Attributes:
        pairs: the artifact to read: a name in the store, an absolute path or a URI.
        out: the features artifact.
        image: the image tower.
        text: the text tower.
        tokenizer: of the text tower.
        side: average each feature map into this many rows and columns; None keeps the full map.
        dtype: of the stored numbers; float16 halves the size and rounds to 3 decimal digits.
        actors: processes that run the towers.
        texts: what makes the vectors of texts: the tower, one a token, or Doc2Vec, fitted on the
            training split, one a text. A method then learns from these in place of a tower.
        doc2vec: how Doc2Vec learns.
        unpaired: keep images without texts too.
    """

    pairs: str
    out: str
    image: ImageTowerConfig
    text: TextTowerConfig
    tokenizer: TokenizerConfig
    side: int | None = None
    dtype: Literal["float16", "float32"] = "float16"
    actors: int = 2
    texts: Literal["tower", "doc2vec"] = "tower"
    doc2vec: Doc2VecConfig = field(default_factory=Doc2VecConfig)
    unpaired: bool = False

    @classmethod
    def of(cls, recipe: Recipe, pairs: str, out: str, **options: Any) -> "Features":
        """The features of a recipe's towers."""
        towers = recipe.method
        return cls(pairs, out, towers.image, towers.text, recipe.tokenizer, **options)

    def run(self) -> Artifact:
        """Compute and publish; prints progress and one line."""
        began = time.monotonic()
        check_writable(out := resolve(self.out))
        pairs = open_artifact(resolve(self.pairs), "pairs")
        if not (self.image.frozen and (self.text.frozen or self.texts == "doc2vec")):
            raise CrossRayError(
                "these towers are trained, so their output cannot be cached; use a recipe with "
                "frozen towers or train without features."
            )
        tokenizer = make_tokenizer(self.tokenizer, pairs)
        given = given_texts(self.doc2vec.width) if self.texts == "doc2vec" else self.text
        image, text = fitted_towers(self.image, given, self.tokenizer, tokenizer)
        shape, width = ImageTower(image, False), TextTower(text, False).width
        side = shape.side if self.side is None else self.side
        if not 0 < side <= shape.side or shape.side % side:
            raise CrossRayError(
                f"side={side} does not divide the {shape.side} rows and columns of the image "
                "tower's map; choose a divisor, or leave it out to keep the full map."
            )
        ensure_ray()
        config = {"image": to_dict(image), "text": to_dict(text), "dtype": self.dtype, "side": side}
        reader: TextReader = TokenReader(text, tokenizer.to_str())
        if self.texts == "doc2vec":
            config["doc2vec"] = to_dict(self.doc2vec)
            print("fitting Doc2Vec on the training split", flush=True)
            reader = Doc2VecReader(Doc2Vec(training_texts(pairs), self.doc2vec))
        with create(out, "features", config, (pairs,)) as draft:
            with FeatureWriter(draft.path) as writer:
                for table in self._stream(pairs, image, reader, side):
                    writer.write(table)
            tokenizer.save(draft.path / TOKENIZER)
            draft.notes.extend(pairs.manifest.notes)
            draft.metrics.update(
                writer.counts(),
                grid_shape=[shape.channels, side, side],
                text_width=width,
                seconds=round(time.monotonic() - began, 1),
            )
        features = open_artifact(out)
        print_stage(features)
        return features

    def _stream(
        self,
        pairs: Artifact,
        image: ImageTowerConfig,
        reader: "TextReader",
        side: int,
    ) -> Iterator[pa.Table]:
        wait_for_room(Need(1, {"CPU": 1.0}, "train", ALONE))
        units = [{"unit": json.dumps(unit)} for unit in row_groups(pairs)]
        dataset: ray.data.Dataset = ray.data.from_items(units, override_num_blocks=len(units))
        quiet(dataset.context)
        dataset = dataset.map_batches(
            Towers,
            fn_constructor_args=(pairs.uri, image, reader, side, self.dtype, self.unpaired),
            batch_format="pyarrow",
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(size=min(self.actors, len(units))),
            num_cpus=1,
            label_selector=role_selector("train"),
        )
        with ProgressBar() as bar:
            task = bar.add_task("features", total=pairs.manifest.metrics["items"])
            for table in dataset.iter_batches(batch_format="pyarrow", batch_size=None):
                bar.update(task, advance=len(table))
                if len(table):
                    yield table


class Towers:
    """A Ray Data actor: both frozen towers over a table of pairs."""

    def __init__(
        self,
        pairs: str,
        image: ImageTowerConfig,
        reader: "TextReader",
        side: int,
        dtype: str,
        unpaired: bool,
    ) -> None:
        torch.set_num_threads(1)
        self.pairs = open_artifact(pairs)
        self.reader = reader.started()
        self.unpaired = unpaired
        self.transform = evaluation_transform(image.image_size, *normalisation(image))
        self.image = ImageTower(image).eval()
        self.side = side
        self.dtype = np.dtype(dtype)

    @torch.inference_mode()
    def __call__(self, units: pa.Table) -> pa.Table:
        """The rows of the row groups that have both an image and texts, or an image."""
        rows = [self._rows(json.loads(unit)) for unit in units["unit"].to_pylist()]
        return pa.concat_tables(rows)

    def _rows(self, unit: dict[str, Any]) -> pa.Table:
        table = read_row_group(self.pairs, unit, _COLUMNS)
        wanted = pc.is_valid(table["image"])
        if not self.unpaired:
            wanted = pc.and_(wanted, pc.greater(pc.list_value_length(table["texts"]), 0))
        rows = table.filter(wanted).to_pylist()
        grids: list[Any] = []
        states, sentences = [], []
        for start in range(0, len(rows), IMAGES_AT_A_TIME):
            block = rows[start : start + IMAGES_AT_A_TIME]
            pixels = torch.stack([self.transform(row["image"]) for row in block])
            maps = functional.adaptive_avg_pool2d(self.image(pixels), self.side)
            grids += list(maps.flatten(1).numpy().astype(self.dtype))
        for row in rows:
            text_states, text_sentences = self._texts(row)
            states.append(text_states)
            sentences.append(text_sentences)
        keys = [study_key(row["item_id"], row["meta"]) for row in rows]
        item_ids, splits, labels = (
            [row[name] for row in rows] for name in ("item_id", "split", "labels")
        )
        return feature_table(item_ids, splits, keys, labels, grids, states, sentences, self.dtype)

    def _texts(self, row: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        entries = text_entries(row["texts"], row["sections"])
        states, sentences = self.reader.read(entries) if entries else ([], [])
        return [state.ravel().astype(self.dtype) for state in states], sentences


class TextReader(ABC):
    """Sent to the processes that make features, and started there."""

    @abstractmethod
    def started(self) -> "TextReader":
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

    def started(self) -> "TokenReader":
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

    def started(self) -> "Doc2VecReader":
        """See `TextReader.started`."""
        return self

    def read(self, entries: Sequence[list[str]]) -> Read:
        """See `TextReader.read`."""
        vectors = [self.model.vector(" ".join(sentences))[None] for sentences in entries]
        return vectors, [np.zeros(1, np.int16) for _ in entries]
