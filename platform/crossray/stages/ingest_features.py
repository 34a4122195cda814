"""From a feature set to a `features` artifact, the first of its lineage."""

import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from crossray.core.artifacts import Artifact, check_writable, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.corpora.corpus import study_key
from crossray.data.corpora.feature_table import FeatureWriter, feature_table
from crossray.data.feature_sets.feature_set import FeatureRows, FeatureSet, FeatureSource
from crossray.data.split import SPLITS, Split

BLOCK_ROWS = 1024
_SENTENCE = np.zeros(1, dtype=np.int16)
_FLOAT32 = np.dtype(np.float32)


def ingest_features(source: FeatureSource, out_uri: str, seed: int = 0) -> Artifact:
    """Write the vectors of `source` to `out_uri`, as maps of one cell and texts of one token.

    `seed` draws what the set does not say. Raises `CrossRayError` when the output cannot be
    written and when the input is not what the source reads.
    """
    began = time.monotonic()
    check_writable(out_uri)
    found = source.features(seed)
    channels, width = _widths(found, source.name)
    config = {**source.identity(), "seed": seed, "dtype": _FLOAT32.name, "side": 1}
    with create(out_uri, "features", config) as draft:
        with FeatureWriter(draft.path) as writer:
            for split in (split for split in SPLITS if split in found.splits):
                for table in _tables(split, found.splits[split]):
                    writer.write(table)
        draft.notes.extend(found.notes)
        draft.metrics.update(
            writer.counts(),
            grid_shape=[channels, 1, 1],
            text_width=width,
            input=source.location(),
            seconds=round(time.monotonic() - began, 1),
        )
    return open_artifact(out_uri, "features")


def _tables(split: Split, rows: FeatureRows) -> Iterator[pa.Table]:
    for start in range(0, len(rows), BLOCK_ROWS):
        part = rows.take(range(start, min(start + BLOCK_ROWS, len(rows))))
        count = len(part)
        keys = [study_key(item, ()) for item in part.item_ids]
        states = [[text_W] for text_W in part.text_NW]
        yield feature_table(
            part.item_ids, [split] * count, keys, part.labels, list(part.image_NC), states,
            [[_SENTENCE]] * count, _FLOAT32,
        )  # fmt: skip


def _widths(found: FeatureSet, name: str) -> tuple[int, int]:
    """Of the image and of the text vectors, which all splits must share."""
    shapes = {split: (r.image_NC.shape[1], r.text_NW.shape[1]) for split, r in found.splits.items()}
    if len(set(shapes.values())) > 1:
        widths = ", ".join(
            f"{image} and {text} in {split}" for split, (image, text) in shapes.items()
        )
        raise CrossRayError(
            f"the image and text vectors of {name} are not equally long in all splits ({widths}); "
            "give arrays that one extractor made."
        )
    return next(iter(shapes.values()))
