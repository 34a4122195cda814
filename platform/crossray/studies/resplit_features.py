"""Cached outputs of frozen towers for pairs that were split anew: the same rows, dealt again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.corpora.feature_table import FeatureWriter
from crossray.data.schema import iter_pairs
from crossray.data.split import SPLITS
from crossray.models.artifact import TOKENIZER


def deal_features(features: Artifact, pairs: Artifact, out_uri: str) -> Artifact:
    """Write the rows of `features` that are items of `pairs` to `out_uri`, in the splits of these.

    `pairs` were dealt, whole items only, from those that `features` were made from. Raises
    `CrossRayError` when `features` has no item of a split.
    """
    began = time.monotonic()
    parents = (pairs, features)
    with create(out_uri, "features", features.manifest.config, parents) as draft:
        with FeatureWriter(draft.path) as writer:
            for rows in _dealt(features, pairs):
                writer.write(rows)
        if missing := [split for split in SPLITS if not writer.splits.get(split)]:
            raise CrossRayError(
                f"{features.uri} has no item of the {missing[0]} split of {pairs.uri}; make the "
                "features of those pairs."
            )
        shutil.copyfile(features.local() / TOKENIZER, draft.path / TOKENIZER)
        draft.notes.extend(pairs.manifest.notes)
        draft.metrics.update(
            {**features.manifest.metrics, **writer.counts()},
            seconds=round(time.monotonic() - began, 1),
        )
    return open_artifact(out_uri, "features")


def _dealt(features: Artifact, pairs: Artifact) -> Iterator[pa.Table]:
    """The rows with their new split; one stored batch is read at a time."""
    splits = {
        row["item_id"]: row["split"]
        for table in iter_pairs(pairs, ["item_id", "split"])
        for row in table.to_pylist()
    }
    for source in sorted(features.local().glob("*.arrow")):
        reader = pa.ipc.open_file(pa.memory_map(str(source)))
        for number in range(reader.num_record_batches):
            rows = pa.Table.from_batches([reader.get_batch(number)])
            dealt = [splits.get(item) for item in rows["item_id"].to_pylist()]
            at = rows.schema.get_field_index("split")
            rows = rows.set_column(at, "split", pa.array(dealt, pa.string()))
            yield rows.filter(pc.is_valid(rows["split"]))
