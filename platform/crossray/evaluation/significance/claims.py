"""Orderings that a paper claims, and whether measured values bear them out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from crossray.core.config import Config, to_dict
from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.first_rank import MEDIAN_RANK
from crossray.evaluation.significance.bootstrap import BootstrapResult, paired_bootstrap
from crossray.evaluation.significance.compare import QUERY_ID
from crossray.evaluation.significance.corrections import holm

ALPHA = 0.05

Verdict = Literal["holds", "is not reached", "is reversed", "cannot be told from chance"]
QueryTables = Mapping[str, Mapping[str, pa.Table]]  # by variant and direction, one row a query


@dataclass(frozen=True)
class Claim(Config):
    """One variant is better than another by a metric.

    Attributes:
        better: the variant that wins, by its name.
        worse: the other one.
        metric: as reports call it; any but the median rank, because the test is one of means.
        source: where it is claimed: table, figure or hypothesis.
        gain: how much better, as a share of the worse one's value; None where only the order is
            claimed.
    """

    better: str
    worse: str
    metric: str
    source: str
    gain: float | None = None

    def __post_init__(self) -> None:
        if self.metric == MEDIAN_RANK:
            raise CrossRayError(
                f"a claim about the {MEDIAN_RANK} cannot be tested by means; name another metric."
            )


@dataclass(frozen=True)
class Judgement(Config):
    """What the paired bootstrap says of a claim in one direction; p-values after Holm."""

    better: float
    worse: float
    difference: float
    low: float
    high: float
    p_value: float
    verdict: Verdict


def judge_claims(
    claims: Sequence[Claim], values: QueryTables, seed: int = 0
) -> list[dict[str, Any]]:
    """Each claim with a judgement a direction and a sentence, as JSON.

    All claims and directions are one family for Holm's correction. A claim about a metric that was
    not measured has no judgement. Raises CrossRayError for a variant without values.
    """
    results = {
        (claim, direction): _tested(claim.metric, table, values[claim.worse][direction], seed)
        for claim in claims
        for direction, table in _of(claim, values).items()
        if claim.metric in table.column_names
    }
    corrected = holm([result.p_value for result in results.values()])
    p_values = dict(zip(results, corrected.tolist(), strict=True))
    judged = []
    for claim in claims:
        found = {
            direction: _judge(claim, direction, values, results[claim, direction], p_value)
            for (tested, direction), p_value in p_values.items()
            if tested == claim
        }
        directions = {direction: to_dict(judgement) for direction, judgement in found.items()}
        words = _sentence(claim, found)
        judged.append({**to_dict(claim), "directions": directions, "words": words})
    return judged


def _of(claim: Claim, values: QueryTables) -> Mapping[str, pa.Table]:
    for name in (claim.better, claim.worse):
        if name not in values:
            raise CrossRayError(
                f"{claim.source} is about the variant {name!r}, which was not run; the variants "
                f"are {', '.join(values)}."
            )
    return values[claim.better]


def _tested(metric: str, better: pa.Table, worse: pa.Table, seed: int) -> BootstrapResult:
    return paired_bootstrap(
        better[metric].to_numpy(),
        worse[metric].to_numpy(),
        seed=seed,
        groups=better[QUERY_ID].to_numpy(),
    )


def _judge(
    claim: Claim, direction: str, values: QueryTables, result: BootstrapResult, p_value: float
) -> Judgement:
    better, worse = (
        float(np.nanmean(values[name][direction][claim.metric].to_numpy()))
        for name in (claim.better, claim.worse)
    )
    verdict: Verdict = "cannot be told from chance"
    if p_value < ALPHA:
        verdict = "holds" if result.mean_difference > 0 else "is reversed"
    if verdict == "holds" and result.mean_difference < (claim.gain or 0.0) * worse:
        verdict = "is not reached"
    return Judgement(
        better, worse, result.mean_difference, result.low, result.high, p_value, verdict
    )


def _sentence(claim: Claim, judged: Mapping[str, Judgement]) -> str:
    by = "" if claim.gain is None else f" by {claim.gain:.0%} of it or more"
    said = f"{claim.source} has {claim.better} above {claim.worse} in {claim.metric}{by}: "
    if not judged:
        return f"{said}not measured under this protocol."
    return said + "; ".join(map(_clause, judged, judged.values())) + "."


def _clause(direction: str, judged: Judgement) -> str:
    share = f", {judged.difference / judged.worse:+.1%}" if judged.worse > 0 else ""
    return (
        f"{direction.replace('_', ' ')} it {judged.verdict} ({judged.better:.3f} against "
        f"{judged.worse:.3f}, {judged.difference:+.3f} [{judged.low:+.3f}, {judged.high:+.3f}]"
        f"{share}, p = {judged.p_value:.4f})"
    )
