"""The artifacts behind an index, opened and checked against each other."""

from __future__ import annotations

from dataclasses import dataclass

from crossray.core.artifacts import Artifact, Kind, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.images.grey_range import GreyRange, parse_grey_range
from crossray.data.sources.dicom import SHORT_SIDE
from crossray.index.vectors import MODELS


@dataclass(frozen=True)
class Lineage:
    """An index, the teacher or student whose vectors it holds and the pairs that it finds."""

    index: Artifact
    model: Artifact
    pairs: Artifact

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return int(self.index.manifest.config["dim"])

    @property
    def bits(self) -> int:
        """Bits of the codes, 0 where there are none."""
        return int(self.index.manifest.config["bits"])

    @property
    def represented(self) -> bool:
        """Whether the index holds what the model's full score needs to know of its items."""
        return self.index.manifest.config.get("keep") == "representations"

    @property
    def short_side(self) -> int:
        """Pixels of the shorter side to which an ingest of the pairs reduces DICOM files."""
        return int(self.pairs.manifest.config.get("short_side", SHORT_SIDE))

    @property
    def grey_range(self) -> GreyRange:
        """How the pairs' images of more than 8 bits were read when they were ingested."""
        return parse_grey_range(self.pairs.manifest.config.get("grey_range", "auto"))

    @property
    def recall(self) -> dict[str, dict[str, float]]:
        """Recall@10 against exact search by direction and mode, as measured of the index."""
        measured: dict[str, dict[str, float]] = self.index.manifest.metrics.get("recall@10", {})
        return measured

    @property
    def shards(self) -> int:
        """Into how many shards the index is split."""
        return int(self.index.manifest.config["shards"])


def open_lineage(uri: str) -> Lineage:
    """Open an index and what it was made from.

    Raises:
        CrossRayError: something is missing or incomplete, another model or other pairs than
            the index was made from now stand in their place, or their dimensions or bits differ.
    """
    index = open_artifact(uri, "index")
    lineage = Lineage(index, _open_origin(index, *MODELS), _open_origin(index, "pairs"))
    model = lineage.model
    method = model.manifest.config["method"]
    for what, expected, found in (
        ("dimensions", lineage.dim, method.get("embedding")),
        ("bits", lineage.bits, method.get("bits")),
    ):
        if expected and expected != found:  # 0 bits: no codes, whatever `bits` are to the method
            raise CrossRayError(
                f"{uri} has {expected} {what} and its {model.kind} {model.uri} {found}; "
                "build the index again."
            )
    return lineage


def _open_origin(index: Artifact, *kinds: Kind) -> Artifact:
    parent = next((p for p in index.manifest.parents if p.kind in kinds), None)
    if parent is None:
        raise CrossRayError(
            f"{index.uri} does not say which {' or '.join(kinds)} it was made from; "
            "build the index again."
        )
    kind = parent.kind
    found = open_artifact(parent.uri, kind)
    if found.id != parent.id:
        raise CrossRayError(
            f"{index.uri} was made from the {kind} {parent.id[:12]}, but {parent.uri} is now "
            f"{found.id[:12]}; bring that {kind} back or build the index again."
        )
    return found
