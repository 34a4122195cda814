"""Which shard an item lies in."""

from __future__ import annotations

import hashlib

MAX_SHARDS = 1000


def shard_of(item_id: str, shards: int) -> int:
    """The shard of an item: the same for all its rows, on every machine and in every run."""
    digest = hashlib.blake2b(item_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards
