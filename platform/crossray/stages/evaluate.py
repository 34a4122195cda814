"""Evaluate a model: from a model and a `pairs` artifact to a `report` artifact."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from crossray.core import artifacts
from crossray.core.errors import CrossRayError
from crossray.core.inspection import print_stage
from crossray.core.store import resolve
from crossray.data.corpora.corpus import PairCorpus
from crossray.data.corpora.joined import JoinedCorpus
from crossray.data.split import Split
from crossray.evaluation import DirectionResult, Protocol, get_protocol
from crossray.evaluation.protocols.protocol import IMAGE_TO_IMAGE
from crossray.evaluation.published import MeasuredOn
from crossray.evaluation.report.gallery import Gallery
from crossray.evaluation.report.report import write_report
from crossray.evaluation.significance.compare import PER_QUERY, REFERENCE_PER_QUERY
from crossray.methods.contract import Encoder
from crossray.model_evaluation import evaluation_data
from crossray.model_evaluation.evaluate_model import Held, ModelResult, evaluate_model
from crossray.model_evaluation.example_hits import sample_gallery
from crossray.model_evaluation.leak_report import look_for_leaks
from crossray.model_evaluation.retrieval_items import label_names
from crossray.model_evaluation.selection import selection_of
from crossray.models.code_scorer import CodeScorer
from crossray.stages.cca_reference import reference_line
from crossray.stages.grounding import with_grounding


class Evaluation(NamedTuple):
    """What a model is worth on a split, and how that was measured."""

    trained: artifacts.Artifact
    data: artifacts.Artifact
    protocol: Protocol
    rerank: int
    task: evaluation_data.RetrievalTask
    found: ModelResult


@dataclass(frozen=True)
class Evaluate:
    """Measure a model on a split under a protocol and write a report that compares it with CCA.

    Attributes:
        model: a teacher or student artifact: a name in the store, an absolute path or a URI.
        pairs: the artifact with the data to measure it on.
        out: the report artifact.
        features: in place of pairs, features that the model's frozen towers made, or the feature
            set that it was trained on.
        split: of the data.
        protocol: hier, cmfg, mmdl, gpldan, gpldan_labels, mmach or flickr; by default `mmdl` for a
            model of image search, else `hier` where the data has labels, else `flickr`. mmach needs
            codes.
        rerank: candidates a query that get the method's costly scores; as many as there are items
            scores every pair exactly.
        codes: bits of the model's codes, to measure them in place of its vectors.
        rescore: with `codes`, candidates a query, nearest by code, that the vectors rank again.
        held: what stands for an item where images are queries for images: its image, the mean of
            its texts, or the mean of both.
        query_labels: labels, separated by commas: only items with one of them are queries, and only
            they make items relevant by label, as for labels that were held out.
        grounded: on pairs with boxes, also count what is found only where the model's heat map
            attends a box of the image: average precision at an overlap of 0.3, 0.5 and 0.7.
        seed: of the bootstrap.
        use_gpu: score on a GPU instead of the CPU.
    """

    model: str
    pairs: str | None
    out: str
    features: str | None = None
    split: Split = "test"
    protocol: str | None = None
    rerank: int = 100
    codes: int | None = None
    rescore: int = 0
    held: Held = "image"
    query_labels: str | None = None
    grounded: bool = False
    seed: int = 0
    use_gpu: bool = False

    def run(self) -> artifacts.Artifact:
        """Score, judge and publish; prints one line."""
        began = time.monotonic()
        artifacts.check_writable(out := resolve(self.out))
        trained, data, protocol, rerank, task, found = self.evaluation()
        corpus, results, chosen = task.corpus, found.results, self._chosen_labels()
        leaks = look_for_leaks(data, self.split, trained) if data.kind == "pairs" else None
        reference, remarks = reference_line(
            trained, data, corpus.item_ids, self.split, protocol, self.seed, self.codes, chosen
        )
        if chosen:
            remarks.append(queries_by_label(", ".join(chosen)))
        config = self._config(protocol, rerank, chosen)
        with artifacts.create(out, "report", config, (trained, data)) as draft:
            notes = [*artifacts.inherited_notes((trained, data)), *remarks]
            lineage: dict[str, dict[str, str]] = {
                artifact.kind: {"uri": artifact.uri, "id": artifact.id}
                for artifact in (trained, data)
            }
            counts = {"split": self.split, "paired_items": len(corpus)}
            gallery = None if chosen else _gallery(found, task, data, self.seed)
            report = write_report(
                draft.path, results, protocol, lineage, self.seed, counts, notes, gallery,
                label_names=label_names(corpus, chosen),
                measured=None if chosen else MeasuredOn.pairs(
                    data.manifest.config,
                    data.manifest.metrics.get("splits", {}),
                    None if self.rescore else self.codes,
                ),
                leaks=leaks,
                selection=selection_of(trained, data),
                reference=reference,
            )  # fmt: skip
            by_direction = dict(zip(protocol.directions, results, strict=True))
            _write_per_query(draft.path, by_direction, PER_QUERY)
            if reference is not None:
                _write_per_query(draft.path, reference.results, REFERENCE_PER_QUERY)
            draft.notes.extend(notes)
            draft.metrics.update(
                report["metrics"],
                items=len(corpus),
                seconds=round(time.monotonic() - began, 1),
                headline=_headline(report["metrics"], protocol),
            )
        artifact = artifacts.open_artifact(out)
        print_stage(artifact)
        return artifact

    def evaluation(self) -> Evaluation:
        """Score and judge, and write nothing."""
        trained = artifacts.open_artifact(resolve(self.model), ("teacher", "student"))
        method, data, open_split = evaluation_data.open_evaluation_data(
            trained, self.pairs, self.features
        )
        usual = "hier" if data.manifest.metrics.get("labels") else "flickr"
        usual = "mmdl" if "image_search" in method.config.capabilities else usual
        protocol = get_protocol(self.protocol or usual)
        self._check_ranking(protocol)
        self._check_grounded(data, protocol)
        method, rerank = self._scorer(method, trained)
        task = evaluation_data.retrieval_task(open_split, data, self.split, protocol)
        others = "images" if protocol.directions == IMAGE_TO_IMAGE else "their texts"
        print(f"scoring {len(task.corpus):,} images against {others}", flush=True)
        device, chosen = "cuda" if self.use_gpu else "cpu", self._chosen_labels()
        found = evaluate_model(
            method.to(device), task, protocol, rerank, self.seed, device, chosen, self.held
        )
        if self.grounded:
            assert isinstance(task.corpus, PairCorpus)
            found = with_grounding(found, task.corpus, trained, data, self.split, self.seed)
        return Evaluation(trained, data, protocol, rerank, task, found)

    def _config(self, protocol: Protocol, rerank: int, chosen: tuple[str, ...]) -> dict[str, Any]:
        """What the report's manifest says of how it was made."""
        config = {
            "split": self.split,
            "protocol": protocol.name,
            "rerank": rerank,
            "codes": self.codes,
            "held": self.held,
            "seed": self.seed,
        }
        if self.grounded:
            config["grounded"] = True
        return {**config, "query_labels": list(chosen)} if chosen else config

    def _chosen_labels(self) -> tuple[str, ...]:
        """The labels of the queries, none for all queries."""
        given = (self.query_labels or "").split(",")
        return tuple(dict.fromkeys(name.strip() for name in given if name.strip()))

    def _check_ranking(self, protocol: Protocol) -> None:
        """Refuse what the protocol cannot rank."""
        if protocol.ranked_by == "hamming" and self.codes is None:
            raise CrossRayError(
                f"protocol {protocol.name!r} ranks codes by their Hamming distance; give a model "
                "that makes codes and their bits, --codes 64 for instance, or another protocol."
            )
        scored = protocol.ranked_by == "scores" and protocol.directions != IMAGE_TO_IMAGE
        if self.held != "image" and protocol.directions != IMAGE_TO_IMAGE:
            raise CrossRayError(
                f"protocol {protocol.name!r} asks images and texts for each other; leave held out, "
                "or choose a protocol of images as queries for images."
            )
        if self.rescore and not scored:
            raise CrossRayError(
                f"protocol {protocol.name!r} ranks by the codes alone and rescores nothing; leave "
                "rescore out, or choose a protocol of images and texts that ranks scores."
            )

    def _check_grounded(self, data: artifacts.Artifact, protocol: Protocol) -> None:
        """Refuse heat maps where there are no images, or where they explain no ranking."""
        ranks_pairs = protocol.ranked_by == "scores" and protocol.directions != IMAGE_TO_IMAGE
        vectors = self.codes is None and self.query_labels is None
        if self.grounded and not (data.kind == "pairs" and ranks_pairs and vectors):
            raise CrossRayError(
                "grounded needs pairs whose images and texts are ranked by scores of the model; "
                "leave it out, or features, codes, query-labels and protocols of codes or images."
            )

    def _scorer(self, method: Encoder, trained: artifacts.Artifact) -> tuple[Encoder, int]:
        """What scores pairs, and how many candidates a query are scored again."""
        if self.codes is None:
            return method, self.rerank
        if (hashing := method.hashing()) is None:
            raise CrossRayError(
                f"{trained.uri} is a {trained.kind} and has no codes; give a model that makes "
                "some, as every student does, or leave codes out."
            )
        if self.codes != method.config.code_bits:
            raise CrossRayError(
                f"{trained.uri} makes codes of {method.config.code_bits} bits, not {self.codes}; "
                "ask for those, or train a model with the bits you want."
            )
        return CodeScorer(hashing), self.rescore


