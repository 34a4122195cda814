"""Command lines: the verbs of `crossray`, and the jobs."""

from __future__ import annotations

from crossray.cli.jobs import (
    ablate_job,
    annotation_efficiency_job,
    distill_job,
    embed_job,
    evaluate_job,
    features_job,
    few_shot_job,
    index_job,
    pretrain_job,
    repeat_job,
    search_job,
)
from crossray.cli.verbs import main

__all__ = [
    "ablate_job",
    "annotation_efficiency_job",
    "distill_job",
    "embed_job",
    "evaluate_job",
    "features_job",
    "few_shot_job",
    "index_job",
    "main",
    "pretrain_job",
    "repeat_job",
    "search_job",
]
