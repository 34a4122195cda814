"""Splits of published sizes without published lists: drawn by hashes, the same for all users."""

import hashlib
from collections.abc import Iterable

from crossray.core.errors import CrossRayError
from crossray.data.split import Split


def shuffled(groups: Iterable[str]) -> list[str]:
    """The different groups in the order of the SHA-256 of their names."""

    def place(group: str) -> bytes:
        # Names that UTF-8 cannot hold are drawn, too: their rows are rejected later.
        return hashlib.sha256(group.encode("utf-8", "surrogatepass")).digest()

    return sorted(set(groups), key=place)


def retrieval_split(groups: Iterable[str], queries: int, training: int) -> dict[str, Split]:
    """The split of a hashing protocol: queries, and a retrieval set that holds the training set.

    The queries are `test`; the training set is `train`; the rest of the retrieval set is `val`,
    so the retrieval set is `train` and `val` together. Raises `CrossRayError` for too few groups.
    """
    order = shuffled(groups)
    if len(order) <= queries + training:
        raise CrossRayError(
            f"the protocol takes {queries:,} queries and {training:,} training items, but only "
            f"{len(order):,} items of this copy qualify; complete the copy or choose another "
            "--split."
        )
    return {
        group: "test" if at < queries else "train" if at < queries + training else "val"
        for at, group in enumerate(order)
    }
