"""What an artifact is, for a reader at a terminal."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

from pydantic import ByteSize
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from crossray.core.artifacts import Artifact, Parent, open_artifact
from crossray.core.errors import CrossRayError

_THERE, _BACK = " image to text", " text to image"
_TITLE = "CrossRay: what was made; pairs of figures are image to text / text to image"
_SUMMARY: tuple[tuple[str, Literal["left", "right"]], ...] = (
    ("stage", "left"),
    ("artifact", "left"),
    ("id", "left"),
    ("items", "right"),
    ("seconds", "right"),
    ("headline", "left"),
)


def describe_artifact(artifact: Artifact) -> RenderableType:
    """Kind, id, lineage as a tree, files, configuration, metrics and notes of an artifact."""
    manifest = artifact.manifest
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("kind", manifest.kind),
        ("id", manifest.id),
        ("at", artifact.uri),
        ("created", manifest.created_at),
        ("files", f"{len(manifest.payload)}, {_size(artifact)}"),
        ("made with", ", ".join(f"{k} {v}" for k, v in manifest.versions.items())),
    ):
        facts.add_row(Text(name, style="bold"), Text(value))
    tree = Tree(_line(artifact.as_parent()))
    _grow(tree, manifest.parents)
    parts: list[RenderableType] = [facts, Panel(tree, title="lineage", title_align="left")]
    for title, values in (("config", manifest.config), ("metrics", manifest.metrics)):
        text = json.dumps(values, indent=2, ensure_ascii=False)
        parts.append(Panel(Text(text), title=title, title_align="left"))
    parts += [Text(f"note: {note}", style="yellow") for note in manifest.notes]
    return Group(*parts)


def summary(*artifacts: Artifact) -> Table:
    """One line a stage that led to the artifacts, each once, first stages first.

    Items, seconds and headline figures are those that the stage wrote into its metrics.
    """
    table = Table(title=_TITLE, title_justify="left")
    for column, justify in _SUMMARY:
        table.add_column(column, justify=justify)
    stages = {stage.id: stage for artifact in artifacts for stage in lineage(artifact)}
    for stage in stages.values():
        metrics = stage.manifest.metrics
        table.add_row(
            stage.kind,
            stage.uri,
            stage.id[:12],
            f"{metrics.get('items', 0):,}",
            f"{metrics.get('seconds', 0):.0f}",
            "\n".join(_figures(metrics.get("headline", {}))),
        )
    return table


def lineage(artifact: Artifact) -> list[Artifact]:
    """The artifact after all its ancestors that are still there, each once, first ones first."""
    found: dict[str, Artifact] = {}
    for parent in artifact.manifest.parents:
        with suppress(CrossRayError):
            ancestor = open_artifact(parent.uri)
            if ancestor.id == parent.id:
                found |= {stage.id: stage for stage in lineage(ancestor)}
    return [*found.values(), artifact]


def _grow(tree: Tree, parents: tuple[Parent, ...]) -> None:
    for parent in parents:
        branch = tree.add(_line(parent))
        try:
            found = open_artifact(parent.uri)
        except CrossRayError:
            branch.add(Text("no longer there", style="red"))
            continue
        if found.id != parent.id:
            branch.add(Text(f"replaced since by {found.id[:12]}", style="red"))
            continue
        _grow(branch, found.manifest.parents)


def _line(parent: Parent) -> Text:
    return Text(f"{parent.kind} {parent.id[:12]}  {parent.uri}")


def _size(artifact: Artifact) -> str:
    total = sum(payload.bytes for payload in artifact.manifest.payload.values())
    return ByteSize(total).human_readable(separator=" ")


def print_summary(*artifacts: Artifact) -> None:
    """Print `summary`, wide enough for a log file."""
    console = Console()
    Console(width=None if console.is_terminal else 140).print(summary(*artifacts))


def _figures(headline: Mapping[str, float]) -> list[str]:
    """A line a figure; both directions of one share a line."""
    lines = []
    for name, value in headline.items():
        metric = name.removesuffix(_THERE)
        if metric != name and metric + _BACK in headline:
            lines.append(f"{metric} {value:.3f} / {headline[metric + _BACK]:.3f}")
        elif not name.endswith(_BACK) or name.removesuffix(_BACK) + _THERE not in headline:
            lines.append(f"{name} {value:.3f}")
    return lines


def print_stage(artifact: Artifact) -> None:
    """Print one line: what a stage made, of how many items, how fast, and its headline figures."""
    metrics = artifact.manifest.metrics
    facts = [f"{metrics.get('items', 0):,} items", f"{metrics.get('seconds', 0):.0f} s"]
    facts += _figures(metrics.get("headline", {}))
    made = f"{artifact.kind} {artifact.id[:12]} at {artifact.uri}"
    print(f"{made}: {', '.join(facts)}", flush=True)
