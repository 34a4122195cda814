"""Rankings, metrics, protocols, significance and reports; arrays only, never models.

Each room knows only those before it: `metrics`, `hamming` (rankings by Hamming distance),
`protocols`, `significance`, the modules next to this one (`evaluate_direction` judges scores and
codes alike), `published`, `report`. A metric is added with its file and one line of
`metrics.METRICS`; protocols, reports and `train.select_by` then know its name.
"""

from crossray.evaluation.evaluate import (
    Curves,
    DirectionResult,
    evaluate_direction,
    metric_values,
)
from crossray.evaluation.hamming.average_precision import hamming_average_precision
from crossray.evaluation.hamming.counts import hamming_counts
from crossray.evaluation.hamming.lookup import (
    LookupCurves,
    RadiusCurve,
    hamming_radius_curve,
    hamming_top_n_precision,
)
from crossray.evaluation.label_accuracy import label_accuracy
from crossray.evaluation.metrics import METRICS, parse_metric
from crossray.evaluation.metrics.average_precision import average_precision
from crossray.evaluation.metrics.by_label import LabelTable
from crossray.evaluation.metrics.energy_in_box import energy_in_box, energy_lift
from crossray.evaluation.metrics.first_rank import first_relevant_rank
from crossray.evaluation.metrics.grounded_average_precision import (
    IOU_THRESHOLDS,
    grounded_average_precision,
)
from crossray.evaluation.metrics.metric import BoundMetric, Metric, mean_over_queries
from crossray.evaluation.metrics.ndcg import ndcg
from crossray.evaluation.metrics.precision_at_k import precision_at_k
from crossray.evaluation.metrics.ranking import CountedRanking
from crossray.evaluation.metrics.recall_at_k import recall_at_k
from crossray.evaluation.metrics.recall_fraction import recall_fraction
from crossray.evaluation.metrics.reciprocal_rank import reciprocal_rank
from crossray.evaluation.metrics.relevance import graded, pair, rare_labels, same_class, share_label
from crossray.evaluation.protocols.protocol import PROTOCOLS, Protocol, get_protocol
from crossray.evaluation.ranked import PackedCodes
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
    "METRICS",
    "PROTOCOLS",
    "BootstrapResult",
    "BoundMetric",
    "CountedRanking",
    "Curves",
    "DirectionResult",
    "LabelTable",
    "LookupCurves",
    "Metric",
    "PackedCodes",
    "PermutationResult",
    "Protocol",
    "RadiusCurve",
    "TTestResult",
    "average_precision",
    "bonferroni",
    "confidence_interval",
    "confidence_intervals",
    "energy_in_box",
    "energy_lift",
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
    "metric_values",
    "ndcg",
    "pair",
    "paired_bootstrap",
    "paired_bootstraps",
    "paired_permutation",
    "paired_t_test",
    "parse_metric",
    "precision_at_k",
    "rare_labels",
    "recall_at_k",
    "recall_fraction",
    "reciprocal_rank",
    "same_class",
    "share_label",
]
