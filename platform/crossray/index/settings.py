"""How to search an index; part of its payload, so that its id covers it."""

import json
from dataclasses import dataclass
from pathlib import Path

from crossray.core.config import Config, from_dict, to_dict
from crossray.core.modality import Modality
from crossray.index.kinds import IndexKind
from crossray.index.layout import SETTINGS


@dataclass(frozen=True)
class Settings(Config):
    """The kind of the float indexes and how much of them a query visits.

    `effort`: by modality, `ef_search` of HNSW or `nprobe` of IVF; None where the search is exact.
    """

    kind: IndexKind
    effort: dict[Modality, int | None]

    def save(self, root: Path) -> None:
        """Write `search.json`."""
        text = json.dumps(to_dict(self), indent=2, sort_keys=True) + "\n"
        (root / SETTINGS).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, root: Path) -> "Settings":
        """Read `search.json`; raises `CrossRayError` for unknown or wrong fields."""
        path = root / SETTINGS
        return from_dict(cls, json.loads(path.read_text(encoding="utf-8")), str(path))
