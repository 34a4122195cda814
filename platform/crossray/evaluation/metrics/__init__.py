"""One metric a file, a pure function of arrays; those that a protocol can name are `METRICS`."""

import re

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics import (
    average_precision,
    first_rank,
    ndcg,
    precision_at_k,
    recall_at_k,
    recall_fraction,
    reciprocal_rank,
)
from crossray.evaluation.metrics.arrays import check_choice, check_cutoff
from crossray.evaluation.metrics.metric import BoundMetric, Metric

METRICS: dict[str, Metric] = {
    "R": recall_at_k.METRIC,
    "P": precision_at_k.METRIC,
    "recall_fraction": recall_fraction.METRIC,
    "median_rank": first_rank.MEDIAN,
    "mean_rank": first_rank.MEAN,
    "MRR": reciprocal_rank.METRIC,
    "mAP": average_precision.METRIC,
    "NDCG": ndcg.METRIC,
}
_NAME = re.compile(r"(\w+)(?:@(\w+))?(?:\[(\w+)\])?")


def parse_metric(name: str) -> BoundMetric:
    """Return the metric of a name such as `MRR`, `R@10`, `mAP@all`, `mAP@50[found]`.

    Raises CrossRayError for an unknown metric, and for a cut-off or a variant that is missing, not
    needed or out of range.
    """
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in METRICS:
        raise CrossRayError(
            f"there is no metric {name!r}: choose one of {', '.join(map(_form, METRICS.values()))}."
        )
    metric, cutoff, variant = METRICS[match[1]], match[2], match[3]
    if (cutoff is None) != (metric.cutoff == "none"):
        raise CrossRayError(f"{name!r} is not how a metric is named: write {_form(metric)}.")
    everything = metric.cutoff == "K or all" and cutoff == "all"
    if cutoff is None or everything:
        if variant is not None:
            raise CrossRayError(f"{name!r} has no variant {variant!r}: write {_form(metric)}.")
        return BoundMetric(name, metric)
    k = int(cutoff) if cutoff.isdecimal() else 0
    check_cutoff(f"the cut-off of {name!r}", k)
    if metric.variants:
        check_choice(f"the variant of {name!r}", variant or "missing", tuple(metric.variants))
    elif variant is not None:
        raise CrossRayError(f"{name!r} has no variant {variant!r}: write {_form(metric)}.")
    return BoundMetric(name, metric, k, variant)


def show_value(number: float, metric: str) -> str:
    """A rank with one digit after the point, a fraction with three."""
    return f"{number:.1f}" if is_rank(metric) else f"{number:.3f}"


def is_rank(metric: str) -> bool:
    """Whether the values that a report holds under a name are ranks."""
    return metric in METRICS and METRICS[metric].unit == "rank"


def _form(metric: Metric) -> str:
    """How a metric is named."""
    if metric.cutoff == "none":
        return metric.name
    variants = f"[{'|'.join(metric.variants)}]" if metric.variants else ""
    everything = f", {metric.name}@all" if metric.cutoff == "K or all" else ""
    return f"{metric.name}@K{variants}{everything}"
