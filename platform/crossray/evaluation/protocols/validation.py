"""How epochs are judged while a model trains: the protocols behind `train.select_by`."""

from dataclasses import replace

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics import parse_metric
from crossray.evaluation.protocols.protocol import IMAGE_TO_IMAGE, PROTOCOLS, Protocol

LAST = "last"  # keeps the last epoch
HAMMING = "hamming:"  # before a metric of the codes' ranking by Hamming distance

PAIRS = Protocol(
    name="validation",
    relevance="pair",
    ap_relevance="share_label",
    metrics=("R@10", "mAP@all", "mAP@50[found]"),
    ties="stable",
    empty="skip",
    description="Images and texts, by the paired item and, where there are any, by common labels.",
)
IMAGES = replace(
    PAIRS,
    relevance="share_label",
    metrics=("mAP@10[found]",),
    headline=("mAP@10[found]",),
    directions=IMAGE_TO_IMAGE,
    leave_one_out=True,
    description="Images as queries for images, by labels in common.",
)


def validation_protocol(select_by: str, image_search: bool, labelled: bool) -> Protocol | None:
    """What scores are judged by, `select_by` added; None where nothing can be judged.

    Without labels the metrics that need them are left out.
    """
    usual = IMAGES if image_search else PAIRS
    added = () if select_by == LAST or select_by.startswith(HAMMING) else (select_by,)
    names = tuple(dict.fromkeys((*usual.metrics, *added)))
    if labelled:
        return replace(usual, metrics=names)
    if image_search:
        return None
    names = tuple(name for name in names if not needs_labels(name))
    return replace(usual, ap_relevance="pair", metrics=names, headline=("R@10",))


def codes_protocol(select_by: str) -> Protocol | None:
    """What codes are judged by, as MMACH judges them; None where `select_by` is not of codes."""
    if not select_by.startswith(HAMMING):
        return None
    name = (select_by.removeprefix(HAMMING),)
    return replace(PROTOCOLS["mmach"], metrics=name, headline=name)


def needs_labels(select_by: str) -> bool:
    """Whether a metric is judged by labels in common."""
    if select_by == LAST:
        return False
    return (
        select_by.startswith(HAMMING) or parse_metric(select_by).metric.relevance == "ap_relevance"
    )


def check_select_by(select_by: str, image_search: bool, makes_codes: bool) -> None:
    """Raise CrossRayError for what is no metric of such a method, and what is none at all."""
    if select_by == LAST:
        return
    if select_by.startswith(HAMMING):
        if image_search or not makes_codes:
            raise CrossRayError("only codes of images and texts have a Hamming distance")
        codes_protocol(select_by)
    elif image_search and not needs_labels(select_by):
        raise CrossRayError("images as queries for images are judged by labels in common")
    elif parse_metric(select_by).metric.unit == "rank":
        raise CrossRayError("a smaller rank is the better one, and the greatest value is kept")
