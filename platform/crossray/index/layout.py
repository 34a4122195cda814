"""Where the files of an `index` artifact lie, and in which shard an item."""

import hashlib
from pathlib import Path

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.core.modality import Modality

VECTORS = "vectors.npy"
ROWS = "rows.npy"
FLOATS = "float.faiss"
CODES = "codes.faiss"
REPRESENTATIONS = "representations.arrow"
SETTINGS = "search.json"
MAX_SHARDS = 1000


def part_folder(root: Path, shard: int, modality: Modality) -> Path:
    """The folder of one modality of one shard."""
    return root / f"shard-{shard:02d}" / modality


def rows_file(root: Path, modality: Modality) -> Path:
    """The file that says which item and text each row is."""
    return root / f"rows-{modality}.arrow"


def require_index(artifact: Artifact) -> None:
    """Raises `CrossRayError` for an artifact of another kind."""
    if artifact.kind != "index":
        raise CrossRayError(
            f"{artifact.uri} is a {artifact.kind} artifact, but index was expected; "
            "give the right artifact."
        )


def damaged(artifact: Artifact, what: str) -> CrossRayError:
    """The error of an index with files that are missing or unreadable."""
    return CrossRayError(
        f"{what} of {artifact.uri} is damaged: a file is missing or unreadable; "
        "remove the artifact and build the index again."
    )


def shard_of(item_id: str, shards: int) -> int:
    """The shard of an item: the same for all its rows, on every machine and in every run."""
    digest = hashlib.blake2b(item_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards
