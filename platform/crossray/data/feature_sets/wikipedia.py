"""The vectors of the Wikipedia set of Rasiwasia et al., in its official layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional, arg

from crossray.core.errors import CrossRayError
from crossray.data.feature_sets.arrays import ArrayFile
from crossray.data.feature_sets.feature_set import FeatureSet, FeatureSource, checked_rows
from crossray.data.rejection import Rejected
from crossray.data.sources.layout import Layout, counted, lines
from crossray.data.sources.wikipedia import LISTS, VALIDATION, category_line

FEATURES = "raw_features.mat"
_KEYS = {"train": ("I_tr", "T_tr"), "test": ("I_te", "T_te")}
_REMEDY = (
    f"give the folder with {FEATURES} and {', '.join(LISTS)} of "
    "http://www.svcl.ucsd.edu/projects/crossmodal"
)


@dataclass(frozen=True)
class WikipediaFeatureSource(FeatureSource):
    """The published vectors: 128 SIFT words an image, 10 topics a text, one of ten categories.

    Rasiwasia et al.: A New Approach to Cross-Modal Multimedia Retrieval, ACM MM 2010. The first 231
    pairs of the test list are val, as in SDML and GPLDAN.

    Attributes:
        folder: what holds raw_features.mat and the two lists; categories.list, if it is there,
            names the categories.
    """

    name: ClassVar[str] = "wikipedia-features"

    folder: Annotated[Positional[str], arg(metavar="DIR")]

    @property
    def paths(self) -> tuple[str, ...]:
        """See `Origin.paths`."""
        return ("folder",)

    def features(self, seed: int) -> FeatureSet:
        """Read the vectors and the lists, which name the rows."""
        layout = Layout(self.folder, _REMEDY)
        file = ArrayFile(layout.find(FEATURES))
        categories = self._categories(layout)
        parts, notes = {}, []
        for listing, (split, published) in LISTS.items():
            path = layout.find(listing)
            rows = _rows(path, categories)
            notes += counted(len(rows), published, f"pairs in {listing}")
            image, text = (file.vectors(key) for key in _KEYS[split])
            parts[split] = checked_rows(
                split, image, text, [(category,) for _, _, category in rows],
                f"{FEATURES} with {listing}", [name for name, _, _ in rows],
            )  # fmt: skip
        train, test = parts["train"], parts["test"]
        if len(test) <= VALIDATION:
            raise CrossRayError(
                f"the test list of {self.folder} has {len(test)} pairs, of which the first "
                f"{VALIDATION} are for validation, so none is left to test; {_REMEDY}."
            )
        head, tail = range(VALIDATION), range(VALIDATION, len(test))
        return FeatureSet({"train": train, "val": test.take(head), "test": test.take(tail)},
                          tuple(notes))  # fmt: skip

    def _categories(self, layout: Layout) -> Sequence[str]:
        try:
            return lines(layout.find("categories.list"))
        except CrossRayError:
            return [str(number) for number in range(1, 11)]


def _rows(path: Path, categories: Sequence[str]) -> list[tuple[str, str, str]]:
    """Text, image and category of every line of a list; a vector belongs to each."""
    rows = []
    for count, line in enumerate(lines(path), start=1):
        try:
            line.encode()
            rows.append(category_line(line, categories))
        except (Rejected, UnicodeError) as error:
            raise CrossRayError(
                f"line {count} of {path} cannot be read ({error}); use the file as distributed."
            ) from None
    return rows
