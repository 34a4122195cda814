"""Flickr8k in its official layout: a token file, three lists of images, a folder of photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from tyro.conf import arg

from crossray.core.errors import CrossRayError
from crossray.data.images import ImageFile
from crossray.data.schema import PairRow
from crossray.data.sources.source import UNIT_ROWS, Plan, Source
from crossray.data.splits import Split

TOKENS = "Flickr8k.token.txt"
IMAGES = "Flicker8k_Dataset"  # spelt so in the distribution
LISTS: dict[str, Split] = {
    "Flickr_8k.trainImages.txt": "train",
    "Flickr_8k.devImages.txt": "val",
    "Flickr_8k.testImages.txt": "test",
}
_LICENCE = "Flickr users' own terms; research and education only"


@dataclass(frozen=True)
class Flickr8kSource(Source):
    """Photos of the official lists with all their captions (five each), in the lists' order.

    Hodosh, Young, Hockenmaier: Framing Image Description as a Ranking Task, JAIR 47 (2013).
    Photos in none of the lists have no split and are left out; the manifest's notes count them.

    Attributes:
        folder: what holds the text files and the photos, or the folders of the two archives.
    """

    name: ClassVar[str] = "flickr8k"

    folder: Annotated[str, arg(metavar="DIR")]

    @property
    def paths(self) -> tuple[str, ...]:
        """Where the input lies."""
        return ("folder",)

    def plan(self) -> Plan:
        """Read the token file and the lists."""
        captions = _captions(_find(self.folder, TOKENS))
        images = str(_find(self.folder, IMAGES))
        rows = []
        for listed, split in LISTS.items():
            for name in _lines(_find(self.folder, listed)):
                rows.append([name, split, captions.pop(name, [""])])
        units = [{"rows": rows[at : at + UNIT_ROWS]} for at in range(0, len(rows), UNIT_ROWS)]
        notes = [f"licence: {_LICENCE}"]
        if captions:
            notes.append(
                f"{len(captions)} names with captions are in no split list and were left out, "
                f"first {next(iter(captions))}"
            )
        return Plan(units, len(rows), Flickr8kReader(images), tuple(notes))


@dataclass(frozen=True)
class Flickr8kReader:
    """Makes pairs of the listed photos, inside a worker."""

    images: str

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Name, split and captions of the photos."""
        for row in unit["rows"]:
            yield row[0], row

    def row(self, raw: tuple[str, Split, list[str]]) -> PairRow:
        """The pair; the photo is read later."""
        name, split, captions = raw
        return PairRow(
            item_id=name,
            split=split,
            image=ImageFile(self.images, name),
            texts=captions,
            meta={"licence": _LICENCE},
        )


def _find(folder: str, name: str) -> Path:
    """`name` in `folder` or one level below."""
    root = Path(folder).resolve()
    for path in (root / name, *sorted(root.glob(f"*/{name}"))):
        if path.exists():
            return path
    raise CrossRayError(
        f"{folder} has no {name}; give the folder with {TOKENS}, {', '.join(LISTS)} and {IMAGES}/."
    )


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise CrossRayError(f"{path} is not UTF-8 text; use the file as distributed.") from None


def _captions(path: Path) -> dict[str, list[str]]:
    """Captions by image name, in the order of their numbers."""
    numbered: dict[str, list[tuple[int, str]]] = {}
    for count, line in enumerate(_lines(path), start=1):
        key, tab, caption = line.partition("\t")
        name, hash_, number = key.rpartition("#")
        if not (tab and hash_ and number.isdigit()):
            raise CrossRayError(
                f"line {count} of {path} is not 'name.jpg#number<TAB>caption'; "
                "use the file as distributed."
            )
        numbered.setdefault(name, []).append((int(number), caption.strip()))
    return {name: [caption for _, caption in sorted(pairs)] for name, pairs in numbered.items()}
