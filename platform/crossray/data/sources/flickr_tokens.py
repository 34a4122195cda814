"""The caption file of Flickr8k and Flickr30k: lines `name.jpg#number<TAB>caption`."""

from __future__ import annotations

from pathlib import Path

from crossray.data.sources.layout import Row, broken, lines, whole


def read_captions(path: Path) -> tuple[dict[str, list[str]], list[Row]]:
    """Captions by image name, in the order of their numbers, and the lines that hold none."""
    numbered: dict[str, list[tuple[int, str]]] = {}
    rest: list[Row] = []
    for count, line in enumerate(lines(path), start=1):
        key, _, caption = line.partition("\t")  # a blank caption has lost its tab
        name, _, digits = key.rpartition("#")
        number = whole(digits)
        if not name or number is None:
            detail = f"{line[:60]!r} is not 'name.jpg#number<TAB>caption'"
            rest.append(broken(f"{path.name} line {count}", "malformed row", detail))
            continue
        numbered.setdefault(name, []).append((number, caption.strip()))
    captions = {name: [caption for _, caption in sorted(pairs)] for name, pairs in numbered.items()}
    return captions, rest
