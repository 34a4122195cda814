"""Cached outputs of frozen towers for pairs that were split anew: the same rows, dealt again."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pyarrow as pa
import pyarrow.compute as pc

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.schema import iter_pairs
from crossray.data.splits import SPLITS
from crossray.distill.models import TOKENIZER


def deal_features(features: Artifact, pairs: Artifact, out_uri: str) -> Artifact:
    """Write the rows of `features` that are items of `pairs` to `out_uri`, in the splits of these.

    `pairs` were dealt, whole items only, from those that `features` were made from. Raises
    `CrossRayError` when `features` has no item of a split.
    """
    began = time.monotonic()
    found: Counter[str] = Counter()
    parents = (pairs, features)
    with create(out_uri, "features", features.manifest.config, parents) as draft:
        with ExitStack() as files:
            writers: dict[str, pa.RecordBatchWriter] = {}
            for split, rows in _dealt(features, pairs):
                if split not in writers:
                    sink = files.enter_context(pa.OSFile(str(draft.path / f"{split}.arrow"), "wb"))
                    writers[split] = files.enter_context(pa.ipc.new_file(sink, rows.schema))
                writers[split].write_batch(rows)
                found[split] += len(rows)
        if missing := [split for split in SPLITS if not found[split]]:
            raise CrossRayError(
                f"{features.uri} has no item of the {missing[0]} split of {pairs.uri}; make the "
                "features of those pairs."
            )
        shutil.copyfile(features.local() / TOKENIZER, draft.path / TOKENIZER)
        draft.notes.extend(pairs.manifest.notes)
        draft.metrics.update(
            features.manifest.metrics,
            items=found.total(),
            seconds=round(time.monotonic() - began, 1),
        )
    return open_artifact(out_uri, "features")


def _dealt(features: Artifact, pairs: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows by their new split; one stored batch is read at a time."""
    splits = {
        row["item_id"]: row["split"]
        for table in iter_pairs(pairs, ["item_id", "split"])
        for row in table.to_pylist()
    }
    for source in sorted(features.local().glob("*.arrow")):
        reader = pa.ipc.open_file(pa.memory_map(str(source)))
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            dealt = [splits.get(item) for item in batch["item_id"].to_pylist()]
            at = batch.schema.get_field_index("split")
            batch = batch.set_column(at, "split", pa.array(dealt, pa.string()))
            for split in SPLITS:
                rows = batch.filter(pc.equal(batch["split"], split))
                if len(rows):
                    yield split, rows
