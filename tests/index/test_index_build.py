"""Building an index: the payload, the lineage, the choice and what is measured."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from threading import get_ident
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from crossray.cli import jobs
from crossray.core.artifacts import open_artifact, verify
from crossray.core.errors import CrossRayError
from crossray.core.modality import other
from crossray.index import MODALITIES, load_rows, load_shard, load_shards, search, shard_of
from crossray.index.arrays import map_array
from crossray.index.floats import kinds_to_try
from crossray.index.kinds import KINDS, IndexKind
from crossray.index.staging import Sample, sample_rows
from crossray.index.vectors import codes_of, vectors_of
from support.bruteforce import code_scores, distances, float_scores, ranked, rescored
from support.vectors import (
    Corpus,
    build_index,
    interleaved,
    make_corpus,
    make_queries,
    make_side,
    publish_vectors,
)

pytestmark = pytest.mark.usefixtures("small_steps")
KIND_NAMES: tuple[IndexKind, ...] = ("flat", "ivf", "hnsw")


@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("shards", [1, 3])
def test_what_goes_in_comes_out(tmp_path: Path, kind: IndexKind, shards: int) -> None:
    """Every vector, code and item must be found under its own row number after a round trip."""
    corpus = make_corpus(np.random.default_rng(), 150, 230)
    index = build_index(tmp_path, corpus, shards=shards, kind=kind, target_recall=0.5)
    verify(index)
    loaded = load_shards(open_artifact(index.uri))
    for modality, side in corpus.items():
        rows = load_rows(index, modality)
        assert rows["item_id"].to_pylist() == side.item_ids
        assert rows["number"].to_pylist() == side.numbers
        assert set(rows["split"].to_pylist()) == {"test"}
        assert rows["item_id"].num_chunks == 1
        seen = []
        for shard in loaded:
            part = shard.parts[modality]
            own = part.rows_N
            assert (np.diff(own) > 0).all()
            assert np.array_equal(part.vectors_ND, side.vectors_ND[own])
            assert {shard_of(side.item_ids[row], shards) for row in own} <= {shard.number}
            seen += own.tolist()
            found = shard.search(
                modality, side.vectors_ND[own].astype(np.float32), side.codes_NY[own], 1, "binary"
            )
            assert (found.scores_QK == 1).all()
        assert sorted(seen) == list(range(len(side.item_ids)))


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_the_same_vectors_give_the_same_id(tmp_path: Path, kind: IndexKind) -> None:
    """An index that is built again must be recognised, and another seed or split must not be."""
    corpus = make_corpus(np.random.default_rng(), 260, 330)
    first = build_index(tmp_path, corpus, "a", kind=kind, shards=2)
    second = build_index(tmp_path, corpus, "b", kind=kind, shards=2)
    assert first.manifest.payload == second.manifest.payload
    assert first.id == second.id
    assert build_index(tmp_path, corpus, "c", kind=kind, shards=3).id != first.id
    reseeded = build_index(tmp_path, corpus, "d", kind=kind, shards=2, seed=1)
    assert reseeded.id != first.id
    floats = [name for name in first.manifest.payload if name.endswith("float.faiss")]
    same = [first.manifest.payload[name] == reseeded.manifest.payload[name] for name in floats]
    assert all(same) == (kind != "ivf")


def test_bytes_do_not_depend_on_threads(tmp_path: Path) -> None:
    """A machine with more cores must build the same index."""
    corpus = make_corpus(np.random.default_rng(), 300, 400)
    alone = build_index(tmp_path, corpus, "a", kind="ivf", shards=3)
    with patch("crossray.index.floats.faiss.omp_get_max_threads", lambda: 4):
        beside = build_index(tmp_path, corpus, "b", kind="ivf", shards=3)
    assert alone.manifest.payload == beside.manifest.payload


def test_files_are_opened_by_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that read headers at once may fail in Python 3.11, and a build with them."""
    openers: set[int] = set()

    def opened(path: Path) -> Any:
        openers.add(get_ident())
        return map_array(path)

    monkeypatch.setattr("crossray.index.floats.map_array", opened)
    build_index(tmp_path, make_corpus(np.random.default_rng(), 60, 60), kind="flat", shards=3)
    assert openers == {get_ident()}


