"""Evaluation protocols: every choice that changes a number, under one name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crossray.core.errors import CrossRayError
from crossray.evaluation.arrays import check_choice, check_cutoff
from crossray.evaluation.average_precision import DENOMINATORS, Denominator
from crossray.evaluation.mean_over_queries import EMPTY_RULES, Empty
from crossray.evaluation.ranking import TIES, Ties

Rule = Literal["pair", "share_label"]
RULES: tuple[Rule, ...] = ("pair", "share_label")


@dataclass(frozen=True)
class Protocol:
    """How an evaluation judges a ranking.

    `relevance` is the rule behind R@K (each K of `ks`) and the median rank, `ap_relevance` the one
    behind average precision. mAP over the whole database is always reported; `ap_cutoff` adds
    mAP@R with `ap_denominator`. `empty` says what a query without a relevant item counts for.
    Raises CrossRayError for an unknown choice or a K below 1.
    """

    name: str
    relevance: Rule
    ap_relevance: Rule
    ks: tuple[int, ...]
    ap_cutoff: int | None
    ap_denominator: Denominator
    ties: Ties
    empty: Empty
    description: str

    def __post_init__(self) -> None:
        where = f"protocol {self.name!r}"
        check_choice(f"the relevance of {where}", self.relevance, RULES)
        check_choice(f"the relevance for mAP of {where}", self.ap_relevance, RULES)
        check_choice(f"the denominator of {where}", self.ap_denominator, DENOMINATORS)
        check_choice(f"the tie rule of {where}", self.ties, TIES)
        check_choice(f"the rule for empty queries of {where}", self.empty, EMPTY_RULES)
        for k in (*self.ks, *([] if self.ap_cutoff is None else [self.ap_cutoff])):
            check_cutoff(f"a rank cut-off of {where}", k)


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="hier",
            relevance="pair",
            ap_relevance="share_label",
            ks=(1, 5, 10),
            ap_cutoff=None,
            ap_denominator="total",
            ties="stable",
            empty="skip",
            description="Medical images and reports: R@K and the median rank by the paired item, "
            "mAP over the whole database by findings in common.",
        ),
        Protocol(
            name="flickr",
            relevance="pair",
            ap_relevance="pair",
            ks=(1, 5, 10),
            ap_cutoff=None,
            ap_denominator="total",
            ties="stable",
            empty="skip",
            description="Captioned images: any of an image's captions answers it, and mAP over the "
            "whole database uses the same pairs.",
        ),
    )
}


def get_protocol(name: str) -> Protocol:
    """Return a protocol by name; raises CrossRayError that lists the names when there is none."""
    if name not in PROTOCOLS:
        raise CrossRayError(
            f"there is no evaluation protocol {name!r}: choose one of {', '.join(PROTOCOLS)}."
        )
    return PROTOCOLS[name]