def queries_by_label(labels: str) -> str:
    """Which items are queries, where it is not every item; labels separated by commas."""
    names = ", ".join(label.strip() for label in labels.split(","))
    return (
        f"Queries are the items with any of {names}; the database is the split, and no other "
        "label makes an item relevant."
    )


def _gallery(
    found: ModelResult, task: evaluation_data.RetrievalTask, data: artifacts.Artifact, seed: int
) -> Gallery | None:
    """Examples, except of features, which have neither pictures nor words."""
    corpus = task.corpus
    if data.kind != "pairs" or not isinstance(corpus, PairCorpus | JoinedCorpus):
        return None
    return sample_gallery(found.ranked, corpus, seed, task.queries)


def _write_per_query(directory: Path, results: Mapping[Any, DirectionResult], prefix: str) -> None:
    """The values of every query, one file a direction."""
    for name, result in results.items():
        columns = {"query_id": pa.array(result.query_ids.tolist()), **result.per_query}
        pq.write_table(pa.table(columns), directory / f"{prefix}-{name}.parquet")


def _headline(metrics: dict[str, dict[str, float]], protocol: Protocol) -> dict[str, float]:
    return {
        f"{metric} {direction.replace('_', ' ')}": values[metric]
        for metric in protocol.headline
        for direction, values in metrics.items()
    }
