"""Grounded average precision, from a model and pairs with boxes to the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.explain.explainer import Explainer
from crossray.model_evaluation.scoring import score_corpus
from crossray.models.artifact import load_model
from crossray.models.corpora import pair_corpus
from crossray.stages.evaluate import Evaluate
from support.pairs import phantom_pairs, read_pairs, write_pairs
from support.teachers import untrained_teacher

NAMES = ["grounded_mAP@0.3", "grounded_mAP@0.5", "grounded_mAP@0.7"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with pairs, whose findings have boxes, and an untrained model."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("store")
    untrained_teacher(phantom_pairs(str(folder / "pairs"), 60), str(folder / "teacher"))
    return folder


@pytest.fixture(autouse=True)
def names_are_of_the_store(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain name is one in the store."""
    monkeypatch.setenv("CROSSRAY_STORE", str(store))


def attended(map_YX: np.ndarray) -> tuple[int, int, int, int]:
    """Rows and columns of the box around the largest region, found by flooding."""
    hot = {(int(y), int(x)) for y, x in np.argwhere(map_YX >= 0.2 * map_YX.max())}
    best: set[tuple[int, int]] = set()
    while hot:
        region, edge = set(), [hot.pop()]
        while edge:
            y, x = edge.pop()
            region.add((y, x))
            near = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & hot
            hot -= near
            edge += near
        best = max(best, region, key=len)
    rows, columns = zip(*best, strict=True)
    return min(rows), max(rows) + 1, min(columns), max(columns) + 1


def oracle(model: Artifact, pairs: Artifact) -> dict[float, dict[str, float]]:
    """Text to image by threshold and item: 1 / rank where a box is attended, 0 where none is."""
    explainer, loaded = Explainer(model), load_model(model)
    corpus = pair_corpus(loaded.method.config, pairs, "test", loaded.tokenizer)
    scores = score_corpus(loaded.method, corpus, 100)
    found: dict[float, dict[str, float]] = {0.3: {}, 0.5: {}, 0.7: {}}
    boxes = {row["item_id"]: row["boxes"] for row in read_pairs(pairs).to_pylist()}
    for column, item in enumerate(scores.text_rows_C.tolist()):
        name = corpus.item_ids[item]
        if not boxes[name]:
            continue
        heat = explainer.heat(explainer.images([corpus.picture(item)]), [corpus.text(item, 0)])
        side = explainer.side
        fine = torch.nn.functional.interpolate(heat[:, None], [side, side], mode="bilinear")[0, 0]
        y0, y1, x0, x1 = attended(fine.numpy())
        iou = []
        for box in boxes[name]:  # of square films
            top, bottom, left, right = (box[key] * side for key in ("y0", "y1", "x0", "x1"))
            shared = max(0, min(y1, bottom) - max(y0, top)) * max(0, min(x1, right) - max(x0, left))
            union = (y1 - y0) * (x1 - x0) + (bottom - top) * (right - left) - shared
            iou.append(shared / union)
        order = np.argsort(-scores.text_to_image_NC[:, column], kind="stable").tolist()
        for threshold, values in found.items():
            values[name] = (max(iou) >= threshold) / (1 + order.index(item))
    return found


def test_what_is_found_counts_where_the_model_looked(store: Path) -> None:
    """A model that finds the right film by a wrong place would look as good as one that sees."""
    Evaluate("teacher", "pairs", "report", protocol="hier", grounded=True).run()
    report = open_artifact(str(store / "report"))
    content = json.loads((store / "report" / "report.json").read_text(encoding="utf-8"))
    expected = oracle(open_artifact(str(store / "teacher")), open_artifact(str(store / "pairs")))
    assert expected[0.3], "there are boxes to judge by"
    rows = pq.read_table(store / "report" / "per_query-text_to_image.parquet")
    for name, values in zip(NAMES, expected.values(), strict=True):
        found = rows[name].to_numpy()
        assert sorted(found[~np.isnan(found)]) == pytest.approx(sorted(values.values()))
        for direction in ("image_to_text", "text_to_image"):
            assert 0 <= content["metrics"][direction][name] <= 1
            assert content["baseline"][direction][name] <= 1
        mean = content["metrics"]["text_to_image"][name]
        assert mean == pytest.approx(np.mean(list(values.values())))
    levels = [content["metrics"]["image_to_text"][name] for name in NAMES]
    assert levels == sorted(levels, reverse=True)
    assert report.manifest.config["grounded"] is True
    assert "grounded_mAP@T: relevant is the paired item" in (
        store / "report" / "report.md"
    ).read_text(encoding="utf-8")


def test_a_report_without_it_is_as_before(store: Path) -> None:
    """The ids of reports would change, and old ones could not be compared with new ones."""
    report = Evaluate("teacher", "pairs", "plain", protocol="hier").run()
    assert "grounded" not in report.manifest.config
    assert not any("grounded" in name for name in report.manifest.metrics["text_to_image"])


def test_what_cannot_be_grounded_is_refused(store: Path) -> None:
    """Hours of scoring would end in figures without a meaning."""
    rows = read_pairs(open_artifact(str(store / "pairs"))).to_pylist()
    write_pairs(str(store / "bare"), [{**row, "boxes": []} for row in rows])
    with pytest.raises(CrossRayError, match="has no boxes to ground by"):
        Evaluate("teacher", "bare", "none", protocol="hier", grounded=True).run()
    for options in ({"protocol": "mmdl"}, {"query_labels": "Edema"}):
        with pytest.raises(CrossRayError, match="grounded needs pairs"):
            Evaluate("teacher", "pairs", "none", grounded=True, **options).run()  # type: ignore[arg-type]
