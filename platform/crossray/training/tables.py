"""The table that ends every job."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from crossray.core.artifacts import Artifact


@dataclass(frozen=True)
class Stage:
    """One line: what was made, from how many items, in how long, and how good it is."""

    name: str
    artifact: Artifact
    items: int
    seconds: float
    headline: dict[str, float]


def print_summary(stages: list[Stage]) -> None:
    """Print stage, artifact, items, seconds and headline metrics."""
    table = Table(title="CrossRay", title_justify="left")
    for column in ("stage", "artifact", "id"):
        table.add_column(column)
    table.add_column("items", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("headline")
    for stage in stages:
        table.add_row(
            stage.name,
            stage.artifact.uri,
            stage.artifact.id[:12],
            f"{stage.items:,}",
            f"{stage.seconds:.0f}",
            "\n".join(f"{name} {value:.3f}" for name, value in stage.headline.items()),
        )
    Console(width=None if Console().is_terminal else 140).print(table)
