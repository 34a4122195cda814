"""The named protocols and what a protocol may say."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation import PROTOCOLS, Protocol, get_protocol
from crossray.evaluation.protocols.measures import MAP, cut_name

BOTH = ("image_to_text", "text_to_image")
# name: relevance, that of mAP, Ks, cut-offs of mAP, ties, empty queries, directions, ranked by
PRINTED: dict[str, tuple[Any, ...]] = {
    "hier": ("pair", "share_label", (1, 5, 10), (), "stable", "skip", BOTH, "scores"),
    "cmfg": ("pair", "pair", (5, 10), (), "stable", "skip", BOTH, "scores"),
    "mmdl": (
        "share_label", "share_label", (1, 5),
        ((10, "found"), (1, "found"), (5, "found"), (20, "found")),
        "stable", "skip", ("image_to_image",), "scores",
    ),
    "gpldan": (
        "same_class", "same_class", (), ((50, "found"), (50, "total"), (50, "min")),
        "stable", "skip", BOTH, "scores",
    ),
    "gpldan_labels": (
        "share_label", "share_label", (), ((50, "found"), (50, "total"), (50, "min")),
        "stable", "skip", BOTH, "scores",
    ),
    "mmach": ("share_label", "share_label", (), (), "expected", "zero", BOTH, "hamming"),
    "flickr": ("pair", "pair", (1, 5, 10), (), "stable", "skip", BOTH, "scores"),
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_a_protocol_is_what_its_paper_measures(name: str) -> None:
    """A number would stand beside published ones that mean something else."""
    protocol = get_protocol(name)
    assert (
        protocol.relevance, protocol.ap_relevance, protocol.ks, protocol.ap_cuts, protocol.ties,
        protocol.empty, protocol.directions, protocol.ranked_by,
    ) == PRINTED[name]  # fmt: skip
    assert protocol.name == name
    assert protocol.ap_denominator == ("found" if protocol.ap_cutoff else "total")
    assert protocol.selection == "validation"


def test_there_are_no_others() -> None:
    """A protocol without a test could change unseen."""
    assert set(PROTOCOLS) == set(PRINTED)


def test_what_only_one_protocol_asks_for() -> None:
    """Images would find themselves, and the mean of the directions would be missing."""
    for name, protocol in PROTOCOLS.items():
        assert protocol.leave_one_out == (name == "mmdl")
        assert protocol.ndcg_k == (10 if name == "mmdl" else None)
        assert protocol.mean_of_directions == name.startswith("gpldan")
        assert protocol.every_rank_to == (10 if name == "cmfg" else 1)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_headlines_are_among_the_metrics(protocol: Protocol) -> None:
    """A report would end in a missing key after hours of scoring."""
    metrics = {MAP, *(f"R@{k}" for k in protocol.ks), *(cut_name(*cut) for cut in protocol.ap_cuts)}
    assert protocol.headline
    assert set(protocol.headline) <= metrics


def test_protocols_cannot_be_changed() -> None:
    """One evaluation could change what the next of the process means by a name."""
    with pytest.raises(FrozenInstanceError):
        PROTOCOLS["hier"].ks = (1,)  # type: ignore[misc]


def test_an_unknown_name_lists_the_known_ones() -> None:
    """A typing error would cost a look into the code."""
    with pytest.raises(CrossRayError, match=f"'heir'.*{', '.join(PROTOCOLS)}"):
        get_protocol("heir")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("hier", {"relevance": "diagonal"}),
        ("hier", {"ap_relevance": "graded"}),
        ("hier", {"ap_denominator": "all"}),
        ("hier", {"ap_alongside": ((5, "all"),)}),
        ("hier", {"ties": "random"}),
        ("hier", {"empty": "drop"}),
        ("hier", {"ranked_by": "distance"}),
        ("hier", {"selection": "test"}),
        ("hier", {"ks": (0, 5)}),
        ("hier", {"ap_cutoff": 0}),
        ("hier", {"ap_alongside": ((0, "found"),)}),
        ("hier", {"ndcg_k": 0}),
        ("hier", {"every_rank_to": 0}),
        ("hier", {"directions": ("text_to_image", "image_to_text")}),
        ("hier", {"leave_one_out": True}),
        ("mmdl", {"leave_one_out": False}),
        ("flickr", {"ndcg_k": 5}),
        ("mmach", {"ties": "stable"}),
        ("mmach", {"ap_cutoff": 50}),
        ("mmach", {"relevance": "pair"}),
    ],
    ids=str,
)
def test_a_protocol_that_no_metric_can_follow_is_refused(name: str, change: dict[str, Any]) -> None:
    """The mistake would surface only after the vectors were computed."""
    with pytest.raises(CrossRayError, match=f"of protocol '{name}'"):
        replace(PROTOCOLS[name], **change)
