"""Rankings, metrics, protocols, significance and reports; arrays only, never models."""

from __future__ import annotations

from crossray.evaluation.average_precision import average_precision
from crossray.evaluation.bootstrap import (
    BootstrapResult,
    confidence_interval,
    confidence_intervals,
    paired_bootstrap,
    paired_bootstraps,
)
from crossray.evaluation.corrections import bonferroni, holm
from crossray.evaluation.evaluate import Curves, DirectionResult, evaluate_direction
from crossray.evaluation.hamming import average_precision_of_counts, hamming_average_precision
from crossray.evaluation.hamming_counts import HammingCounts, hamming_counts
from crossray.evaluation.mean_over_queries import mean_over_queries
from crossray.evaluation.median_rank import first_relevant_rank, median_rank
from crossray.evaluation.permutation import PermutationResult, paired_permutation
from crossray.evaluation.precision_at_k import precision_at_k
from crossray.evaluation.protocol import PROTOCOLS, Protocol, get_protocol
from crossray.evaluation.recall_at_k import recall_at_k
from crossray.evaluation.recall_fraction import recall_fraction
from crossray.evaluation.relevance import graded, pair, rare_labels, same_class, share_label
from crossray.evaluation.t_test import TTestResult, paired_t_test

__all__ = [
    "PROTOCOLS",
    "BootstrapResult",
    "Curves",
    "DirectionResult",
    "HammingCounts",
    "PermutationResult",
    "Protocol",
    "TTestResult",
    "average_precision",
    "average_precision_of_counts",
    "bonferroni",
    "confidence_interval",
    "confidence_intervals",
    "evaluate_direction",
    "first_relevant_rank",
    "get_protocol",
    "graded",
    "hamming_average_precision",
    "hamming_counts",
    "holm",
    "mean_over_queries",
    "median_rank",
    "pair",
    "paired_bootstrap",
    "paired_bootstraps",
    "paired_permutation",
    "paired_t_test",
    "precision_at_k",
    "rare_labels",
    "recall_at_k",
    "recall_fraction",
    "same_class",
    "share_label",
]
