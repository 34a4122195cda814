"""A protocol in sentences, for the reader of a report."""

from collections.abc import Mapping
from typing import Any

from crossray.evaluation.metrics.metric import BoundMetric
from crossray.evaluation.protocols.measures import MAP_BY_LABEL, MAP_RARE
from crossray.evaluation.protocols.protocol import Protocol
from crossray.evaluation.report.label_section import label_words

RELEVANCE_WORDS = {
    "pair": "relevant is the item paired with the query; with several captions an image, any",
    "share_label": "relevant is every item with at least one label in common; queries without "
    "labels are excluded",
    "same_class": "relevant is every item of the query's class; an item has exactly one",
}
TIES_WORDS = {
    "stable": "equal scores keep the order of the database",
    "expected": "expectation over the random order of equal scores",
}
EMPTY_WORDS = {
    "skip": "queries without a relevant item are left out",
    "zero": "queries without a relevant item count as 0",
}
RANKED_BY_WORDS = {
    "scores": "the model's score of a query and an item, the cosine of their vectors unless the "
    "model scores pairs itself",
    "hamming": "the Hamming distance of their codes",
}


def protocol_words(protocol: Protocol, report: Mapping[str, Any]) -> list[str]:
    """The sentences; `report` is the content of `report.json`."""
    words = [
        f"Headline: {', '.join(protocol.headline)}. Ranked by "
        f"{RANKED_BY_WORDS[protocol.ranked_by]}. Models are selected on the "
        f"{protocol.selection} split, never on these queries."
    ]
    words += _metric_words(protocol)
    words += [
        f"Ties: {TIES_WORDS[protocol.ties]}. Empty queries: {EMPTY_WORDS[protocol.empty]}.",
        f"Intervals: 95 % percentile bootstrap over query ids, seed {report['seed']}. "
        f"Chance: the expected value under a random ranking.",
    ]
    if protocol.database == "others":
        words.append("Database: all splits but that of the queries.")
    if protocol.leave_one_out:
        words.append(
            "Leave-one-out: each query is taken out of the database while it asks, so it is "
            "neither found nor relevant, and the database is one item smaller."
        )
    if any("Acc-1" in metrics for metrics in report["metrics"].values()):
        words.append(
            "Acc-K: the share of labelled images of which one of the K labels that the model finds "
            "most probable is right; nothing is searched."
        )
    if any(name.startswith("grounded") for part in report["metrics"].values() for name in part):
        words.append(
            "grounded_mAP@T: relevant is the paired item, and it counts only where the heat map of "
            "image and text attends a box of the image with an intersection over union of T or "
            "more; queries whose paired items have no box are left out."
        )
    if protocol.mean_of_directions:
        words.append("Mean: of the two directions; its intervals draw an id's queries of both.")
    return words + _label_words(protocol, report) + _lookup_words(report)


def _metric_words(protocol: Protocol) -> list[str]:
    """What makes an item relevant to which metrics, and what each metric is."""
    words = []
    for rule in dict.fromkeys((protocol.relevance, protocol.ap_relevance)):
        names = [m.name for m in protocol.bound if getattr(protocol, m.metric.relevance) == rule]
        if names:
            words.append(f"{', '.join(names)}: {RELEVANCE_WORDS[rule]}.")
    families: dict[str, list[BoundMetric]] = {}
    for metric in protocol.bound:
        families.setdefault(metric.metric.words, []).append(metric)
    for sentence, family in families.items():
        words.append(f"{', '.join(metric.name for metric in family)}: {sentence}.")
    return words + [
        f"{metric.name}: {metric.metric.variants[metric.variant]}."
        for metric in protocol.bound
        if metric.variant
    ]


def _label_words(protocol: Protocol, report: Mapping[str, Any]) -> list[str]:
    words = []
    if any(MAP_RARE in metrics for metrics in report["metrics"].values()):
        words.append(
            f"{MAP_RARE}: relevant is every item with at least one of the rare labels in common; "
            f"queries without a rare label are excluded."
        )
        words.append(
            f"{MAP_BY_LABEL}: each rare label alone, relevant is every item that carries it; the "
            f"mean over labels of the mean over the queries that carry the label."
        )
    if report["by_label"] and protocol.label_metric:
        words.append(label_words(protocol.label_metric.name))
    return words


def _lookup_words(report: Mapping[str, Any]) -> list[str]:
    """What hash lookup means, and how often it returns nothing."""
    words = [
        f"{direction.replace('_', ' ').capitalize()}, queries that return nothing within radius "
        f"0, 1, 2: {', '.join(map(str, curves['radius']['queries_without_item'][:3]))}."
        for direction, curves in report["curves"].items()
        if "radius" in curves
    ]
    if words:
        words.insert(
            0,
            "Within a Hamming radius and among the first N, relevant is every item with at least "
            "one label in common; precision is the mean over the queries that returned an item, "
            "recall that over all queries. Equal distances are taken in random order.",
        )
    return words
