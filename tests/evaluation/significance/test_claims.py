"""What a paper claims, against values that are measured."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation.significance.bootstrap import paired_bootstrap
from crossray.evaluation.significance.claims import Claim, judge_claims

DIRECTIONS = ("image_to_text", "text_to_image")


def variants(seed: int, gains: dict[str, float]) -> dict[str, dict[str, pa.Table]]:
    """Hits of 200 queries under two seeds; a variant's share of hits is half plus its gain."""
    rng = np.random.default_rng(seed)
    ids = [f"q{number}" for number in range(200)] * 2
    luck = {direction: rng.random(len(ids)) for direction in DIRECTIONS}
    return {
        name: {
            direction: pa.table(
                {"query_id": ids, "R@1": (luck[direction] < 0.5 + gain).astype(float)}
            )
            for direction in DIRECTIONS
        }
        for name, gain in gains.items()
    }


def test_claims_are_judged_by_the_paired_bootstrap_of_the_family() -> None:
    """A claim that holds by luck would be printed as confirmed."""
    values = variants(1, {"full": 0.2, "less": 0.0, "same": 0.195})
    claims = (
        Claim("full", "less", "R@1", "Table 3"),
        Claim("less", "full", "R@1", "Table 4"),
        Claim("full", "same", "R@1", "Table 5"),
        Claim("full", "less", "R@1", "Table 6", gain=0.9),
        Claim("full", "less", "mAP@all", "Table 7"),
    )
    judged = judge_claims(claims, values)
    raw = []
    for claim, found in zip(claims[:4], judged, strict=False):
        assert list(found["directions"]) == list(DIRECTIONS)
        for direction, judgement in found["directions"].items():
            a, b = values[claim.better][direction], values[claim.worse][direction]
            wanted = paired_bootstrap(
                a["R@1"].to_numpy(), b["R@1"].to_numpy(), groups=a["query_id"].to_pylist()
            )
            assert judgement["difference"] == pytest.approx(wanted.mean_difference)
            assert (judgement["low"], judgement["high"]) == (wanted.low, wanted.high)
            assert judgement["better"] == pytest.approx(sum(a["R@1"].to_pylist()) / 400)
            raw.append((wanted.p_value, judgement["p_value"]))
    largest = 0.0
    for rank, (p_value, adjusted) in enumerate(sorted(raw)):
        largest = max(largest, min(1.0, (len(raw) - rank) * p_value))
        assert adjusted == pytest.approx(largest)
    verdicts = [[j["verdict"] for j in found["directions"].values()] for found in judged]
    assert verdicts == [
        ["holds"] * 2,
        ["is reversed"] * 2,
        ["cannot be told from chance"] * 2,
        ["is not reached"] * 2,
        [],
    ]
    assert judged[0]["words"].startswith(
        "Table 3 has full above less in R@1: image to text it holds (0."
    )
    assert "by 90% of it or more" in judged[3]["words"]
    assert judged[4]["words"].endswith("not measured under this protocol.")


def test_queries_without_a_value_are_left_out() -> None:
    """NaN in a sentence looks like a result."""
    values = variants(2, {"full": 0.3, "less": 0.0})
    for name, tables in values.items():
        hits = tables["image_to_text"]["R@1"].to_numpy().copy()
        hits[::4] = np.nan
        tables["image_to_text"] = pa.table(
            {"query_id": tables["image_to_text"]["query_id"], "R@1": hits}
        )
        values[name] = tables
    (found,) = judge_claims([Claim("full", "less", "R@1", "T")], values)
    kept = [v for v in values["full"]["image_to_text"]["R@1"].to_pylist() if v == v]
    judged = found["directions"]["image_to_text"]
    assert judged["better"] == pytest.approx(sum(kept) / len(kept))
    assert judged["verdict"] == "holds"


def test_claims_that_cannot_be_tested_are_refused() -> None:
    """A claim about a variant that nobody ran must not vanish."""
    with pytest.raises(CrossRayError, match="median_rank cannot be tested"):
        Claim("full", "less", "median_rank", "Table 1")
    values = variants(3, {"full": 0.2, "less": 0.0})
    with pytest.raises(CrossRayError, match="'gone', which was not run"):
        judge_claims([Claim("full", "gone", "R@1", "Table 1")], values)
    assert judge_claims([], values) == []
