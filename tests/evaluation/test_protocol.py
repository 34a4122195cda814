"""The named protocols and what a protocol may say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation import PROTOCOLS, get_protocol


@pytest.mark.parametrize("name", ["hier", "flickr"])
def test_image_text_protocols_report_recall_at_1_5_10_over_pairs(name: str) -> None:
    """The headline of image-text retrieval would be missing or judged by other items."""
    protocol = get_protocol(name)
    assert (protocol.name, protocol.relevance, protocol.ks) == (name, "pair", (1, 5, 10))
    assert (protocol.ap_cutoff, protocol.ap_denominator, protocol.ties) == (None, "total", "stable")


def test_only_medical_map_is_judged_by_findings() -> None:
    """MAP on reports would reward nothing but the one paired report."""
    assert get_protocol("hier").ap_relevance == "share_label"
    assert get_protocol("flickr").ap_relevance == "pair"


def test_an_unknown_name_lists_the_known_ones() -> None:
    """A typing error would cost a look into the code."""
    with pytest.raises(CrossRayError, match=f"'heir'.*{', '.join(PROTOCOLS)}"):
        get_protocol("heir")


@pytest.mark.parametrize(
    "change",
    [
        {"relevance": "diagonal"},
        {"ap_relevance": "graded"},
        {"ap_denominator": "all"},
        {"ties": "random"},
        {"empty": "drop"},
        {"ks": (0, 5)},
        {"ap_cutoff": 0},
    ],
    ids=str,
)
def test_a_protocol_that_no_metric_can_follow_is_refused(change: dict[str, Any]) -> None:
    """The mistake would surface only after the vectors were computed."""
    with pytest.raises(CrossRayError, match="of protocol 'hier'"):
        replace(PROTOCOLS["hier"], **change)
