"""Indexes of vectors and codes in shards; arrays only, never models."""

from crossray.core.modality import MODALITIES, Modality
from crossray.index.candidates import Candidates, merge_candidates
from crossray.index.hits import Hits, MixedHits, merge, mix
from crossray.index.layout import shard_of
from crossray.index.queries import MAX_CANDIDATES, MAX_K, MODES, Mode, SearchOptions
from crossray.index.rows import load_rows
from crossray.index.search import search, search_shards
from crossray.index.shard import Found, Shard, load_shard, load_shards, merge_found

__all__ = [
    "MAX_CANDIDATES",
    "MAX_K",
    "MODALITIES",
    "MODES",
    "Candidates",
    "Found",
    "Hits",
    "MixedHits",
    "Modality",
    "Mode",
    "SearchOptions",
    "Shard",
    "load_rows",
    "load_shard",
    "load_shards",
    "merge",
    "merge_candidates",
    "merge_found",
    "mix",
    "search",
    "search_shards",
    "shard_of",
]
