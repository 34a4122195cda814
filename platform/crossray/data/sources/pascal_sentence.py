"""Pascal Sentence as its copies lay it out: photos and sentences in a folder a class."""

from dataclasses import dataclass
from typing import ClassVar

from crossray.core.errors import CrossRayError
from crossray.data.rejection import Rejected
from crossray.data.sources.drawing import shuffled
from crossray.data.sources.layout import Layout, Row, broken, counted, listed, numeric, text_file
from crossray.data.sources.source import FolderSource, Plan
from crossray.data.split import Split

IMAGES, SENTENCES = "dataset", "sentence"
PHOTOS = 1_000
TEST = VAL = 5  # of the 50 photos of a class
_LICENCE = "research use; photos of PASCAL VOC under Flickr users' own terms"
_REMEDY = (
    f"lay the photos of http://vision.cs.uiuc.edu/pascal-sentences out as {IMAGES}/CLASS/NAME.jpg "
    f"and their sentences, one a line, as {SENTENCES}/CLASS/NAME.txt"
)


@dataclass(frozen=True)
class PascalSentenceSource(FolderSource):
    """Photos with five sentences each and the label of one of twenty classes.

    Rashtchian et al.: Collecting Image Annotations Using Amazon's Mechanical Turk, 2010. In each
    class 5 photos are val, 5 are test and the others train (40), drawn by a fixed seed: the
    sizes of GPLDAN, whose lists were not published.

    Attributes:
        folder: what holds dataset/ and sentence/.
    """

    name: ClassVar[str] = "pascal-sentence"

    def plan(self) -> Plan:
        """Read all sentences."""
        layout = Layout(self.folder, _REMEDY)
        images, sentences = layout.find(IMAGES), layout.find(SENTENCES)
        photos = sorted(images.glob("*/*.jpg"), key=lambda path: numeric(path.name))
        classes: dict[str, list[str]] = {}
        for path in sorted(photos, key=lambda path: path.parent.name):
            classes.setdefault(path.parent.name, []).append(path.stem)
        if not classes:
            raise CrossRayError(f"{images} has no photo such as bird/NAME.jpg; {_REMEDY}.")
        rows: list[Row] = []
        for label, stems in classes.items():
            splits = _splits(label, stems)
            for stem in stems:
                name = f"{label}/{stem}"
                try:
                    text = text_file(sentences, f"{name}.txt")
                except Rejected as error:
                    rows.append(broken(name, error.reason, error.detail))
                    continue
                rows.append(
                    {
                        "item_id": name,
                        "image": f"{name}.jpg",
                        "split": splits[stem],
                        "texts": text.rstrip("\r\n").split("\n"),
                        "labels": [label],
                    }
                )
        return listed(rows, images, _LICENCE, counted(len(rows), PHOTOS, "photos"))


def _splits(label: str, stems: list[str]) -> dict[str, Split]:
    order = shuffled(f"{label}/{stem}" for stem in stems)
    drawn: dict[str, Split] = {
        name: "test" if at < TEST else "val" for at, name in enumerate(order[: TEST + VAL])
    }
    return {stem: drawn.get(f"{label}/{stem}", "train") for stem in stems}
