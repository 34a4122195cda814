"""Evaluate a model: from a model and a `pairs` artifact to a `report` artifact."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crossray.core.artifacts import Artifact, check_writable, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.inspection import print_summary
from crossray.core.store import resolve
from crossray.data.corpus import Corpus, PairCorpus
from crossray.data.splits import Split
from crossray.distill.code_scorer import CodeScorer
from crossray.distill.student import Student
from crossray.evaluation import (
    DirectionResult,
    Protocol,
    evaluate_direction,
    get_protocol,
    rare_labels,
)
from crossray.evaluation.report import DIRECTIONS, PER_QUERY, write_report
from crossray.methods.contract import Method
from crossray.training.asked import asked
from crossray.training.gallery import sample_gallery
from crossray.training.reference import reference_line
from crossray.training.scoring import ScoreMatrices, score_corpus
from crossray.training.validation import label_matrix


@dataclass(frozen=True)
class Evaluate:
    """Measure a model on a split, both directions, and write a report with CCA beside it.

    Attributes:
        model: a teacher or student artifact: a name in the store, an absolute path or a URI.
        pairs: the artifact with the data to measure it on.
        out: the report artifact.
        features: in place of pairs, features that the model's frozen towers made, or the feature
            set that it was trained on.
        split: of the data.
        protocol: by default `hier` where the data has labels, else `flickr`.
        rerank: candidates a query that get the method's costly scores; as many as there are items
            scores every pair exactly.
        codes: bits of the student's codes, to measure them in place of its vectors.
        rescore: with `codes`, candidates a query, nearest by code, that the vectors rank again.
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
    seed: int = 0
    use_gpu: bool = False

    def run(self) -> Artifact:
        """Score, judge and publish; prints one table."""
        began = time.monotonic()
        check_writable(out := resolve(self.out))
        trained = open_artifact(resolve(self.model), ("teacher", "student"))
        method, data, corpus = asked(trained, self.pairs, self.features, self.split)
        usual = "hier" if data.manifest.metrics.get("labels") else "flickr"
        protocol = get_protocol(self.protocol or usual)
        method, rerank = self._scorer(method, trained)
        device = "cuda" if self.use_gpu else "cpu"
        print(f"scoring {len(corpus):,} images against their texts", flush=True)
        scores = score_corpus(method.to(device), corpus, rerank, device=device)
        results = judge(scores, corpus, protocol, self.seed)
        reference, unmatched = reference_line(
            trained, data, corpus, self.split, lambda own: judge(own, corpus, protocol, self.seed)
        )
        config = {
            "split": self.split,
            "protocol": protocol.name,
            "rerank": rerank,
            "codes": self.codes,
            "seed": self.seed,
        }
        with create(out, "report", config, (trained, data)) as draft:
            notes = [*data.manifest.notes, *unmatched]
            lineage: dict[str, dict[str, str]] = {
                artifact.kind: {"uri": artifact.uri, "id": artifact.id}
                for artifact in (trained, data)
            }
            counts = {"split": self.split, "paired_items": len(corpus)}
            gallery = None  # features have neither pictures nor words
            if isinstance(corpus, PairCorpus):
                gallery = sample_gallery(scores, corpus, self.seed)
            report = write_report(
                draft.path, *results, protocol, lineage, self.seed, counts, notes, gallery,
                reference=reference,
            )  # fmt: skip
            for name, result in zip(DIRECTIONS, results, strict=True):
                columns = {"query_id": pa.array(result.query_ids.tolist()), **result.per_query}
                pq.write_table(pa.table(columns), draft.path / f"{PER_QUERY}-{name}.parquet")
            draft.notes.extend(notes)
            draft.metrics.update(
                report["metrics"],
                items=len(corpus),
                seconds=round(time.monotonic() - began, 1),
                headline=_headline(report["metrics"]),
            )
        artifact = open_artifact(out)
        print_summary(artifact)
        print(f"read it: {artifact.uri}/report.html", flush=True)
        return artifact

    def _scorer(self, method: Method, trained: Artifact) -> tuple[Method, int]:
        """What scores pairs, and how many candidates a query are scored again."""
        if self.codes is None:
            return method, self.rerank
        if not isinstance(method, Student):
            raise CrossRayError(
                f"{trained.uri} is a {trained.kind} and has no codes; give a student, or leave "
                "codes out."
            )
        if self.codes != method.config.bits:
            raise CrossRayError(
                f"{trained.uri} makes codes of {method.config.bits} bits, not {self.codes}; "
                "ask for those, or distil a student with the bits you want."
            )
        return CodeScorer(method), self.rescore


def judge(
    scores: ScoreMatrices, corpus: Corpus, protocol: Protocol, seed: int
) -> tuple[DirectionResult, DirectionResult]:
    """Image to text and text to image under a protocol, on the corpus' own ids and labels."""
    rows = scores.text_rows_C
    keys_N = corpus.keys_N.numpy()
    labels_NC = label_matrix(corpus.labels)
    some = labels_NC.any()
    images = (keys_N, labels_NC if some else None)
    texts = (keys_N[rows], labels_NC[rows] if some else None)
    rare_C = rare_labels(labels_NC) if some else None

    def direction(matrix: np.ndarray, queries: tuple, items: tuple) -> DirectionResult:  # type: ignore[type-arg]
        return evaluate_direction(
            matrix, queries[0], items[0], queries[1], items[1], protocol, rare_C, seed
        )

    return (
        direction(scores.image_to_text_NC, images, texts),
        direction(np.ascontiguousarray(scores.text_to_image_NC.T), texts, images),
    )


def _headline(metrics: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        f"{metric} {direction.replace('_', ' ')}": values[metric]
        for metric in ("R@10", "mAP@all")
        for direction, values in metrics.items()
    }
