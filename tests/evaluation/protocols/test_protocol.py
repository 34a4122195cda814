"""The named protocols and what a protocol may say."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation import PROTOCOLS, Protocol, get_protocol

BOTH = ("image_to_text", "text_to_image")
# name: relevance, that of mAP, metrics, ties, empty queries, directions, ranked by
PRINTED: dict[str, tuple[Any, ...]] = {
    "hier": (
        "pair", "share_label", ("R@1", "R@5", "R@10", "median_rank", "mAP@all"),
        "stable", "skip", BOTH, "scores",
    ),
    "cmfg": (
        "pair", "pair", ("R@5", "R@10", "median_rank", "mAP@all"), "stable", "skip", BOTH, "scores",
    ),
    "mmdl": (
        "share_label", "share_label",
        (
            "R@1", "R@5", "median_rank", "mAP@all", "mAP@10[found]", "mAP@1[found]",
            "mAP@5[found]", "mAP@20[found]", "NDCG@10[graded]",
        ),
        "stable", "skip", ("image_to_image",), "scores",
    ),
    "gpldan": (
        "same_class", "same_class",
        ("median_rank", "mAP@all", "mAP@50[found]", "mAP@50[total]", "mAP@50[min]"),
        "stable", "skip", BOTH, "scores",
    ),
    "gpldan_labels": (
        "share_label", "share_label",
        ("median_rank", "mAP@all", "mAP@50[found]", "mAP@50[total]", "mAP@50[min]"),
        "stable", "skip", BOTH, "scores",
    ),
    "mmach": ("share_label", "share_label", ("mAP@all",), "expected", "zero", BOTH, "hamming"),
    "flickr": (
        "pair", "pair", ("R@1", "R@5", "R@10", "median_rank", "mAP@all"),
        "stable", "skip", BOTH, "scores",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_a_protocol_is_what_its_paper_measures(name: str) -> None:
    """A number would stand beside published ones that mean something else."""
    protocol = get_protocol(name)
    assert (
        protocol.relevance, protocol.ap_relevance, protocol.metrics, protocol.ties, protocol.empty,
         protocol.directions, protocol.ranked_by,
    ) == PRINTED[name]  # fmt: skip
    assert protocol.name == name
    assert protocol.selection == "validation"


def test_there_are_no_others() -> None:
    """A protocol without a test could change unseen."""
    assert set(PROTOCOLS) == set(PRINTED)


def test_what_only_one_protocol_asks_for() -> None:
    """Images would find themselves, and the mean of the directions would be missing."""
    for name, protocol in PROTOCOLS.items():
        assert protocol.leave_one_out == (name == "mmdl")
        assert protocol.mean_of_directions == name.startswith("gpldan")
        assert protocol.every_rank_to == (10 if name == "cmfg" else 1)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_headlines_are_among_the_metrics(protocol: Protocol) -> None:
    """A report would end in a missing key after hours of scoring."""
    assert protocol.headline
    assert set(protocol.headline) <= set(protocol.metrics)


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("hier", "mAP@all"), ("cmfg", "mAP@all"), ("flickr", "mAP@all"), ("mmach", "mAP@all"),
        ("mmdl", "mAP@10[found]"), ("gpldan", "mAP@50[found]"), ("gpldan_labels", "mAP@50[found]"),
    ],
)  # fmt: skip
def test_single_labels_are_judged_by_the_headline(name: str, metric: str) -> None:
    """The table by label of a report would change its metric."""
    judged_by = get_protocol(name).label_metric
    assert judged_by is not None
    assert judged_by.name == metric


def test_protocols_cannot_be_changed() -> None:
    """One evaluation could change what the next of the process means by a name."""
    with pytest.raises(FrozenInstanceError):
        PROTOCOLS["hier"].metrics = ("R@1",)  # type: ignore[misc]


def test_an_unknown_name_lists_the_known_ones() -> None:
    """A typing error would cost a look into the code."""
    with pytest.raises(CrossRayError, match=f"'heir'.*{', '.join(PROTOCOLS)}"):
        get_protocol("heir")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("hier", {"relevance": "diagonal"}),
        ("hier", {"ap_relevance": "graded"}),
        ("hier", {"metrics": ("R@10", "mAP@all", "mAP@5")}),
        ("hier", {"metrics": ("R@10", "mAP@all", "mAP@5[all]")}),
        ("hier", {"ties": "random"}),
        ("hier", {"empty": "drop"}),
        ("hier", {"ranked_by": "distance"}),
        ("hier", {"selection": "test"}),
        ("hier", {"metrics": ("R@0", "R@10", "mAP@all")}),
        ("hier", {"metrics": ("R@10", "mAP@all", "mAP@0[found]")}),
        ("hier", {"metrics": ("R@10", "mAP@all", "R@x")}),
        ("hier", {"metrics": ("R@10", "mAP@all", "NDCG@0[graded]")}),
        ("hier", {"metrics": ("R@10",)}),
        ("hier", {"metrics": ("F1", "R@10", "mAP@all")}),
        ("hier", {"every_rank_to": 0}),
        ("hier", {"directions": ("text_to_image", "image_to_text")}),
        ("hier", {"leave_one_out": True}),
        ("mmdl", {"leave_one_out": False}),
        ("flickr", {"metrics": ("R@10", "mAP@all", "NDCG@5[graded]")}),
        ("mmach", {"ties": "stable"}),
        ("mmach", {"metrics": ("mAP@all", "NDCG@5[graded]")}),
        ("mmach", {"relevance": "pair"}),
    ],
    ids=str,
)
def test_a_protocol_that_no_metric_can_follow_is_refused(name: str, change: dict[str, Any]) -> None:
    """The mistake would surface only after the vectors were computed."""
    with pytest.raises(CrossRayError, match=f"of protocol '{name}'"):
        replace(PROTOCOLS[name], **change)
