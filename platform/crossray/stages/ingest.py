"""Ingest: an importer's rows, checked in parallel by Ray Data, become a pairs artifact.

The driver holds one block at a time and one hash an item; Ray Data's object store has a budget. So
memory does not grow with the number of rows. Order is kept, and the same input gives the same
bytes and therefore the same artifact id, at any place of the input.
"""

import json
import time
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import ray.data
from ray.data import ExecutionResources
from ray.exceptions import RayTaskError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crossray.cluster.room import ALONE, Need, wait_for_room
from crossray.cluster.start import ensure_ray, quiet
from crossray.core.artifacts import Artifact, Draft, check_writable, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.images.grey_range import GreyRange, parse_grey_range
from crossray.data.ingest.counts import IngestCounts
from crossray.data.ingest.labelling import labelling_identity, with_labels
from crossray.data.ingest.worker import BLANK_TEXTS, UNIT_COLUMN, IngestWorker
from crossray.data.report_labels.report import Policy
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.shards import PairWriter, RejectedWriter
from crossray.data.sources.source import Plan, Source

_BLOCK_BYTES = 16 << 20
_STORE_BYTES_PER_CORE = 64 << 20


def ingest(
    source: Source,
    out_uri: str,
    max_rejected: float = 0.01,
    seed: int = 0,
    label_reports: Policy | None = None,
    grey_range: str = "auto",
) -> Artifact:
    """Write the pairs of `source` to `out_uri`.

    `seed` assigns the split of groups for which the source gives none; `max_rejected` in [0, 1]
    is the largest share of rejected rows that is still a success. With `label_reports`, rows
    without labels get those that their report states; its value says whether findings that the
    report only suspects count as absent ("zeros") or as present ("ones"). `grey_range` is `auto`,
    `full` or `LOW..HIGH`, see `GreyRange`; only what is not `auto` changes the id by itself.
    Counts go to stderr and into the manifest, rejected rows with their reasons into
    `rejected.parquet`. Raises `CrossRayError` when the output cannot be written, when the input is
    unreadable or has no rows, and when more rows are rejected than allowed; nothing is left at
    `out_uri` then.
    """
    if not 0.0 <= max_rejected <= 1.0:
        raise CrossRayError(
            f"--max-rejected {max_rejected} is not a share; give a number from 0 to 1."
        )
    greys = parse_grey_range(grey_range)
    began = time.monotonic()
    check_writable(out_uri)
    plan = source.plan()
    if not plan.rows:
        raise CrossRayError(f"the {source.name} input has no rows; give one with at least one row.")
    config = {**source.identity(), "seed": seed}
    if label_reports is not None:
        plan = with_labels(plan, label_reports)
        config |= labelling_identity(label_reports)
    if grey_range != "auto":
        config["grey_range"] = grey_range
    console = Console(stderr=True)
    counts = IngestCounts()
    with create(out_uri, "pairs", config) as draft:
        try:
            _write(plan, seed, greys, draft, counts, console)
        except (OSError, pa.ArrowException, RayTaskError) as error:
            raise _stopped(error, out_uri, counts.items) from error
        console.print(counts.table())
        counts.judge(max_rejected, plan.remedies)
        for note in counts.warnings(grey_range):
            console.print(f"note: {note}", style="yellow", markup=False, highlight=False)
        draft.metrics.update(
            counts.metrics(),
            input=source.location(),
            grey_range=grey_range,
            max_rejected=max_rejected,
            seconds=round(time.monotonic() - began, 1),
        )
        draft.notes.extend((*plan.notes, *counts.notes(grey_range)))
        if label_reports is not None:
            draft.notes.append(
                f"{counts.labelled:,} of {counts.items:,} items have labels that a rule read from "
                f"their report; uncertain findings count as {label_reports}."
            )
    return open_artifact(out_uri, "pairs")


def _stopped(error: Exception, out_uri: str, items: int) -> CrossRayError:
    """The sentence for an error that no single row caused."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    reason = next(iter(str(cause).splitlines()), type(cause).__name__)  # Ray adds lines
    if isinstance(cause, CrossRayError):
        return CrossRayError(reason)
    return CrossRayError(
        f"the ingest to {out_uri} stopped at item {items:,} ({reason}); check that the disk has "
        "room and that the input is readable, then run it again."
    )


def _write(
    plan: Plan, seed: int, greys: GreyRange, draft: Draft, counts: IngestCounts, console: Console
) -> None:
    bar = Progress(
        TextColumn("ingest"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, transient=True,
    )  # fmt: skip
    ensure_ray()
    wait_for_room(Need(1, {"CPU": 1.0}, None, ALONE))
    with PairWriter(draft.path) as pairs, RejectedWriter(draft.path) as rejected, bar:
        task = bar.add_task("ingest", total=plan.rows)
        for block in _blocks(plan, seed, greys):
            pairs.write(admit(block, counts, rejected))
            bar.advance(task, len(block))


def _blocks(plan: Plan, seed: int, greys: GreyRange) -> Iterator[pa.Table]:
    """The rows of the plan in order, judged one by one in Ray's workers."""
    items = [{UNIT_COLUMN: json.dumps(unit)} for unit in plan.units]
    dataset = ray.data.from_items(items, override_num_blocks=len(items))
    context = dataset.context
    quiet(context)
    context.target_max_block_size = _BLOCK_BYTES
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    budget = min(
        resources["object_store_memory"] / 2, _STORE_BYTES_PER_CORE * max(2, resources["CPU"])
    )
    context.execution_options.resource_limits = ExecutionResources(object_store_memory=budget)
    judged = dataset.map_batches(
        IngestWorker(plan.reader, seed, greys), batch_size=None, batch_format="pyarrow"
    )
    yield from judged.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)


def admit(block: pa.Table, counts: IngestCounts, rejected: RejectedWriter) -> pa.Table:
    """The rows of `block`, a table of `WORK_SCHEMA`, that are taken; all of them are counted.

    A copy, outside the object store.
    """
    names = ("item_id", "group_id", "split", "where", "reason", "detail")
    accepted = []
    for row in block.select(names).to_pylist():
        verdict = (row["reason"], row["detail"]) if row["reason"] else None
        verdict = verdict or counts.admit(row["item_id"], row["group_id"], row["split"])
        accepted.append(verdict is None)
        if verdict is not None:
            reason, detail = verdict
            counts.reject(reason, row["where"], detail)
            where = {name: row[name] for name in ("item_id", "where")}
            rejected.write({**where, "reason": reason, "detail": detail})
    rows = block.filter(pa.array(accepted, pa.bool_()))
    taken = rows.select(PAIR_SCHEMA.names).cast(PAIR_SCHEMA)
    counts.count(taken, pc.sum(rows[BLANK_TEXTS]).as_py() or 0)
    return taken
