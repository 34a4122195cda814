"""Which pretext tasks need what drawn."""

from dataclasses import dataclass
from typing import Literal

from crossray.core.config import Config
from crossray.data.clinical_terms import BUILT_IN

Masking = Literal["clinical", "random", "none"]


@dataclass(frozen=True)
class PretextConfig(Config):
    """The draws of one item.

    Attributes:
        whole: images are shown upright and complete, to be turned and to have parts hidden.
        views: images are shown in two augmented views.
        turned_views: views are turned by quarter turns too.
        hidden_area: share of the area of an image that is hidden.
        masking: what is masked in a text.
        masked_share: share of its clinical terms, or of its tokens.
        terms: source of the clinical terms, see `load_terms`.
        sentence_order: texts are cut in two, and half of them swapped.
    """

    whole: bool = True
    views: bool = True
    turned_views: bool = False
    hidden_area: float = 0.25
    masking: Masking = "clinical"
    masked_share: float = 0.15
    terms: str = BUILT_IN
    sentence_order: bool = False

    @property
    def images(self) -> bool:
        """Whether images are needed at all."""
        return self.whole or self.views

    @property
    def texts(self) -> bool:
        """Whether texts are needed at all."""
        return self.masking != "none" or self.sentence_order
