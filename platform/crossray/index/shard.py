"""A shard of an index, memory-mapped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.core.modality import MODALITIES, Modality, check_modality
from crossray.index import queries
from crossray.index.arrays import Codes, Floats
from crossray.index.candidates import Candidates, merge_candidates
from crossray.index.hits import Hits, merge
from crossray.index.layout import damaged, part_folder, require_index
from crossray.index.part import Part, open_part
from crossray.index.representations import Keep, Parts
from crossray.index.settings import Settings

Found = Hits | Candidates


@dataclass(frozen=True)
class Shard:
    """A subset of the items of an index, with all their rows; `number` is that of the shard."""

    number: int
    dim: int
    bits: int
    parts: dict[Modality, Part]

    def search(
        self,
        modality: Modality,
        queries_QD: Floats,
        codes_QY: Codes,
        k: int,
        mode: queries.Mode,
        candidates: int | None = None,
    ) -> Hits:
        """The shard's `k` best rows of a modality.

        `float` ranks by inner product, `binary` by 1 - 2 h / K, `rescore` by inner product among
        the `candidates` nearest codes (of this shard: over several shards use
        `crossray.index.search`).

        Raises:
            CrossRayError: queries that do not fit the index or are not finite, an unknown modality
                or mode, or a k or number of candidates that cannot be served.
        """
        options = queries.SearchOptions(k, mode, candidates)
        return merge_found([self.found(modality, queries_QD, codes_QY, options)], options)

    def found(
        self,
        modality: Modality,
        queries_QD: Floats,
        codes_QY: Codes,
        options: queries.SearchOptions,
    ) -> Found:
        """What the shard adds to the answer of all shards, which `merge_found` makes.

        Raises:
            CrossRayError: as `search`.
        """
        queries.check_k(options.k)
        queries.check_mode(options.mode, self.bits)
        if options.mode == "rescore":
            nearest = queries.candidates_for(options.k, options.candidates)
            return self.candidates(modality, queries_QD, codes_QY, nearest)
        check_modality(modality)
        checked = queries.check_queries(queries_QD, codes_QY, self.dim, self.bits)
        if options.mode == "float":
            return self.parts[modality].nearest(checked.vectors_QD, options.k)
        return self.parts[modality].nearest_codes(checked.codes_QY, options.k)

    def candidates(
        self, modality: Modality, queries_QD: Floats, codes_QY: Codes, candidates: int
    ) -> Candidates:
        """The first step of a rescoring search; `merge_candidates` is the second.

        Raises:
            CrossRayError: as `search`.
        """
        check_modality(modality)
        queries.check_mode("rescore", self.bits)
        queries.candidates_for(1, candidates)
        checked = queries.check_queries(queries_QD, codes_QY, self.dim, self.bits)
        return self.parts[modality].candidates(checked, candidates)

    def represented(self, modality: Modality, rows: Sequence[int]) -> dict[int, Parts]:
        """The representations of those of some row numbers that lie in this shard.

        Raises:
            CrossRayError: an unknown modality, or an index that holds no representations.
        """
        check_modality(modality)
        part = self.parts[modality]
        if part.representations is None:
            raise no_representations()
        found = {row: part.represented(row) for row in rows}
        return {row: parts for row, parts in found.items() if parts is not None}


def merge_found(parts: Sequence[Found], options: queries.SearchOptions) -> Hits:
    """The answer of all shards, from what each of them found."""
    if options.mode == "rescore":
        nearest = queries.candidates_for(options.k, options.candidates)
        return merge_candidates(cast(Sequence[Candidates], parts), nearest, options.k)
    return merge(cast(Sequence[Hits], parts), options.k)


def no_representations() -> CrossRayError:
    """The error of a re-ranking in an index without representations."""
    return CrossRayError(
        "this index holds no representations to rank again by; embed with --keep representations "
        "and build the index of those vectors, or leave rerank out."
    )


def load_shard(artifact: Artifact, shard: int) -> Shard:
    """Open one shard; its files are mapped, and processes of a machine share their pages.

    Raises:
        CrossRayError: not an index, no such shard, or files that are missing or damaged.
    """
    shards = shard_count(artifact)
    if not 0 <= shard < shards:
        raise CrossRayError(
            f"{artifact.uri} has no shard {shard}; its shards are 0 to {shards - 1}."
        )
    config, root = artifact.manifest.config, artifact.local()
    try:
        settings, keep = Settings.load(root), config.get("keep", "vectors")
        return open_shard(root, shard, settings, config["dim"], config["bits"], keep)
    except (OSError, EOFError, ValueError, RuntimeError):
        raise damaged(artifact, f"shard {shard}") from None


def load_shards(artifact: Artifact) -> list[Shard]:
    """All shards of an index; raises `CrossRayError` as `load_shard` does."""
    return [load_shard(artifact, shard) for shard in range(shard_count(artifact))]


def shard_count(artifact: Artifact) -> int:
    """Into how many shards an index is split; raises `CrossRayError` for another kind."""
    require_index(artifact)
    return int(artifact.manifest.config["shards"])


def open_shard(
    root: Path, number: int, settings: Settings, dim: int, bits: int, keep: Keep
) -> Shard:
    """A shard whose files lie under `root`; raises as `open_part` does."""
    parts = {
        modality: open_part(
            part_folder(root, number, modality), settings.effort[modality], bits, keep
        )
        for modality in MODALITIES
    }
    return Shard(number, dim, bits, parts)
