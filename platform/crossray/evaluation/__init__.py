"""Rankings, metrics, protocols, significance and reports; arrays only, never models."""

from __future__ import annotations

from crossray.evaluation.evaluate import Curves, DirectionResult, evaluate_direction
from crossray.evaluation.evaluate_codes import evaluate_codes
from crossray.evaluation.hamming.average_precision import (
    average_precision_of_counts,
    hamming_average_precision,
)
from crossray.evaluation.hamming.counts import HammingCounts, hamming_counts
from crossray.evaluation.hamming.lookup_curves import LookupCurves
from crossray.evaluation.hamming.radius import RadiusCurve, hamming_radius_curve
from crossray.evaluation.hamming.top_n import hamming_top_n_precision
from crossray.evaluation.metrics.accuracy_at_k import accuracy_at_k
from crossray.evaluation.metrics.average_precision import average_precision
from crossray.evaluation.metrics.average_precision_by_class import average_precision_by_class
from crossray.evaluation.metrics.cmc import cmc
from crossray.evaluation.metrics.energy_in_box import energy_in_box, energy_lift
from crossray.evaluation.metrics.grounded_average_precision import (
    IOU_THRESHOLDS,
    grounded_average_precision,
)
from crossray.evaluation.metrics.label_accuracy import label_accuracy
from crossray.evaluation.metrics.label_table import LabelTable
from crossray.evaluation.metrics.mean_over_queries import mean_over_queries
from crossray.evaluation.metrics.mean_rank import mean_rank
from crossray.evaluation.metrics.median_rank import first_relevant_rank, median_rank
from crossray.evaluation.metrics.ndcg import ndcg
from crossray.evaluation.metrics.precision_at_k import precision_at_k
from crossray.evaluation.metrics.precision_recall_by_rank import precision_recall_by_rank
from crossray.evaluation.metrics.recall_at_k import recall_at_k
from crossray.evaluation.metrics.recall_fraction import recall_fraction
from crossray.evaluation.metrics.relevance import graded, pair, rare_labels, same_class, share_label
from crossray.evaluation.protocols.protocol import PROTOCOLS, Protocol, get_protocol
from crossray.evaluation.significance.bootstrap import (
    BootstrapResult,
    confidence_interval,
    confidence_intervals,
    paired_bootstrap,
    paired_bootstraps,
)
from crossray.evaluation.significance.corrections import bonferroni, holm
from crossray.evaluation.significance.paired_t_test import TTestResult, paired_t_test
from crossray.evaluation.significance.permutation import PermutationResult, paired_permutation

__all__ = [
    "IOU_THRESHOLDS",
    "PROTOCOLS",
    "BootstrapResult",
    "Curves",
    "DirectionResult",
    "HammingCounts",
    "LabelTable",
    "LookupCurves",
    "PermutationResult",
    "Protocol",
    "RadiusCurve",
    "TTestResult",
    "accuracy_at_k",
    "average_precision",
    "average_precision_by_class",
    "average_precision_of_counts",
    "bonferroni",
    "cmc",
    "confidence_interval",
    "confidence_intervals",
    "energy_in_box",
    "energy_lift",
    "evaluate_codes",
    "evaluate_direction",
    "first_relevant_rank",
    "get_protocol",
    "graded",
    "grounded_average_precision",
    "hamming_average_precision",
    "hamming_counts",
    "hamming_radius_curve",
    "hamming_top_n_precision",
    "holm",
    "label_accuracy",
    "mean_over_queries",
    "mean_rank",
    "median_rank",
    "ndcg",
    "pair",
    "paired_bootstrap",
    "paired_bootstraps",
    "paired_permutation",
    "paired_t_test",
    "precision_at_k",
    "precision_recall_by_rank",
    "rare_labels",
    "recall_at_k",
    "recall_fraction",
    "same_class",
    "share_label",
]
