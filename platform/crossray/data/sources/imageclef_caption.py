"""ImageCLEFmedical Caption 2023: two folders of images with tables of captions and concepts."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crossray.core.errors import CrossRayError
from crossray.data.sources import layout
from crossray.data.sources.source import FolderSource, Plan
from crossray.data.split import Split

PARTS: dict[str, tuple[Split, int]] = {"train": ("train", 60_918), "valid": ("val", 10_437)}
NAMES = "ImageCLEFmedical_Caption_2023_cui_mapping.csv"
TABLE = "ImageCLEFmedical_Caption_2023_{}_{}_labels.csv"
_LICENCE = "ImageCLEF registration; open-access licences of the articles that the images are from"
_REMEDY = (
    "give the folder with train/, valid/ and the tables of captions and concepts, handed out on "
    "registration at https://www.imageclef.org/2023/medical/caption"
)


@dataclass(frozen=True)
class ImageclefCaptionSource(FolderSource):
    """Radiology images with a caption and UMLS concepts as labels (their identifiers), by number.

    Rueckert et al.: Overview of ImageCLEFmedical 2023, Caption Prediction and Concept Detection.
    Where the set's table of concepts is there, `concepts` in `meta` names them; the modality is one
    of them. The official validation set is val; the captions of the test set were not published.

    Attributes:
        folder: what holds the images and the tables.
    """

    name: ClassVar[str] = "imageclef-caption"

    def plan(self) -> Plan:
        """Read the tables."""
        tree = layout.Layout(self.folder, _REMEDY)
        root = tree.find("train").parent
        mapping = tree.find_if_any(NAMES)
        rest: list[layout.Row] = []
        names = _cells(mapping, rest) if mapping is not None else {}
        rows: list[layout.Row] = []
        notes = []
        for part, (split, published) in PARTS.items():
            tree.find(part)
            captions = _cells(tree.find(TABLE.format("caption_prediction", part)), rest)
            concepts = _cells(tree.find(TABLE.format("concept_detection", part)), rest)
            notes += layout.counted(len(captions), published, f"images in {part}")
            notes += layout.unmatched(concepts, captions, f"images with concepts in {part}")
            for name in sorted(captions, key=layout.numeric):
                cuis = [cui.strip() for cui in concepts.get(name, "").split(";") if cui]
                known = "|".join(names[cui] for cui in cuis if cui in names)
                rows.append(
                    {
                        "item_id": name,
                        "image": f"{part}/{name}.jpg",
                        "split": split,
                        "texts": [captions[name]],
                        "labels": cuis,
                        "meta": {"concepts": known} if known else {},
                    }
                )
        return layout.listed(rows + rest, root, _LICENCE, notes)


def _cells(path: Path, rest: list[layout.Row]) -> dict[str, str]:
    """The second column by the first; rows of another kind are added to `rest`.

    The tables are tab-separated although their names say csv.
    """
    delimiter = "\t" if "\t" in layout.read_text(path).split("\n", 1)[0] else ","
    rows = layout.records(path, delimiter)
    if len(header := next(rows, [])) != 2:
        raise CrossRayError(
            f"{path} has {len(header)} columns, not an id and a text; use the file as distributed."
        )
    cells: dict[str, str] = {}
    for count, row in enumerate(rows, start=1):
        key = row[0].strip()
        if len(row) != 2:
            detail = f"{len(row)} columns, not an id and a text"
            rest.append(layout.broken(f"{path.name} row {count}", "malformed row", detail))
        elif key in cells:
            detail = f"an earlier row has the id {key!r:.60}"
            rest.append(layout.broken(f"{path.name} row {count}", "duplicate id", detail))
        else:
            cells[key] = row[1].strip()
    return cells
