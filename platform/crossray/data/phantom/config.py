"""What a phantom data set is made of: its size, its seed and its variants."""

from dataclasses import dataclass

from crossray.core.errors import CrossRayError
from crossray.data.phantom.labels import FINDINGS, NO_FINDING


@dataclass(frozen=True)
class PhantomConfig:
    """The complete description of a phantom data set: row `i` is a pure function of it and `i`.

    Attributes:
        items: number of rows, 1 or more.
        seed: non-negative; another seed gives other patients.
        uncertain_labels: fraction of findings, devices aside, that the report hedges and that
            `labels` omits; they are listed in `meta['uncertain']`, joined by `;`.
        unpaired: fraction of items without texts, and the same fraction without an image.
        report_coverage: fraction of the training items that keep their texts.
        held_out: findings that no training or validation item has.
        captions: 1 for a sectioned report, 5 for five one-sentence captions.
        near_duplicates: fraction of items that show the study of an earlier item again under
            another acquisition; `meta['duplicate_of']` names that item.
        unlabelled: fraction of items whose labels and boxes are withheld.
        masks: rows hold masks of the lungs, the heart, the mediastinum and the bones.

    Raises:
        CrossRayError: a value is outside its range.
    """

    items: int = 4000
    seed: int = 7
    uncertain_labels: float = 0.0
    unpaired: float = 0.0
    report_coverage: float = 1.0
    held_out: tuple[str, ...] = ()
    captions: int = 1
    near_duplicates: float = 0.0
    unlabelled: float = 0.0
    masks: bool = False

    def __post_init__(self) -> None:
        if self.items < 1:
            raise CrossRayError(f"phantom items is {self.items}; give 1 or more.")
        if self.seed < 0:
            raise CrossRayError(f"phantom seed is {self.seed}; give 0 or more.")
        if self.captions not in (1, 5):
            raise CrossRayError(f"phantom captions is {self.captions}; give 1 (report) or 5.")
        for name, limit in _FRACTIONS.items():
            value = getattr(self, name)
            if not 0.0 <= value <= limit:
                raise CrossRayError(f"phantom {name} is {value}; give a fraction in [0, {limit}].")
        allowed = [finding for finding in FINDINGS if finding != NO_FINDING]
        for finding in self.held_out:
            if finding not in allowed:
                raise CrossRayError(
                    f"phantom held_out has {finding!r}; choose among {', '.join(allowed)}."
                )


_FRACTIONS = {
    "uncertain_labels": 1.0,
    "unpaired": 0.5,
    "report_coverage": 1.0,
    "near_duplicates": 0.9,
    "unlabelled": 1.0,
}
