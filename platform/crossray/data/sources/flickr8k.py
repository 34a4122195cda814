"""Flickr8k in its official layout: a token file, three lists of images, a folder of photos."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crossray.data.sources.layout import Layout, Row, broken, counted, integer, lines, listed
from crossray.data.sources.source import FolderSource, Plan
from crossray.data.split import Split

TOKENS = "Flickr8k.token.txt"
PHOTOS = 8_092
IMAGES = "Flicker8k_Dataset"  # spelt so in the distribution
LISTS: dict[str, Split] = {
    "Flickr_8k.trainImages.txt": "train",
    "Flickr_8k.devImages.txt": "val",
    "Flickr_8k.testImages.txt": "test",
}
_LICENCE = "Flickr users' own terms; research and education only"
_REMEDY = f"give the folder with {TOKENS}, {', '.join(LISTS)} and {IMAGES}/"


@dataclass(frozen=True)
class Flickr8kSource(FolderSource):
    """Photos of the official lists with all their captions (five each), in the lists' order.

    Hodosh, Young, Hockenmaier: Framing Image Description as a Ranking Task, JAIR 47 (2013).
    Photos in none of the lists have no split and are left out; the manifest's notes count them.

    Attributes:
        folder: what holds the text files and the photos, or the folders of the two archives.
    """

    name: ClassVar[str] = "flickr8k"

    def plan(self) -> Plan:
        """Read the token file and the lists."""
        layout = Layout(self.folder, _REMEDY)
        captions, rest = read_captions(layout.find(TOKENS))
        images = layout.find(IMAGES)
        count = counted(len(captions), PHOTOS, "names with captions")
        rows: list[Row] = []
        for listing, split in LISTS.items():
            for name in lines(layout.find(listing)):
                texts = captions.pop(name, [""])
                rows.append({"item_id": name, "image": name, "split": split, "texts": texts})
        notes = []
        if captions:
            notes.append(
                f"{len(captions)} names with captions are in no split list and were left out, "
                f"first {next(iter(captions))}"
            )
        return listed(rows + rest, images, _LICENCE, notes + count)


def read_captions(path: Path) -> tuple[dict[str, list[str]], list[Row]]:
    """Captions by image name, in the order of their numbers, and the lines that hold none."""
    numbered: dict[str, list[tuple[int, str]]] = {}
    rest: list[Row] = []
    for count, line in enumerate(lines(path), start=1):
        key, _, caption = line.partition("\t")  # a blank caption has lost its tab
        name, _, digits = key.rpartition("#")
        number = integer(digits)
        if not name or number is None:
            detail = f"{line[:60]!r} is not 'name.jpg#number<TAB>caption'"
            rest.append(broken(f"{path.name} line {count}", "malformed row", detail))
            continue
        numbered.setdefault(name, []).append((number, caption.strip()))
    captions = {name: [caption for _, caption in sorted(pairs)] for name, pairs in numbered.items()}
    return captions, rest
