"""Evaluation protocols: every choice that changes a number, under one name."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics import parse_metric
from crossray.evaluation.metrics.arrays import check_choice, check_cutoff
from crossray.evaluation.metrics.metric import EMPTY_RULES, BoundMetric, Empty
from crossray.evaluation.metrics.ranking import TIES, Ties

Rule = Literal["pair", "share_label", "same_class"]
RULES: tuple[Rule, ...] = get_args(Rule)
Direction = Literal["image_to_text", "text_to_image", "image_to_image"]
CROSS_MODAL: tuple[Direction, ...] = ("image_to_text", "text_to_image")
IMAGE_TO_IMAGE: tuple[Direction, ...] = ("image_to_image",)
RankedBy = Literal["scores", "hamming"]
RANKED_BY: tuple[RankedBy, ...] = get_args(RankedBy)
Database = Literal["same", "others"]
DATABASES: tuple[Database, ...] = get_args(Database)
Selection = Literal["validation"]
SELECTIONS: tuple[Selection, ...] = get_args(Selection)


@dataclass(frozen=True)
class Protocol:
    """How an evaluation judges a ranking; the named ones are `PROTOCOLS`.

    Raises CrossRayError for an unknown choice or metric, and choices that exclude each other.

    Attributes:
        name: what reports call it.
        relevance: the rule behind R@K and the metrics of the first relevant item.
        ap_relevance: the rule behind average precision and the other metrics; each metric says
            which of the two rules it follows.
        metrics: their names, in the order of a report; see `metrics.parse`.
        ties: the order of equal scores.
        empty: what a query without a relevant item counts for.
        description: a sentence for the reader of a report.
        headline: the metrics that stand for the evaluation. Single labels are judged by the first
            average precision among them.
        directions: both ways between images and texts, or images as queries for images.
        ranked_by: the model's scores, or the Hamming distance of its codes.
        database: the split of the queries is searched, or all the others.
        leave_one_out: the queries are the database, and each is taken out of it while it asks.
        mean_of_directions: report the mean of the directions too.
        every_rank_to: curves have every rank up to this one.
        selection: the split that chose the model's weights and settings; never the one it is
            measured on.
    """

    name: str
    relevance: Rule
    ap_relevance: Rule
    metrics: tuple[str, ...]
    ties: Ties
    empty: Empty
    description: str
    headline: tuple[str, ...] = ("R@10", "mAP@all")
    directions: tuple[Direction, ...] = CROSS_MODAL
    ranked_by: RankedBy = "scores"
    database: Database = "same"
    leave_one_out: bool = False
    mean_of_directions: bool = False
    every_rank_to: int = 1
    selection: Selection = "validation"

    def __post_init__(self) -> None:
        where = f"protocol {self.name!r}"
        check_choice(f"the relevance of {where}", self.relevance, RULES)
        check_choice(f"the relevance for mAP of {where}", self.ap_relevance, RULES)
        check_choice(f"the tie rule of {where}", self.ties, TIES)
        check_choice(f"the rule for empty queries of {where}", self.empty, EMPTY_RULES)
        check_choice(f"the ranking of {where}", self.ranked_by, RANKED_BY)
        check_choice(f"the database of {where}", self.database, DATABASES)
        check_choice(f"the selection of {where}", self.selection, SELECTIONS)
        check_cutoff(f"a rank cut-off of {where}", self.every_rank_to)
        self._check_metrics(where)
        self._check_directions(where)
        self._check_labels(where)

    def _check_metrics(self, where: str) -> None:
        try:
            names = [metric.name for metric in self.bound]
        except CrossRayError as error:
            raise CrossRayError(f"a metric of {where} cannot be used: {error}") from error
        for name in self.headline:
            check_choice(f"the headline of {where}", name, tuple(names))

    def _check_directions(self, where: str) -> None:
        if self.directions not in (CROSS_MODAL, IMAGE_TO_IMAGE):
            raise CrossRayError(
                f"the directions of {where} are {self.directions!r}: choose {CROSS_MODAL!r} or "
                f"{IMAGE_TO_IMAGE!r}."
            )
        if self.leave_one_out != (self.directions == IMAGE_TO_IMAGE):
            raise CrossRayError(
                f"leave_one_out of {where} is {self.leave_one_out}: it belongs to images as "
                f"queries for images, where a query would find itself, and to nothing else."
            )
        if self.database == "others" and self.ranked_by != "hamming":
            raise CrossRayError(
                f"the database of {where} is {self.database!r}: only codes are searched for in "
                f"other splits than that of the queries; choose 'same', or rank by 'hamming'."
            )

    def _check_labels(self, where: str) -> None:
        rules = {self.relevance, self.ap_relevance}
        of_gains = [metric.name for metric in self.bound if metric.metric.of_gains]
        if of_gains and "share_label" not in rules:
            raise CrossRayError(
                f"the gains of {of_gains[0]} of {where} are labels in common: judge by "
                f"'share_label' too, or leave it out."
            )
        counted = (rules, self.ties, self.directions, of_gains)
        if self.ranked_by == "hamming" and counted != (
            {"share_label"},
            "expected",
            CROSS_MODAL,
            [],
        ):
            raise CrossRayError(
                f"the Hamming ranking of {where} is judged from the counts at each distance: judge "
                f"by 'share_label' with ties 'expected', both directions, without NDCG."
            )

    @cached_property
    def bound(self) -> tuple[BoundMetric, ...]:
        """The metrics."""
        return tuple(parse_metric(name) for name in self.metrics)

    @property
    def label_metric(self) -> BoundMetric | None:
        """The average precision that judges single labels, None for a protocol without any."""
        names = (*self.headline, *self.metrics)
        return next((m for m in map(parse_metric, names) if m.metric.name == "mAP"), None)


_GPLDAN = Protocol(
    name="gpldan",
    relevance="same_class",
    ap_relevance="same_class",
    metrics=("median_rank", "mAP@all", "mAP@50[found]", "mAP@50[total]", "mAP@50[min]"),
    ties="stable",
    empty="skip",
    description="Items of one class each: mAP of the first 50 by the same class, in both "
    "directions and as their mean.",
    headline=("mAP@50[found]",),
    mean_of_directions=True,
)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="hier",
            relevance="pair",
            ap_relevance="share_label",
            metrics=("R@1", "R@5", "R@10", "median_rank", "mAP@all"),
            ties="stable",
            empty="skip",
            description="Medical images and reports: R@K and the median rank by the paired item, "
            "mAP over the whole database by findings in common.",
        ),
        Protocol(
            name="cmfg",
            relevance="pair",
            ap_relevance="pair",
            metrics=("R@5", "R@10", "median_rank", "mAP@all"),
            ties="stable",
            empty="skip",
            description="Image-text matching: R@5, R@10, the cumulative match characteristic to "
            "rank 10 and mAP over the whole database, all by the paired item.",
            headline=("R@5", "R@10", "mAP@all"),
            every_rank_to=10,
        ),
        Protocol(
            name="mmdl",
            relevance="share_label",
            ap_relevance="share_label",
            metrics=(
                "R@1",
                "R@5",
                "median_rank",
                "mAP@all",
                "mAP@10[found]",
                "mAP@1[found]",
                "mAP@5[found]",
                "mAP@20[found]",
                "NDCG@10[graded]",
            ),
            ties="stable",
            empty="skip",
            description="Radiographs that ask for radiographs, each taken out of the database "
            "while it asks: mAP of the first 10 by findings in common, and label by label.",
            headline=("mAP@10[found]",),
            directions=IMAGE_TO_IMAGE,
            leave_one_out=True,
        ),
        _GPLDAN,
        replace(
            _GPLDAN,
            name="gpldan_labels",
            relevance="share_label",
            ap_relevance="share_label",
            description="As gpldan, for items of several labels: mAP of the first 50 by labels in "
            "common, in both directions and as their mean.",
        ),
        Protocol(
            name="mmach",
            relevance="share_label",
            ap_relevance="share_label",
            metrics=("mAP@all",),
            ties="expected",
            empty="zero",
            description="Codes of all other splits ranked by Hamming distance: mAP over the whole "
            "database by labels in common, lookup within each radius, precision of the first N.",
            headline=("mAP@all",),
            ranked_by="hamming",
            database="others",
        ),
        Protocol(
            name="flickr",
            relevance="pair",
            ap_relevance="pair",
            metrics=("R@1", "R@5", "R@10", "median_rank", "mAP@all"),
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
