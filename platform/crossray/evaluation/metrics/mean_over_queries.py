"""The mean of a metric over the queries and the rule for queries without a relevant item."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import check_choice

Empty = Literal["skip", "zero"]
EMPTY_RULES: tuple[Empty, ...] = ("skip", "zero")


def mean_over_queries(values_Q: ArrayLike, empty: Empty = "skip") -> float:
    r"""Mean of per-query values, $\frac{1}{|Q|} \sum_q v_q$, where NaN marks an empty query.

    `skip` leaves queries without a relevant item out; `zero` counts them as 0. NaN when nothing is
    left to average. Raises CrossRayError for an unknown rule.
    """
    check_choice("the rule for empty queries", empty, EMPTY_RULES)
    values = np.asarray(values_Q, dtype=np.float64)
    kept = np.nan_to_num(values, nan=0.0) if empty == "zero" else values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else float("nan")
