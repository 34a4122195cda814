"""Cache what frozen towers give: from a `pairs` to a `features` artifact, with Ray Data."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
import ray.data
import torch
from rich.progress import Progress as ProgressBar
from tyro.conf import arg

from crossray.core.artifacts import Artifact, check_writable, create, open_artifact
from crossray.core.config import to_dict
from crossray.core.errors import CrossRayError
from crossray.core.inspection import print_summary
from crossray.core.store import resolve
from crossray.data.cluster import ensure_ray, quiet
from crossray.data.corpus import study_key, text_entries
from crossray.data.schema import read_row_group, row_groups
from crossray.data.tokenization import Tokenizer
from crossray.data.transforms import evaluation_transform
from crossray.encoders.image import ImageTower, normalisation
from crossray.encoders.text import TextTower
from crossray.methods.contract import MethodConfig
from crossray.training.config import Recipe
from crossray.training.fitting import fitted, make_tokenizer
from crossray.training.models import TOKENIZER

IMAGES_AT_A_TIME = 16
_COLUMNS = ["item_id", "split", "image", "texts", "sections", "labels", "meta"]


@dataclass(frozen=True)
class Features:
    """Run a recipe's frozen towers once over all paired items and keep what they give.

    Attributes:
        pairs: the artifact to read: a name in the store, an absolute path or a URI.
        out: the features artifact.
        recipe: what has the towers and the tokenizer.
        dtype: of the stored numbers; float16 halves the size and rounds to 3 decimal digits.
        actors: processes that run the towers.
    """

    pairs: str
    out: str
    recipe: Annotated[Recipe, arg(name="")]
    dtype: Literal["float16", "float32"] = "float16"
    actors: int = 2

    def run(self) -> Artifact:
        """Compute and publish; prints progress and one table."""
        began = time.monotonic()
        check_writable(out := resolve(self.out))
        pairs = open_artifact(resolve(self.pairs), "pairs")
        towers = self.recipe.method
        if not (towers.image.frozen and towers.text.frozen):
            raise CrossRayError(
                f"the recipe {self.recipe.name!r} trains its towers, so their output cannot be "
                "cached; use a recipe with frozen towers or train without features."
            )
        tokenizer = make_tokenizer(self.recipe, pairs)
        method = fitted(self.recipe, tokenizer).method
        ensure_ray()
        config = tower_config(method) | {"dtype": self.dtype}
        with create(out, "features", config, (pairs,)) as draft, ExitStack() as files:
            writers: dict[str, pa.RecordBatchWriter] = {}
            items = 0
            for table in self._stream(pairs, method, tokenizer):
                for split in pc.unique(table["split"]).to_pylist():
                    if split not in writers:
                        path = str(draft.path / f"{split}.arrow")
                        sink = files.enter_context(pa.OSFile(path, "wb"))
                        schema = table.schema.remove_metadata()
                        writers[split] = files.enter_context(pa.ipc.new_file(sink, schema))
                    writers[split].write_table(table.filter(pc.equal(table["split"], split)))
                items += len(table)
            tokenizer.save(draft.path / TOKENIZER)
            draft.notes.extend(pairs.manifest.notes)
            shapes = ImageTower(method.image, False), TextTower(method.text, False)
            side = shapes[0].side
            draft.metrics["grid_shape"] = [shapes[0].channels, side, side]
            draft.metrics["text_width"] = shapes[1].width
            draft.metrics["items"] = items
            draft.metrics["seconds"] = round(time.monotonic() - began, 1)
        features = open_artifact(out)
        print_summary(features)
        return features

    def _stream(
        self, pairs: Artifact, method: MethodConfig, tokenizer: Tokenizer
    ) -> Iterator[pa.Table]:
        units = [{"unit": json.dumps(unit)} for unit in row_groups(pairs)]
        dataset: ray.data.Dataset = ray.data.from_items(units, override_num_blocks=len(units))
        quiet(dataset.context)
        dataset = dataset.map_batches(
            Towers,
            fn_constructor_args=(pairs.uri, method, tokenizer.to_str(), self.dtype),
            batch_format="pyarrow",
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(size=self.actors),
            num_cpus=1,
        )
        with ProgressBar() as bar:
            task = bar.add_task("features", total=pairs.manifest.metrics["items"])
            for table in dataset.iter_batches(batch_format="pyarrow", batch_size=None):
                bar.update(task, advance=len(table))
                if len(table):
                    yield table


class Towers:
    """A Ray Data actor: both frozen towers over a table of pairs."""

    def __init__(self, pairs: str, method: MethodConfig, tokenizer: str, dtype: str) -> None:
        torch.set_num_threads(1)
        self.pairs = open_artifact(pairs)
        self.tokenizer = Tokenizer.from_str(tokenizer)
        self.max_tokens = method.text.max_tokens
        self.transform = evaluation_transform(method.image.image_size, *normalisation(method.image))
        self.image = ImageTower(method.image).eval()
        self.text = TextTower(method.text).eval()
        self.dtype = np.dtype(dtype)

    @torch.inference_mode()
    def __call__(self, units: pa.Table) -> pa.Table:
        """The rows of the row groups that have both an image and texts."""
        rows = [self._rows(json.loads(unit)) for unit in units["unit"].to_pylist()]
        return pa.concat_tables(rows)

    def _rows(self, unit: dict[str, Any]) -> pa.Table:
        table = read_row_group(self.pairs, unit, _COLUMNS)
        paired = pc.and_(
            pc.is_valid(table["image"]), pc.greater(pc.list_value_length(table["texts"]), 0)
        )
        rows = table.filter(paired).to_pylist()
        kind = pa.from_numpy_dtype(self.dtype)
        grids: list[Any] = []
        states, sentences = [], []
        for start in range(0, len(rows), IMAGES_AT_A_TIME):
            block = rows[start : start + IMAGES_AT_A_TIME]
            pixels = torch.stack([self.transform(row["image"]) for row in block])
            grids += list(self.image(pixels).flatten(1).numpy().astype(self.dtype))
        for row in rows:
            own_states, own_sentences = self._texts(row)
            states.append(own_states)
            sentences.append(own_sentences)
        keys = [study_key(row["item_id"], row["meta"]) for row in rows]
        return pa.table(
            {
                "item_id": pa.array([row["item_id"] for row in rows], pa.string()),
                "split": pa.array([row["split"] for row in rows], pa.string()),
                "key": pa.array(keys, pa.int64()),
                "labels": pa.array([row["labels"] for row in rows], pa.list_(pa.string())),
                "grid": pa.array(grids, pa.list_(kind)),
                "states": pa.array(states, pa.list_(pa.large_list(kind))),
                "sentences": pa.array(sentences, pa.list_(pa.list_(pa.int16()))),
            }
        )

    def _texts(self, row: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        entries = text_entries(row["texts"], row["sections"])
        batch = self.tokenizer.encode(entries, self.max_tokens)
        assert batch.tokens_BT is not None
        states_BTD = self.text(batch.tokens_BT, batch.mask_BT).numpy().astype(self.dtype)
        lengths = batch.mask_BT.sum(dim=1).tolist()
        states = [state[:length].ravel() for state, length in zip(states_BTD, lengths, strict=True)]
        sentence_BT = batch.sentence_BT.numpy().astype(np.int16)
        return states, [row[:length] for row, length in zip(sentence_BT, lengths, strict=True)]


def tower_config(method: MethodConfig) -> dict[str, Any]:
    """What the cached numbers depend on."""
    return {"image": to_dict(method.image), "text": to_dict(method.text)}


def same_towers(recipe: Recipe, features: Artifact) -> None:
    """Refuse features that other towers than the recipe's have made."""
    found = {name: features.manifest.config[name] for name in ("image", "text")}
    wanted = tower_config(recipe.method)
    for tower in ("image", "text"):
        for name, value in wanted[tower].items():
            if found[tower].get(name) != value:
                raise CrossRayError(
                    f"{features.uri} was made with {tower}.{name}={found[tower].get(name)!r}, but "
                    f"the recipe has {value!r}; use the same towers or make the features again."
                )
