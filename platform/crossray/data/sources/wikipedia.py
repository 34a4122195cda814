"""The Wikipedia set of Rasiwasia et al. in its official layout: lists, images, texts as XML."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from crossray.data.rejection import Rejected
from crossray.data.sources import layout
from crossray.data.sources.source import FolderSource, Plan

LISTS = {"trainset_txt_img_cat.list": ("train", 2_173), "testset_txt_img_cat.list": ("test", 693)}
VALIDATION = 231
_TEXT = re.compile(r"<text\b[^>]*>(.*?)</text>", re.DOTALL)
_LICENCE = "none stated by the distributor; text of Wikipedia; research use"
_REMEDY = (
    f"give the folder with {', '.join(LISTS)}, categories.list, images/ and texts/ of "
    "http://www.svcl.ucsd.edu/projects/crossmodal"
)


@dataclass(frozen=True)
class WikipediaSource(FolderSource):
    """Sections of featured articles, each with an image and one of ten categories.

    Rasiwasia et al.: A New Approach to Cross-Modal Multimedia Retrieval, ACM MM 2010.

    Attributes:
        folder: what holds the lists, the images and the texts.
        split: `official` is train and test; `gpldan` makes the first 231 pairs of the test list
            val. In both, sections of one article are in different splits, so every pair is a
            group. `drawn` draws the split with an article as a group.
    """

    name: ClassVar[str] = "wikipedia"

    split: Literal["official", "gpldan", "drawn"] = "official"

    def plan(self) -> Plan:
        """Read the lists and all texts."""
        tree = layout.Layout(self.folder, _REMEDY)
        categories = layout.lines(tree.find("categories.list"))
        images, texts = tree.find("images"), tree.find("texts")
        rows: list[layout.Row] = []
        notes = []
        for name, (split, published) in LISTS.items():
            path = tree.find(name)
            pairs = layout.lines(path)
            notes += layout.counted(len(pairs), published, f"pairs in {name}")
            for at, line in enumerate(pairs):
                row = _row(f"{name} line {at + 1}", line, categories, texts)
                article = row["item_id"].rpartition("-")[0] or row["item_id"]
                if self.split == "drawn":
                    row |= {"group_id": article}
                elif self.split == "gpldan" and split == "test" and at < VALIDATION:
                    row |= {"split": "val"}
                else:
                    row |= {"split": split}
                rows.append({**row, "meta": {"article": article}})
        return layout.listed(rows, images, _LICENCE, notes)


def category_line(line: str, categories: Sequence[str]) -> tuple[str, str, str]:
    """Text, image and category of a list's line, which numbers categories from 1.

    Raises `Rejected` for any other line.
    """
    cells = line.split("\t")
    number = layout.integer(cells[-1])
    if len(cells) != 3 or number is None or not 1 <= number <= len(categories):
        known = f"text, image and category (1 to {len(categories)})"
        raise Rejected("malformed row", f"{line[:80]!r} is not {known}")
    return cells[0], cells[1], categories[number - 1]


def _row(where: str, line: str, categories: list[str], texts: Path) -> layout.Row:
    """The pair of a list's line."""
    name = where
    try:
        name, image, category = category_line(line, categories)
        page = layout.text_file(texts, f"{name}.xml")
    except Rejected as error:
        return layout.broken(name, error.reason, error.detail)
    # Not by an XML parser: the texts hold what only HTML allows, such as `&nbsp;`.
    parts = [html.unescape(part) for part in _TEXT.findall(page)]
    return {
        "item_id": name,
        "image": f"{category}/{image}.jpg",
        "texts": [" ".join(" ".join(parts).split())],
        "labels": [category],
    }
