"""Command lines: the verbs of `crossray`, and the jobs."""

from __future__ import annotations

from crossray.cli.explaining import Explain, ExplainCheck
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
)
from crossray.cli.planning import PlanRecipe
from crossray.cli.recipe_files import WriteRecipe
from crossray.cli.sweeping import search_job
from crossray.cli.verbs import (
    Check,
    Compare,
    Dashboards,
    Ingest,
    Inspect,
    Search,
    Serve,
    Split,
    Summary,
    main,
)

__all__ = [
    "Check",
    "Compare",
    "Dashboards",
    "Explain",
    "ExplainCheck",
    "Ingest",
    "Inspect",
    "PlanRecipe",
    "Search",
    "Serve",
    "Split",
    "Summary",
    "WriteRecipe",
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