@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("distinct", [None, 40])
def test_recall_is_that_of_an_independent_count(
    tmp_path: Path, kind: IndexKind, distinct: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recall that a user reads before deploying must be true."""
    monkeypatch.setattr("crossray.index.staging.MOST", 500)
    corpus = make_corpus(np.random.default_rng(), 300, 350, distinct=distinct)
    index = build_index(tmp_path, corpus, kind=kind, shards=2, target_recall=0.3)
    measured = index.manifest.metrics["recall@10"]
    shards = load_shards(index)
    for target in MODALITIES:
        asked, found_in = corpus[other(target)], corpus[target]
        queries = asked.vectors_ND.astype(np.float32), asked.codes_NY
        table = float_scores(queries[0], found_in.vectors_ND)
        bits = distances(queries[1], found_in.codes_NY)
        answers = {
            "float": search(shards, target, *queries, 10, "float").rows_QK.tolist(),
            "binary": ranked(code_scores(queries[1], found_in.codes_NY), 10)[1],
            "rescore": rescored(table, bits, 100, 10)[1],
        }
        for mode, answer in answers.items():
            shares = []
            for own_table, rows in zip(table, answer, strict=True):
                tenth = np.sort(own_table)[-10]
                shares.append(sum(own_table[row] >= tenth for row in rows if row >= 0) / 10)
            assert measured[f"{other(target)}_to_{target}"][mode] == pytest.approx(np.mean(shares))
        assert measured[f"{other(target)}_to_{target}"]["float"] >= 0.3


def test_sample_is_fixed_and_bounded() -> None:
    """Recall must not change from run to run, nor measuring take as long as the data is large."""
    rows = sample_rows("text", 10_000, 3)
    assert len(rows) == len(set(rows.tolist())) == 40
    assert (np.diff(rows) > 0).all()
    assert np.array_equal(rows, sample_rows("text", 10_000, 3))
    assert not np.array_equal(rows, sample_rows("text", 10_000, 4))
    assert sample_rows("image", 7, 0).tolist() == list(range(7))
    assert sample_rows("image", 0, 0).tolist() == []


def test_blocks_and_samples_start_anywhere() -> None:
    """A row that is read at another position is another item's vector."""
    corpus = make_corpus(np.random.default_rng(), 40, 60)
    side = corpus["text"]
    block = interleaved(corpus).to_batches()[0].slice(80)
    assert np.array_equal(vectors_of(block), side.vectors_ND[40:])
    assert np.array_equal(codes_of(block), side.codes_NY[40:])
    rows = np.array([0, 7, 8, 31, 59])
    sample = Sample(rows, 16, 16)
    for start in range(0, 60, 8):
        here = slice(start, start + 8)
        sample.see(start, side.vectors_ND[here], side.codes_NY[here])
    vectors, codes = sample.queries()
    assert np.array_equal(vectors, side.vectors_ND[rows])
    assert np.array_equal(codes, side.codes_NY[rows])


def test_items_keep_their_shard() -> None:
    """Shards built on different machines and days must agree on where an item lies."""
    assert [shard_of(item, 7) for item in ("item-0", "item-1", "größe", "")] == [3, 1, 0, 0]
    counts = np.bincount([shard_of(f"{item}", 5) for item in range(5000)], minlength=5)
    assert counts.min() > 800


def test_lineage_and_metrics(tmp_path: Path) -> None:
    """A deployment asks the index which student must encode its queries."""
    corpus = make_corpus(np.random.default_rng(), 50, 70)
    vectors = publish_vectors(tmp_path, corpus)
    shutil.rmtree(tmp_path / "student")  # not needed to build
    index = build_index(tmp_path, corpus, shards=2)
    manifest = index.manifest
    assert manifest.parents == (vectors.as_parent(), *vectors.manifest.parents)
    assert (manifest.config["dim"], manifest.config["bits"]) == (16, 16)
    assert manifest.notes == ("made up",)
    metrics = manifest.metrics
    assert metrics["items"] == 120
    assert metrics["rows"] == {"image": 50, "text": 70}
    assert metrics["kind"] == "flat"
    assert metrics["recall@10"]["text_to_image"]["float"] == 1
    files = {Path(name).name: 0 for name in manifest.payload}
    for name, payload in manifest.payload.items():
        files[Path(name).name] += payload.bytes
    wanted = files["float.faiss"] + files["codes.faiss"] + files["rows.npy"]
    assert metrics["bytes"]["resident"] == wanted
    assert metrics["headline"]["MiB in memory"] == pytest.approx(wanted / 2**20)


@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("counts", [(0, 0), (0, 1), (2, 0), (1, 2), (80, 3)])
def test_few_and_no_rows(tmp_path: Path, kind: IndexKind, counts: tuple[int, int]) -> None:
    """A new clinic starts with nothing; its index must build and answer."""
    corpus = make_corpus(np.random.default_rng(), *counts)
    index = build_index(tmp_path, corpus, kind=kind, shards=3)
    queries = np.ones((2, 16), np.float32), np.zeros((2, 2), np.uint8)
    shards = load_shards(index)
    for modality, count in zip(MODALITIES, counts, strict=True):
        assert len(load_rows(index, modality)) == count
        for mode in ("float", "binary", "rescore"):
            found = search(shards, modality, *queries, 5, mode)  # type: ignore[arg-type]
            assert (found.rows_QK >= 0).sum() == 2 * min(5, count)
    unmeasured = [note for note in index.manifest.notes if "was not measured" in note]
    assert len(unmeasured) == (2 if 0 in counts else 0)


def test_small_data_is_flat_and_more_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` must give the recall asked for, as fast and as small as it can."""
    corpus = make_corpus(np.random.default_rng(), 500, 600)
    assert build_index(tmp_path, corpus, "small").manifest.metrics["kind"] == "flat"
    monkeypatch.setattr("crossray.index.floats.SMALL_ROWS", 200)
    large = build_index(tmp_path, corpus, "large", target_recall=0.9)
    assert large.manifest.metrics["kind"] == "hnsw"
    for values in large.manifest.metrics["recall@10"].values():
        assert values["float"] >= 0.9
    needs = {
        name: open_artifact(build_index(tmp_path, corpus, name, kind=name, target_recall=0.1).uri)
        .manifest.metrics["bytes"]["resident"]
        for name in KIND_NAMES
    }  # fmt: skip
    assert needs["flat"] < needs["ivf"] < needs["hnsw"]
    for smaller, larger in (("ivf", "hnsw"), ("flat", "ivf")):
        tight = build_index(tmp_path, corpus, f"below-{larger}", memory=f"{needs[larger] - 1500}B")
        assert tight.manifest.metrics["kind"] == smaller
        assert tight.manifest.metrics["bytes"]["resident"] <= needs[larger]
    with pytest.raises(CrossRayError, match=r"no index fits 1.0 KiB: .* flat, needs [\d,]+ bytes"):
        build_index(tmp_path, corpus, "none", memory="1KiB")
    assert not (tmp_path / "none").exists()


def test_falls_back_when_the_recall_is_not_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index below the wanted recall must not be published as if it met it."""
    corpus = make_corpus(np.random.default_rng(), 600, 600, dim=48)
    monkeypatch.setattr("crossray.index.floats.SMALL_ROWS", 10)
    lame = {name: replace(KINDS[name], efforts=(1,)) for name in ("hnsw", "ivf")}
    monkeypatch.setattr("crossray.index.kinds.HNSW_NEIGHBOURS", 2)
    monkeypatch.setattr("crossray.index.kinds.HNSW_CONSTRUCTION", 2)
    for name, kind in lame.items():
        monkeypatch.setitem(KINDS, name, kind)
    index = build_index(tmp_path, corpus, target_recall=0.999)
    assert index.manifest.metrics["kind"] == "flat"
    message = r"ivf reaches recall 0\.\d+ \w+_to_\w+, not the wanted 0.999"
    with pytest.raises(CrossRayError, match=message):
        build_index(tmp_path, corpus, "never", kind="ivf", target_recall=0.999)
    assert not (tmp_path / "never").exists()


def test_effort_grows_until_the_recall_is_met(tmp_path: Path) -> None:
    """A higher target must search harder, and what was found must be what is loaded."""
    corpus = make_corpus(np.random.default_rng(), 1500, 300, dim=32)
    efforts = {}
    for target in (0.2, 0.99):
        index = build_index(tmp_path, corpus, f"t{target}", kind="ivf", target_recall=target)
        efforts[target] = index.manifest.metrics["effort"]
        for modality in MODALITIES:
            measured = index.manifest.metrics["recall@10"][f"{other(modality)}_to_{modality}"]
            assert measured["float"] >= target
            assert load_shard(index, 0).parts[modality].effort == efforts[target][modality]
    assert efforts[0.2]["image"] < efforts[0.99]["image"]


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_bytes_are_known_before_building(tmp_path: Path, kind: IndexKind) -> None:
    """`--memory` is decided by an estimate; it must be what the index takes."""
    corpus = make_corpus(np.random.default_rng(), 3000, 2500, dim=64, bits=64)
    index = build_index(tmp_path, corpus, kind=kind, target_recall=0.01)
    estimate = KINDS[kind].size(3000, 64) + KINDS[kind].size(2500, 64)
    assert index.manifest.metrics["bytes"]["float"] == pytest.approx(estimate, rel=0.02)


def test_the_order_of_kinds() -> None:
    """The fastest comes first; a named kind is never replaced by another."""
    large = {"image": [50_000], "text": [10]}
    assert kinds_to_try("auto", large, 8, 8, None) == ["hnsw", "ivf", "flat"]  # type: ignore[arg-type]
    assert kinds_to_try("ivf", large, 8, 8, None) == ["ivf"]  # type: ignore[arg-type]
    with pytest.raises(CrossRayError, match="smallest of hnsw, hnsw, needs"):
        kinds_to_try("hnsw", large, 8, 8, 50_000 * 2 * 8 + 50_000 * 20)  # type: ignore[arg-type]


def test_the_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`jobs/index.py` must build what its options say and report it."""
    corpus: Corpus = {m: make_side(np.random.default_rng(), 30, 16, 16) for m in MODALITIES}
    publish_vectors(tmp_path, corpus)
    out = str(tmp_path / "index")
    arguments = ["--vectors", str(tmp_path / "vectors"), "--out", out, "--shards", "2"]
    with patch.object(sys, "argv", ["jobs/index.py"]):
        jobs.index_job([*arguments, "--target-recall", "0.9", "--memory", "1MiB"])
    config = open_artifact(out, "index").manifest.config
    assert (config["shards"], config["target_recall"], config["memory"]) == (2, 0.9, "1MiB")
    assert "recall@10 float 1.000 / 1.000" in capsys.readouterr().out
    queries = make_queries(np.random.default_rng(), corpus, 3)
    assert search(load_shards(open_artifact(out)), "image", *queries, 3, "float").rows_QK.min() >= 0
