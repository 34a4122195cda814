"""Single runs of a study: made once, and taken when the study is started again."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crossray.core.artifacts import Artifact, Kind, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.store import exists, resolve
from crossray.data.corpora.feature_table import FeatureWriter
from crossray.data.schema import iter_pairs
from crossray.data.split import SPLITS
from crossray.data.splits.items import read_items
from crossray.data.splits.splitters import Splitter
from crossray.data.tokenization import load_tokenizer
from crossray.evaluation.significance.compare import PER_QUERY
from crossray.methods.recipe import Recipe
from crossray.models.artifact import TOKENIZER, load_method
from crossray.models.fitting import fitted, with_label_vocabulary
from crossray.models.towers import towers_of
from crossray.models.training_data import open_training_data
from crossray.stages.evaluate import Evaluate
from crossray.stages.pretrain import Pretrain
from crossray.stages.recipe_files import recipe_to_dict
from crossray.stages.split import resplit


def split_once(pairs: Artifact, maker: Splitter, uri: str) -> Artifact:
    """The pairs as `maker` splits them, made now or before; raises what `made_before` raises."""
    wanted = maker.identity(maker.split(read_items(pairs)))
    found = made_before(uri, "pairs", (pairs,), lambda made: made.manifest.config == wanted)
    return found or resplit(pairs, maker, uri)


def features_once(name: str, pairs: Artifact, uri: str) -> Artifact:
    """The features `name` in the splits of `pairs`, made now or before; raises as `made_before`."""
    given = open_artifact(resolve(name), "features")
    found = made_before(uri, "features", (pairs, given), lambda _: True)
    return found or resplit_features(given, pairs, uri)


def resplit_features(features: Artifact, pairs: Artifact, out_uri: str) -> Artifact:
    """Write the rows of `features` that are items of `pairs` to `out_uri`, in the splits of these.

    `pairs` are items of the pairs that `features` were made from, in other splits. Raises
    `CrossRayError` when `features` has no item of a split.
    """
    began = time.monotonic()
    parents = (pairs, features)
    with create(out_uri, "features", features.manifest.config, parents) as draft:
        with FeatureWriter(draft.path) as writer:
            for rows in _resplit(features, pairs):
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


def _resplit(features: Artifact, pairs: Artifact) -> Iterator[pa.Table]:
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
            names = [splits.get(item) for item in rows["item_id"].to_pylist()]
            at = rows.schema.get_field_index("split")
            rows = rows.set_column(at, "split", pa.array(names, pa.string()))
            yield rows.filter(pc.is_valid(rows["split"]))


def train_once(job: Pretrain) -> Artifact:
    """The teacher of `job`, made now or before; raises what `made_before` raises."""
    data = open_training_data(job.pairs, job.features, job.recipe.name)
    init = None if job.init is None else open_artifact(resolve(job.init), "teacher")
    cached = None if data.is_feature_set else data.features
    sources = [source for source in (data.source, cached, init) if source is not None]

    def fits(teacher: Artifact) -> bool:
        if data.is_feature_set:
            image, text = towers_of(data.source)
            method = replace(job.recipe.method, image=image, text=text)
            wanted = replace(job.recipe, method=method)
        else:
            words = load_tokenizer(f"path:{teacher.local() / TOKENIZER}")
            wanted = fitted(job.recipe, words)
        return teacher.manifest.config == recipe_to_dict(with_label_vocabulary(wanted, data.source))

    return made_before(job.out, "teacher", sources, fits) or job.run()


def evaluate_once(job: Evaluate) -> Artifact:
    """The report of `job`, made now or before; raises what `made_before` raises."""
    model = open_artifact(resolve(job.model))
    data = job.pairs or job.features
    assert data is not None
    parents = (model, open_artifact(resolve(data)))
    return made_before(job.out, "report", parents, lambda _: True) or job.run()


def made_before(
    uri: str, kind: Kind, parents: Sequence[Artifact], fits: Callable[[Artifact], bool]
) -> Artifact | None:
    """What an earlier start of the study has published at `uri`.

    Raises `CrossRayError` when it is another artifact than would be made now.
    """
    if not exists(uri):
        return None
    found = open_artifact(uri, kind)
    same = [parent.id for parent in found.manifest.parents] == [parent.id for parent in parents]
    if not (same and fits(found)):
        raise CrossRayError(
            f"{uri} was made by an earlier start with other pairs or another recipe; choose "
            "another --out, or remove the folder of its runs."
        )
    return found


def seeded(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with another seed."""
    return replace(recipe, train=replace(recipe.train, seed=seed))


def parameters_of(teacher: Artifact) -> int:
    """How many parameters its model has, frozen ones too."""
    return sum(parameter.numel() for parameter in load_method(teacher).parameters())


def report_content(report: Artifact) -> dict[str, Any]:
    """What `report.json` says."""
    text = (report.local() / "report.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def pooled_queries(reports: Sequence[Artifact]) -> dict[str, pa.Table]:
    """By direction the values of every query, those of all reports one after the other."""
    return {
        direction: pa.concat_tables(
            pq.read_table(report.local() / f"{PER_QUERY}-{direction}.parquet") for report in reports
        )
        for direction in report_content(reports[0])["protocol"]["directions"]
    }
