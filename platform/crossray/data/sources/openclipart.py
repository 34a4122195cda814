"""Open Clip Art Library drawings from the Debian packages openclipart-svg and openclipart-png."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from crossray.core.errors import CrossRayError
from crossray.data.image_file import ImageFile
from crossray.data.rejection import Rejected
from crossray.data.schema import PairRow
from crossray.data.sources.source import UNIT_ROWS, Plan, Source

MIN_IMAGES = 40
_CC = "{http://web.resource.org/cc/}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_NUMBER = re.compile(r"[_-]*\d+$")
_NOT_TAGS = ("", "hash")  # left by the upload program, not by an artist


@dataclass(frozen=True)
class OpenClipartSource(Source):
    """Every drawing once (links to a drawing elsewhere in the tree are passed over).

    Text is title and description, labels are the top folder (`cat_food`) and every tag that at
    least 40 drawings carry; numbered variants of a drawing form one group.

    Attributes:
        root: the folder with `svg` and `png`, as the Debian packages install it.
    """

    name: ClassVar[str] = "openclipart"

    root: str = "/usr/share/openclipart"

    @property
    def paths(self) -> tuple[str, ...]:
        """See `Origin.paths`."""
        return ("root",)

    def plan(self) -> Plan:
        """Read the metadata of all drawings, since labels depend on how often a tag occurs."""
        root = Path(self.root).resolve()
        for folder in ("svg", "png"):
            if not (root / folder).is_dir():
                raise CrossRayError(
                    f"there is no folder {root / folder}; install the Debian packages "
                    "openclipart-svg and openclipart-png (0.18), or name another root."
                )
        drawings = [(name, _describe(root / "svg" / name)) for name in _drawings(root / "svg")]
        tags = Counter(tag for _, work in drawings for tag in work.get("tags", ()))
        common = {tag for tag, count in tags.items() if count >= MIN_IMAGES}
        for _, work in drawings:
            work["tags"] = [tag for tag in work.get("tags", ()) if tag in common]
        units = [
            {"drawings": drawings[at : at + UNIT_ROWS]} for at in range(0, len(drawings), UNIT_ROWS)
        ]
        return Plan(units, len(drawings), OpenClipartReader(str(root / "png")))


@dataclass(frozen=True)
class OpenClipartReader:
    """Makes pairs of described drawings, inside a worker."""

    png: str

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Name and description of the drawings."""
        for name, work in unit["drawings"]:
            yield f"svg/{name}", (name, work)

    def row(self, raw: tuple[str, dict[str, Any]]) -> PairRow:
        """The pair; the rendered drawing is read later."""
        name, work = raw
        if "broken" in work:
            raise Rejected("malformed row", f"the metadata is unreadable: {work['broken']}")
        stem = name.removesuffix(".svg")
        title, description = work["title"].rstrip("."), work["description"]
        parts = [part for part in (title, description) if part]
        text = ". ".join(dict.fromkeys(parts))
        fields = ("title", "creator", "licence")
        return PairRow(
            item_id=stem,
            group_id=_NUMBER.sub("", stem),
            image=ImageFile(self.png, f"{stem}.png"),
            texts=[text] if text else [],
            labels=[f"cat_{name.split('/')[0]}", *work["tags"]],
            meta={field: work[field] for field in fields if work[field]},
        )


def _drawings(svg: Path) -> list[str]:
    found = []
    for folder, _, files in os.walk(svg):
        paths = (Path(folder, file) for file in files if file.endswith(".svg"))
        found += [path.relative_to(svg).as_posix() for path in paths if not path.is_symlink()]
    return sorted(found)


def _describe(path: Path) -> dict[str, Any]:
    """Title, description, tags, creator and licence from the drawing's RDF block."""
    try:
        for _, element in iterparse(path, events=("end",)):
            if element.tag == f"{_CC}Work":
                return _work(element)
    except (ParseError, DefusedXmlException, LookupError, OSError, ValueError) as error:
        return {"broken": " ".join(str(error).split())[:100]}
    return {"broken": "there is no cc:Work"}


def _work(work: Element) -> dict[str, Any]:
    def text(path: str) -> str:
        return " ".join((work.findtext(path) or "").split())

    tags = {" ".join((tag.text or "").lower().split()) for tag in work.iter(f"{_RDF}li")}
    licence = work.find(f"{_CC}license")
    return {
        "title": text(f"{_DC}title"),
        "description": text(f"{_DC}description"),
        "tags": sorted(tags.difference(_NOT_TAGS)),
        "creator": text(f"{_DC}creator/{_CC}Agent/{_DC}title"),
        "licence": licence.get(f"{_RDF}resource", "") if licence is not None else "",
    }
