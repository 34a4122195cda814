"""Any feature set: named arrays in one `.mat` or `.npz` file."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from tyro.conf import Positional, arg

from crossray.core.errors import CrossRayError
from crossray.data.feature_sets import feature_set
from crossray.data.feature_sets.arrays import ArrayFile, label_lists
from crossray.data.split import SPLITS, Split, assign_split

Keys = tuple[str | None, str | None, str | None]


@dataclass(frozen=True)
class FeatureFileSource(feature_set.FeatureSource):
    """Arrays of image vectors, text vectors and labels, one row a pair, in a .mat or .npz file.

    Labels are class indices (from 0 or from 1) or a column of zeros and ones a class.

    Attributes:
        file: the file; a .mat up to version 7.
        image_key: array of the training images' vectors.
        text_key: array of the training texts' vectors.
        label_key: array of the training pairs' labels.
        test_image_key: array of the test images' vectors; without the three test keys, the rows of
            the training arrays are split by the seed: 80 % train, 10 % val, 10 % test.
        test_text_key: array of the test texts' vectors.
        test_label_key: array of the test pairs' labels.
        validation_image_key: array of the validation images' vectors; without the three validation
            keys, a file with test keys has no validation split.
        validation_text_key: array of the validation texts' vectors.
        validation_label_key: array of the validation pairs' labels.
    """

    name: ClassVar[str] = "features"

    file: Annotated[Positional[str], arg(metavar="FILE")]
    image_key: str
    text_key: str
    label_key: str
    test_image_key: str | None = None
    test_text_key: str | None = None
    test_label_key: str | None = None
    validation_image_key: str | None = None
    validation_text_key: str | None = None
    validation_label_key: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """See `Origin.paths`."""
        return ("file",)

    def features(self, seed: int) -> feature_set.FeatureSet:
        """Read the arrays of every split."""
        given = self._given()
        file = ArrayFile(self.file)
        arrays = [(f"{key} of {self.file}", file.read(key)) for _, _, key in given.values()]
        labels = label_lists(arrays)
        splits: dict[Split, feature_set.FeatureRows] = {}
        for (split, (image, text, _)), names in zip(given.items(), labels, strict=True):
            vectors = file.vectors(image), file.vectors(text)
            splits[split] = feature_set.checked_rows(split, *vectors, names, self.file)
        return feature_set.FeatureSet(
            splits if "test" in splits else {**splits, **drawn(splits, seed)}
        )

    def _given(self) -> dict[Split, tuple[str, str, str]]:
        """The three keys of each split that has any; all or none of them must be there."""
        test: Keys = (self.test_image_key, self.test_text_key, self.test_label_key)
        validation: Keys = (
            self.validation_image_key, self.validation_text_key, self.validation_label_key,
        )  # fmt: skip
        given: dict[Split, tuple[str, str, str]] = {
            "train": (self.image_key, self.text_key, self.label_key)
        }
        for split, word, (image, text, label) in (
            ("val", "validation", validation),
            ("test", "test", test),
        ):
            if image is not None and text is not None and label is not None:
                given[split] = (image, text, label)  # type: ignore[index]
            elif (image, text, label) != (None, None, None):
                raise CrossRayError(
                    f"a {word} split needs --{word}-image-key, --{word}-text-key and "
                    f"--{word}-label-key; give all three or none."
                )
        return given


def drawn(
    splits: dict[Split, feature_set.FeatureRows], seed: int
) -> dict[Split, feature_set.FeatureRows]:
    """The training rows shared out over the splits that the file does not have."""
    rows = splits["train"]
    shares = (0.9, 0.0, 0.1) if "val" in splits else (0.8, 0.1, 0.1)
    assigned = [assign_split(name, seed, shares) for name in rows.item_ids]
    found: dict[Split, feature_set.FeatureRows] = {}
    for split in SPLITS:
        chosen = [row for row, where in enumerate(assigned) if where == split]
        if chosen:
            found[split] = rows.take(chosen)
    return found
