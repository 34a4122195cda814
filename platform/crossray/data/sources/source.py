"""What an importer is: a configuration that lays out the work of reading its input."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Protocol

from tyro.conf import arg

from crossray.core.config import Config, to_dict
from crossray.data.rejection import Reason
from crossray.data.schema import PairRow

UNIT_ROWS = 64
MAX_CELL = 16 << 20  # characters


class Reader(Protocol):
    """How one importer reads its input, inside a worker."""

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The raw rows of a unit in order, each with its place in the input."""

    def row(self, raw: Any) -> PairRow:
        """The pair of a raw row; raises `Rejected`."""


@dataclass(frozen=True)
class Plan:
    """What an importer found when it looked over its input, and how to read it.

    `units` are the tasks in order, JSON values of about `UNIT_ROWS` rows each; `rows` is their
    number of rows; `notes` go to the manifest; `remedies` say what to do where most rows are
    rejected for a reason.
    """

    units: list[dict[str, Any]]
    rows: int
    reader: Reader
    notes: tuple[str, ...] = ()
    remedies: Mapping[Reason, str] = field(default_factory=dict)


class Origin(Config):
    """Base of all importers: a frozen dataclass that says what to read."""

    name: ClassVar[str]
    version: ClassVar[str] = "1"

    @property
    def paths(self) -> tuple[str, ...]:
        """The fields that say where the input is, not what it is."""
        return ()

    def identity(self) -> dict[str, Any]:
        """The part of the configuration that the artifact's id depends on.

        The digests of the payload say what the input is; so `paths` are in the manifest's metrics
        only, and a folder that was moved gives the same id.
        """
        fields = {k: v for k, v in to_dict(self).items() if k not in self.paths}
        return {"source": self.name, "version": self.version, **fields}

    def location(self) -> dict[str, Any]:
        """The fields in `paths`."""
        return {k: v for k, v in to_dict(self).items() if k in self.paths}


class Source(Origin):
    """Base of the importers of images and texts."""

    @abstractmethod
    def plan(self) -> Plan:
        """Check all of the input and lay out the work; raises `CrossRayError`."""


@dataclass(frozen=True)
class FolderSource(Source):
    """An importer of what one folder holds.

    Attributes:
        folder: the folder.
    """

    folder: Annotated[str, arg(metavar="DIR")]

    @property
    def paths(self) -> tuple[str, ...]:
        """See `Origin.paths`."""
        return ("folder",)


def names(columns: str) -> list[str]:
    """The column names in a comma-separated list."""
    return [name.strip() for name in columns.split(",") if name.strip()]
