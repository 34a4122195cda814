"""Draw the lineage of artifacts and the rooms of the package: `python docs/images/draw.py`.

The rooms and their floors are those of the import contract in pyproject.toml.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent
WIDTH, HEIGHT, GAP = 130, 40, 34  # of a box, and between two, in pixels
STYLE = (
    "<style>text{font:13px Helvetica,Arial,'DejaVu Sans',sans-serif;fill:#1f2933}"
    ".small{font-size:11px;fill:#52606d}.box{fill:#e6eef7;stroke:#33567f}"
    ".data{fill:#f3ead8;stroke:#8a6d3b}.line{stroke:#52606d;fill:none;marker-end:url(#tip)}"
    "</style><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='8' markerHeight='8'"
    " orient='auto'><path d='M0 0L8 4L0 8z' fill='#52606d'/></marker>"
)
LINEAGE = ("pairs", "teacher", "student", "vectors", "index", "endpoint")
STAGES = ("pretrain", "distill", "embed", "index", "serve")


def main() -> None:
    """Write both pictures beside this file."""
    for name, picture in pictures().items():
        (FOLDER / name).write_text(picture, encoding="utf-8")


def pictures() -> dict[str, str]:
    """The SVG text of each picture by its file name."""
    return {"lineage.svg": lineage(), "rooms.svg": rooms(floors())}


def lineage() -> str:
    """From pairs to an endpoint, with the stage that leads from one artifact to the next."""
    step = WIDTH + GAP + 36
    middle = [10 + WIDTH // 2 + number * step for number in range(len(LINEAGE))]
    parts = []
    for x, name in zip(middle, LINEAGE, strict=True):
        parts.append(box(x - WIDTH // 2, 80, name, "data" if name == "pairs" else "box"))
    for x, stage in zip(middle, STAGES, strict=False):
        start = x + WIDTH // 2
        parts.append(arrow(f"M{start + 4} 100H{start + step - WIDTH - 6}"))
        parts.append(text(start + (step - WIDTH) // 2, 91, stage, "small"))
    between = (middle[0] + middle[1]) // 2
    parts += [
        box(between - WIDTH // 2, 8, "features", "box"),
        arrow(f"M{middle[0]} 76V28H{between - WIDTH // 2 - 6}"),
        arrow(f"M{between + WIDTH // 2 + 4} 28H{middle[1]}V74"),
        text(middle[1] + 8, 46, "optional: the outputs of frozen towers", "small", "start"),
        box(middle[2] - WIDTH // 2, 160, "report", "box"),
        arrow(f"M{middle[1]} 124V180H{middle[2] - WIDTH // 2 - 6}"),
        arrow(f"M{middle[2]} 124V154"),
        text(middle[2] + 8, 144, "evaluate", "small", "start"),
    ]
    return svg(middle[-1] + WIDTH // 2 + 10, 210, parts)


def rooms(layers: list[list[str]]) -> str:
    """One row a floor; a room imports only from the rows below its row."""
    widest = max(map(len, layers))
    width = widest * (WIDTH + 10) + 30
    parts = [text(10, 20, "imports only go down", "small", "start")]
    for row, floor in enumerate(layers):
        left = (width - 20 - len(floor) * (WIDTH + 10) + 10) // 2
        for column, room in enumerate(floor):
            parts.append(box(left + column * (WIDTH + 10), 32 + row * (HEIGHT + 12), room, "box"))
    parts.append(arrow(f"M{width - 12} 36V{24 + len(layers) * (HEIGHT + 12)}"))
    return svg(width, 40 + len(layers) * (HEIGHT + 12), parts)


def floors() -> list[list[str]]:
    """The rooms of each floor, the highest floor first."""
    text = (FOLDER.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers"
                 and contract["containers"] == ["crossray"])  # fmt: skip
    return [layer.split(" | ") for layer in layers]


def svg(width: int, height: int, parts: list[str]) -> str:
    """A picture on white, so that it can be read on a dark page."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">'
    )
    white = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, STYLE, white, *parts, "</svg>", ""])


def box(left: int, top: int, name: str, kind: str) -> str:
    """A named box."""
    frame = f'<rect class="{kind}" x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
    return frame + text(left + WIDTH // 2, top + HEIGHT // 2 + 5, name)


def text(x: int, y: int, words: str, kind: str = "", anchor: str = "middle") -> str:
    """A line of text."""
    return f'<text class="{kind}" x="{x}" y="{y}" style="text-anchor:{anchor}">{words}</text>'


def arrow(path: str) -> str:
    """A line with a tip at its end."""
    return f'<path class="line" d="{path}"/>'


if __name__ == "__main__":
    main()
