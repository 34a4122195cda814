"""The leak check of a pairs artifact, done once a machine and bounded in what it decodes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from crossray.core.artifacts import Artifact, cache_dir
from crossray.core.config import from_dict
from crossray.core.errors import CrossRayError
from crossray.data.images.fingerprints import NEAR_BITS
from crossray.data.schema import iter_pairs
from crossray.data.split import Split
from crossray.data.splits.leaks import LEAK_COLUMNS, Leak, find_leaks

IMAGES = 100_000  # of a larger set a sample of as many is compared
_VERSION = 1


@dataclass(frozen=True)
class LeakCheck:
    """What leaks, and what was looked at.

    Attributes:
        leaks: what `find_leaks` gives.
        images: the images that were compared; ids, groups and texts always are, all of them.
        of_images: the images of the set.
    """

    leaks: tuple[Leak, ...]
    images: int
    of_images: int


@dataclass
class _Sample:
    """Says which images are compared and counts them: by a hash, so the same ones every time."""

    shares: dict[Split, float]
    taken: int = 0

    def __call__(self, item_id: str, split: Split) -> bool:
        digest = hashlib.blake2b(item_id.encode(), digest_size=8).digest()
        chosen = int.from_bytes(digest, "big") < self.shares[split] * 2**64
        self.taken += chosen
        return chosen


def check_leaks(pairs: Artifact, split: Split, images: int = IMAGES) -> LeakCheck:
    """Look for leaks between the splits of a pairs artifact.

    A set of more than `images` items has a sample of about as many compared: up to half of them
    from `split`, the rest from the other splits. The result is kept on this machine under the
    artifact's id, whose content never changes. Raises CrossRayError for an image that cannot be
    decoded.
    """
    sample = _Sample(_shares(pairs.manifest.metrics["splits"], split, images))
    choice = "-".join(f"{share:.6f}" for share in sample.shares.values())
    path = cache_dir() / "leaks" / f"{pairs.id}-{_VERSION}-{NEAR_BITS}-{choice}.json"
    with suppress(OSError, ValueError, CrossRayError):  # not there, or not whole
        return from_dict(LeakCheck, json.loads(path.read_text(encoding="utf-8")))
    leaks = find_leaks(iter_pairs(pairs, LEAK_COLUMNS), sample)
    check = LeakCheck(tuple(leaks), sample.taken, pairs.manifest.metrics["images"])
    _keep(path, json.dumps(asdict(check)))
    return check


def _shares(items: dict[Split, int], split: Split, images: int) -> dict[Split, float]:
    """The share of each split's images that is compared."""
    if sum(items.values()) <= images:
        return dict.fromkeys(items, 1.0)
    own = min(items[split], images // 2)
    others = sum(items.values()) - items[split]
    shares = {True: own / max(1, items[split]), False: min(1.0, (images - own) / max(1, others))}
    return {name: shares[name == split] for name in items}


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".leaks-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(partial).rename(path)
