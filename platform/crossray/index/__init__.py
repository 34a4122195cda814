"""Indexes of vectors and codes in shards; arrays only, never models."""

from crossray.core.modality import MODALITIES, Modality
from crossray.index.candidates import Candidates, merge_candidates
from crossray.index.hits import Hits, MixedHits, merge, mix
from crossray.index.layout import shard_of
from crossray.index.queries import MAX_CANDIDATES, MAX_K, MODES, Mode
from crossray.index.rows import load_rows
from crossray.index.search import search
from crossray.index.shard import Shard, load_shard, load_shards

__all__ = [
    "MAX_CANDIDATES",
    "MAX_K",
    "MODALITIES",
    "MODES",
    "Candidates",
    "Hits",
    "MixedHits",
    "Modality",
    "Mode",
    "Shard",
    "load_rows",
    "load_shard",
    "load_shards",
    "merge",
    "merge_candidates",
    "mix",
    "search",
    "shard_of",
]
