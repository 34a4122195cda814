"""The image and text vectors of XMedia, as they are sent on request."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from tyro.conf import Positional, arg

from crossray.core.errors import CrossRayError
from crossray.data.feature_sets.arrays import ArrayFile, Labels, label_lists
from crossray.data.feature_sets.feature_set import FeatureSet, FeatureSource, checked_rows
from crossray.data.sources.layout import Layout, counted
from crossray.data.split import Split, hashed_point

FEATURES = "XMediaFeatures.mat"
PUBLISHED = {"tr": 4_000, "te": 1_000}
VALIDATION = 0.3  # of the test rows of every class
_REMEDY = (
    f"give the folder with {FEATURES}, which its makers (Peng, Zhai, Zhao, Huang: Semi-Supervised "
    "Cross-Media Feature Learning, Peking University) send after a request form"
)


@dataclass(frozen=True)
class XmediaSource(FeatureSource):
    """4,096 CNN values an image and 3,000 words a text, one of twenty classes.

    The originals are not distributed, and images and texts are matched by class: as in GPLDAN, a
    pair has equal row numbers. 30 % of the test rows of every class, drawn by the seed,
    are val: 300 of 1,000.

    Attributes:
        folder: what holds XMediaFeatures.mat.
    """

    name: ClassVar[str] = "xmedia"

    folder: Annotated[Positional[str], arg(metavar="DIR")]

    @property
    def paths(self) -> tuple[str, ...]:
        """See `Origin.paths`."""
        return ("folder",)

    def features(self, seed: int) -> FeatureSet:
        """Read images, texts and the classes of both."""
        file = ArrayFile(Layout(self.folder, _REMEDY).find(FEATURES))
        notes = ["pairs are rows of equal number; the set itself matches images and texts by class"]
        labels = dict(zip(PUBLISHED, self._labels(file), strict=True))
        parts = {}
        for part, published in PUBLISHED.items():
            names, split = labels[part], {"tr": "train", "te": "test"}[part]
            image, text = file.vectors(f"I_{part}_CNN"), file.vectors(f"T_{part}_BOW")
            parts[part] = checked_rows(split, image, text, names, FEATURES)
            notes += counted(len(names), published, f"{split} pairs")
        test = parts["te"]
        split_of_row = stratified(test.item_ids, labels["te"], seed)
        val = [row for row, split in enumerate(split_of_row) if split == "val"]
        rest = [row for row, split in enumerate(split_of_row) if split == "test"]
        splits = {"train": parts["tr"], "val": test.take(val), "test": test.take(rest)}
        return FeatureSet({s: rows for s, rows in splits.items() if len(rows)}, tuple(notes))  # type: ignore[misc]

    def _labels(self, file: ArrayFile) -> list[Labels]:
        """The classes of both parts; a pair whose image and text differ in class is refused."""
        for part in PUBLISHED:
            image, text = (file.read(f"{part}{view}Cat").ravel() for view in ("Img", "Txt"))
            if not np.array_equal(image, text):
                raise CrossRayError(
                    f"{part}ImgCat and {part}TxtCat of {file.path} differ, so rows of equal number "
                    "are no pairs; use the file as distributed."
                )
        return label_lists(
            [(f"{p}ImgCat of {file.path}", file.read(f"{p}ImgCat")) for p in PUBLISHED]
        )


def stratified(item_ids: tuple[str, ...], labels: Labels, seed: int) -> list[Split]:
    """`val` for the share `VALIDATION` of the rows of every class, `test` for the others."""
    splits: list[Split] = ["test"] * len(item_ids)
    for name in sorted(set(labels)):
        rows = [row for row, names in enumerate(labels) if names == name]
        rows.sort(key=lambda row: hashed_point(seed, item_ids[row]))
        for row in rows[: round(VALIDATION * len(rows))]:
            splits[row] = "val"
    return splits
