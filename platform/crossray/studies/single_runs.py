"""Single runs of a job that makes several: made once, and taken when the job starts again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crossray.core.artifacts import Artifact, Kind, open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.store import exists, resolve
from crossray.data.splits.items import read_items
from crossray.data.splits.splitters import SplitMaker
from crossray.data.tokenization import load_tokenizer
from crossray.evaluation.significance.compare import PER_QUERY
from crossray.methods.recipe import Recipe
from crossray.models.artifact import TOKENIZER, load_method
from crossray.models.fitting import fitted, labelled
from crossray.models.towers import towers_of
from crossray.stages.evaluate import Evaluate
from crossray.stages.pretrain import Pretrain
from crossray.stages.recipe_files import recipe_to_dict
from crossray.stages.split import resplit


def split_once(pairs: Artifact, maker: SplitMaker, uri: str) -> Artifact:
    """The pairs as `maker` deals them, made now or before; raises what `made_before` raises."""
    wanted = maker.identity(maker.deal(read_items(pairs)))
    found = made_before(uri, "pairs", (pairs,), lambda made: made.manifest.config == wanted)
    return found or resplit(pairs, maker, uri)


def train_once(job: Pretrain) -> Artifact:
    """The teacher of `job`, made now or before; raises what `made_before` raises."""
    pairs = None if job.pairs is None else open_artifact(resolve(job.pairs), "pairs")
    features = None if job.features is None else open_artifact(resolve(job.features), "features")
    init = None if job.init is None else open_artifact(resolve(job.init), "teacher")
    sources = [source for source in (pairs, features, init) if source is not None]

    def fits(teacher: Artifact) -> bool:
        if pairs is None and features is not None:
            image, text = towers_of(features)
            method = replace(job.recipe.method, image=image, text=text)
            wanted = replace(job.recipe, method=method)
        else:
            words = load_tokenizer(f"path:{teacher.local() / TOKENIZER}")
            wanted = fitted(job.recipe, words)
        return teacher.manifest.config == recipe_to_dict(labelled(wanted, sources[0]))

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
    """What an earlier start of the job has published at `uri`.

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
