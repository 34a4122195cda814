"""The caption file of Flickr8k and Flickr30k: lines `name.jpg#number<TAB>caption`."""

from __future__ import annotations

from pathlib import Path

from crossray.core.errors import CrossRayError
from crossray.data.sources.layout import lines


def read_captions(path: Path) -> dict[str, list[str]]:
    """Captions by image name, in the order of their numbers; raises `CrossRayError`."""
    numbered: dict[str, list[tuple[int, str]]] = {}
    for count, line in enumerate(lines(path), start=1):
        key, tab, caption = line.partition("\t")
        name, hash_, number = key.rpartition("#")
        if not (tab and hash_ and number.isdigit()):
            raise CrossRayError(
                f"line {count} of {path} is not 'name.jpg#number<TAB>caption'; "
                "use the file as distributed."
            )
        numbered.setdefault(name, []).append((int(number), caption.strip()))
    return {name: [caption for _, caption in sorted(pairs)] for name, pairs in numbered.items()}
