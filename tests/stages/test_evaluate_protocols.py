"""A model measured under every protocol, from artifacts to a report."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from crossray.codes import binarise, pack
from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.config import to_dict
from crossray.core.errors import CrossRayError
from crossray.data.corpora.joined import JoinedCorpus
from crossray.data.phantom import PhantomConfig, generate
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.shards import PairWriter
from crossray.data.split import Split
from crossray.data.tokenization import load_tokenizer
from crossray.evaluation import (
    average_precision,
    get_protocol,
    hamming_average_precision,
    mean_over_queries,
    pair,
    recall_at_k,
    same_class,
    share_label,
)
from crossray.methods.config import MethodConfig
from crossray.methods.recipe import TrainConfig
from crossray.methods.student.model import Student
from crossray.model_evaluation.retrieval_items import label_flags, label_names
from crossray.models.artifact import TOKENIZER, WEIGHTS, load_model, method_to_dict, save_weights
from crossray.models.corpora import pair_corpus
from crossray.stages.evaluate import Evaluate
from support.tiny import STUDENT, TINY

ITEMS, DATABASE, BITS = 28, 20, 16


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs with several labels, with one and with none an item; an untrained teacher and student.

    The first two films have no label in `pairs`.
    """
    folder = tmp_path_factory.mktemp("store")
    films = list(generate(PhantomConfig(items=ITEMS + DATABASE), 0, ITEMS + DATABASE))
    split_of = ["test"] * ITEMS + ["train", "val"] * (DATABASE // 2)
    films = [{**row, "split": split} for row, split in zip(films, split_of, strict=True)]
    rows = films[:ITEMS]
    labels = {
        "pairs": lambda number, own: own if number > 1 else [],
        "single": lambda number, own: ["odd" if number % 2 else "even"],
        "bare": lambda number, own: [],
    }
    tables = {
        name: [{**row, "labels": of(n, row["labels"])} for n, row in enumerate(rows)]
        for name, of in labels.items()
    }
    tables["retrieval"] = tables["pairs"] + films[ITEMS:]
    for name, table in tables.items():
        with create(str(folder / name), "pairs", {}) as draft:
            with PairWriter(draft.path) as writer:
                writer.write(pa.Table.from_pylist(table, PAIR_SCHEMA))
            draft.metrics.update(
                labels=sorted({one for row in table for one in row["labels"]}),
                splits=dict(Counter(row["split"] for row in table)),
                images=len(table),
            )
    pairs = open_artifact(str(folder / "pairs"))
    texts = [text for row in rows for text in row["texts"]]
    publish(folder / "teacher", "teacher", TINY["hier"], texts, pairs)
    hashing = replace(STUDENT, bits=BITS)
    publish(folder / "student", "student", hashing, texts, pairs)
    publish(folder / "hashing-teacher", "teacher", hashing, texts, pairs)
    return folder


def publish(path: Path, kind: Any, config: MethodConfig, texts: list[str], pairs: Artifact) -> None:
    """A model as it starts."""
    torch.manual_seed(0)
    tokenizer = load_tokenizer("wordpiece", texts, 200)
    text = replace(config.text, vocab_size=tokenizer.vocab_size, max_tokens=48)
    method = replace(config, text=text)
    manifest = {
        "method": method_to_dict(method),
        "tokenizer": {"max_tokens": 48},
        "train": to_dict(TrainConfig()),
    }
    with create(str(path), kind, manifest, (pairs,)) as draft:
        draft.metrics["best_epoch"] = 1
        save_weights(dict(method.build().state_dict()), draft.path / WEIGHTS)
        tokenizer.save(draft.path / TOKENIZER)


def evaluated(store: Path, **fields: Any) -> dict[str, Any]:
    """The report of an evaluation."""
    name = "-".join(map(str, fields.values()))
    paths = {key: str(store / fields.pop(key)) for key in ("model", "pairs")}
    report = Evaluate(out=str(store / name), **paths, **fields).run()
    written = json.loads((report.local() / "report.json").read_text(encoding="utf-8"))
    for file in ("report.md", "report.html"):
        assert (report.local() / file).is_file()
    directions = list(written["curves"])
    for direction in directions:
        rows = pq.read_table(report.local() / f"per_query-{direction}.parquet")
        assert len(rows) == written["counts"][direction]["queries"]
    assert directions == list(get_protocol(written["protocol"]["name"]).directions)
    return {**written, "manifest": report.manifest}


class Seen:
    """The corpus through the model, all at once."""

    def __init__(
        self,
        store: Path,
        model: str,
        pairs: str,
        splits: tuple[Split, ...] = ("test",),
    ) -> None:
        loaded = load_model(open_artifact(str(store / model)))
        artifact: Artifact = open_artifact(str(store / pairs))
        config, tokenizer = loaded.method.config, loaded.tokenizer
        self.corpus = JoinedCorpus(
            [pair_corpus(config, artifact, split, tokenizer) for split in splits]
        )
        rows = range(len(self.corpus))
        images = self.corpus.collate_images([self.corpus.image(row) for row in rows])
        texts = self.corpus.collate_texts([self.corpus.text(row, 0) for row in rows])
        with torch.inference_mode():
            self.image_ND = loaded.method.encode_image(images).numpy()
            self.text_ND = loaded.method.encode_text(texts).numpy()
            if isinstance(loaded.method, Student):
                hashed = (
                    loaded.method.represent_image(images)["h"],
                    loaded.method.represent_text(texts)["h"],
                )
                self.codes = [pack(binarise(h_NK.numpy())) for h_NK in hashed]
        self.labels = label_flags(self.corpus.labels, label_names(self.corpus))


@pytest.mark.parametrize("model", ["teacher", "student"])
def test_images_for_images_without_the_query(store: Path, model: str) -> None:
    """`mmdl` would rank texts, or find every image by itself."""
    report = evaluated(store, model=model, pairs="pairs", protocol="mmdl")
    seen = Seen(store, model, "pairs")
    others = ~np.eye(ITEMS, dtype=bool)
    scores, relevant = (
        values[others].reshape(ITEMS, -1)
        for values in (
            seen.image_ND @ seen.image_ND.T, share_label(seen.labels, seen.labels),
        )
    )  # fmt: skip
    values = average_precision(scores, relevant, cutoff=10, denominator="found")
    headline = "mAP@10[found]"
    found = report["metrics"]["image_to_image"][headline]
    assert found == pytest.approx(mean_over_queries(values), abs=0.02), "rounding may swap ties"
    assert report["counts"]["image_to_image"]["queries_excluded_without_labels"] == 2
    assert set(report["by_label"]["image_to_image"]) <= {
        n for row in seen.corpus.labels for n in row
    }
    assert report["manifest"].metrics["headline"] == {f"{headline} image to image": found}
    assert "NDCG@10[graded]" in report["metrics"]["image_to_image"]


@pytest.mark.parametrize("held", ["text", "both"])
def test_images_for_items_of_reports(store: Path, held: str) -> None:
    """A database that holds reports would be searched as if it held films."""
    report = evaluated(store, model="teacher", pairs="pairs", protocol="mmdl", held=held)
    seen = Seen(store, "teacher", "pairs")
    database = seen.text_ND if held == "text" else seen.image_ND + seen.text_ND
    database = database / np.linalg.norm(database, axis=1, keepdims=True)
    others = ~np.eye(ITEMS, dtype=bool)
    scores, relevant = (
        values[others].reshape(ITEMS, -1)
        for values in (seen.image_ND @ database.T, share_label(seen.labels, seen.labels))
    )
    values = average_precision(scores, relevant, cutoff=10, denominator="found")
    found = report["metrics"]["image_to_image"]["mAP@10[found]"]
    assert found == pytest.approx(mean_over_queries(values), abs=0.02), "rounding may swap ties"


@pytest.mark.parametrize("model", ["student", "hashing-teacher"])
def test_codes_by_hamming_distance(store: Path, model: str) -> None:
    """`mmach` would rank vectors, or break ties by the order of the database."""
    report = evaluated(store, model=model, pairs="retrieval", protocol="mmach", codes=BITS)
    seen = Seen(store, model, "retrieval", ("test", "train", "val"))
    queries, database = slice(ITEMS), slice(ITEMS, None)
    labels_QC, labels_NC = seen.labels[queries], seen.labels[database]
    for direction, codes in (
        ("image_to_text", seen.codes), ("text_to_image", seen.codes[::-1])
    ):  # fmt: skip
        values = hamming_average_precision(
            codes[0][queries], codes[1][database], labels_QC, labels_NC
        )
        values[np.isnan(values) & labels_QC.any(axis=1)] = 0
        assert report["counts"][direction]["items"] == DATABASE
        assert report["counts"][direction]["queries"] == ITEMS
        assert report["metrics"][direction]["mAP@all"] == pytest.approx(mean_over_queries(values))
        curves = report["curves"][direction]
        assert len(curves["radius"]["recall"]) == BITS + 1
        assert len(curves["top_n"]) == DATABASE


def test_one_class_an_item(store: Path) -> None:
    """`gpldan` would judge by pairs, or miss the mean of its directions."""
    report = evaluated(store, model="teacher", pairs="single", protocol="gpldan", rerank=0)
    seen = Seen(store, "teacher", "single")
    classes = seen.labels.argmax(axis=1)
    relevant = same_class(classes, classes)
    chance = [report["baseline"][d]["mAP@50[found]"] for d in ("image_to_text", "text_to_image")]
    expected = average_precision(
        np.zeros((ITEMS, ITEMS)), relevant, cutoff=50, denominator="found", ties="expected"
    )
    np.testing.assert_allclose(chance, expected.mean())
    metrics = report["metrics"]
    both = [metrics[d]["mAP@50[found]"] for d in ("image_to_text", "text_to_image")]
    assert metrics["mean"]["mAP@50[found]"] == pytest.approx(np.mean(both))
    assert set(report["by_label"]["image_to_text"]) == {"even", "odd"}


@pytest.mark.parametrize(
    ("protocol", "pairs", "metrics"),
    [
        ("cmfg", "bare", {"R@5", "R@10", "median_rank", "mAP@all"}),
        ("flickr", "bare", {"R@1", "R@5", "R@10", "median_rank", "mAP@all"}),
        ("hier", "single", {"R@1", "R@5", "R@10", "median_rank", "mAP@all"}),
    ],
)
def test_pairs_by_scores(store: Path, protocol: str, pairs: str, metrics: set[str]) -> None:
    """The protocols of image-text matching would lose a metric or judge other items."""
    report = evaluated(store, model="student", pairs=pairs, protocol=protocol)
    seen = Seen(store, "student", pairs)
    keys = seen.corpus.keys_N.numpy()
    values = recall_at_k(seen.image_ND @ seen.text_ND.T, pair(keys, keys), 5)
    for direction in ("image_to_text", "text_to_image"):
        assert set(report["metrics"][direction]) == metrics
    assert report["metrics"]["image_to_text"]["R@5"] == pytest.approx(values.mean(), abs=0.08)
    assert bool(report["by_label"]) == (pairs != "bare")
    assert report["curves"]["image_to_text"]["k"][:5] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("protocol", "other"), [("hier", "image_to_text"), ("mmdl", "image_to_image")]
)
def test_lookup_of_codes_under_other_protocols(store: Path, protocol: str, other: str) -> None:
    """Codes measured in place of vectors would lack the curves of hash lookup."""
    report = evaluated(store, model="student", pairs="pairs", protocol=protocol, codes=BITS)
    assert report["curves"][other]["radius"]["recall"][-1] == pytest.approx(1)
    items = ITEMS - (protocol == "mmdl")
    assert len(report["curves"][other]["top_n"]) == items


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"protocol": "mmach"}, "ranks codes by their Hamming distance; give a model"),
        ({"protocol": "mmach", "model": "teacher", "codes": BITS}, "has no codes"),
        ({"protocol": "mmach", "codes": BITS, "rescore": 5}, "rescores nothing"),
        ({"protocol": "mmach", "codes": BITS}, "searches the splits other than test"),
        ({"protocol": "mmdl", "pairs": "bare"}, "have no labels"),
        ({"protocol": "gpldan", "pairs": "bare"}, "have no labels"),
        ({"protocol": "gpldan"}, "exactly one label an item"),
        ({"protocol": "mmdl", "codes": BITS, "rescore": 5}, "rescores nothing"),
        ({"protocol": "heir"}, "no evaluation protocol 'heir'"),
        ({"protocol": "hier", "held": "text"}, "leave held out"),
    ],
    ids=str,
)
def test_what_a_protocol_lacks_is_said_before_anything_is_scored(
    store: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], message: str
) -> None:
    """Hours of scoring would end in an error, or in a number that means something else."""
    monkeypatch.setattr("crossray.model_evaluation.scoring.represent_corpus", None)
    given = {"model": "student", "pairs": "pairs", **fields}
    paths = {key: str(store / given.pop(key)) for key in ("model", "pairs")}
    with pytest.raises(CrossRayError, match=message) as caught:
        Evaluate(out=str(store / "refused"), **paths, **given).run()
    assert str(caught.value).count(". ") == 0, "one sentence"
    assert not (store / "refused").exists()
