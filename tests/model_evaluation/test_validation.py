"""What `train.select_by` is measured by while a model trains, against the metrics themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from crossray.codes import binarise, pack
from crossray.core.errors import CrossRayError
from crossray.evaluation import (
    average_precision,
    get_protocol,
    hamming_average_precision,
    mean_over_queries,
    pair,
    precision_at_k,
    reciprocal_rank,
    share_label,
)
from crossray.methods.contract import Hashing
from crossray.model_evaluation.evaluate_model import evaluate_model
from crossray.model_evaluation.evaluation_data import RetrievalTask
from crossray.model_evaluation.retrieval_items import label_flags, label_names
from crossray.model_evaluation.scoring import represent_corpus, score_corpus
from crossray.model_evaluation.validation import Quality, validate
from crossray.models.code_scorer import CodeScorer
from crossray.recipes import get_recipe
from support.corpora import RandomCorpus
from support.tiny import TINY, training_set

USUAL = ["R@10", "mAP@all", "mAP@50[found]"]
Values = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
ADDED: dict[str, Values] = {
    "MRR": lambda scores, paired, _: reciprocal_rank(scores, paired),
    "P@3": lambda scores, _, shared: precision_at_k(scores, shared, 3),
    "mAP@5[min]": lambda scores, _, shared: average_precision(scores, shared, 5, "min"),
}


def corpus_of(labels: bool = True) -> RandomCorpus:
    """Fourteen items with two texts each, of four labels."""
    corpus = RandomCorpus(14, 2)
    corpus.labels = [[f"l{row % 4}", f"l{row % 3}"] if labels else [] for row in range(14)]
    return corpus


def quality(name: str, corpus: RandomCorpus, select_by: str = "last") -> Quality:
    """Of the first twelve items."""
    torch.manual_seed(0)
    return validate(TINY[name].build(), corpus, 12, 0, "cpu", torch.float32, select_by)


@pytest.mark.parametrize("select_by", ADDED)
def test_an_epoch_is_judged_by_any_metric(select_by: str) -> None:
    """A run would keep weights by another number than a report of them shows."""
    corpus = corpus_of()
    found = quality("clip", corpus, select_by)
    torch.manual_seed(0)
    scores = score_corpus(TINY["clip"].build(), corpus, 0, 12)
    rows, labels = scores.text_rows_C, label_flags(corpus.labels, label_names(corpus))[:12]
    paired, shared = pair(np.arange(12), rows), share_label(labels, labels[rows])
    both = {
        "image_to_text": (scores.image_to_text_NC, paired, shared),
        "text_to_image": (scores.text_to_image_NC.T, paired.T, shared.T),
    }
    for direction, matrices in both.items():
        assert list(found[direction]) == [*USUAL, select_by]
        expected = mean_over_queries(ADDED[select_by](*matrices))
        assert found[direction][select_by] == pytest.approx(expected)


@pytest.mark.parametrize("select_by", ["last", "R@10", "mAP@all"])
def test_what_is_measured_in_every_run(select_by: str) -> None:
    """Manifests of new models could not be compared with those of old ones."""
    assert list(quality("clip", corpus_of(), select_by)["image_to_text"]) == USUAL
    bare = quality("clip", corpus_of(labels=False), "last")
    assert [list(part) for part in bare.values()] == [["R@10"], ["R@10"]]


def test_codes_are_judged_by_distance() -> None:
    """MMACH would keep an epoch by its cosines and be measured by its codes."""
    corpus = corpus_of()
    found = quality("mmach", corpus, "hamming:mAP@all")
    assert list(found["image_to_text"]) == [*USUAL, "hamming:mAP@all"]
    torch.manual_seed(0)
    method = TINY["mmach"].build()
    assert isinstance(method, Hashing)
    represented = represent_corpus(method, corpus, 12)
    image, text = (
        pack(binarise(torch.cat([block["h"] for block in part]).numpy()))
        for part in (represented.images, represented.texts)
    )
    labels = label_flags(corpus.labels, label_names(corpus))[:12]
    oracle = hamming_average_precision(image, text, labels, labels[represented.text_rows_C])
    assert found["image_to_text"]["hamming:mAP@all"] == pytest.approx(oracle.mean())

    every = validate(method, corpus, 14, 0, "cpu", torch.float32, "hamming:mAP@all")
    protocol = replace(get_protocol("mmach"), database="same")
    report = evaluate_model(CodeScorer(method), RetrievalTask(corpus, None), protocol, 0, 0)
    for direction, result in zip(protocol.directions, report.results, strict=True):
        assert every[direction]["hamming:mAP@all"] == result.metrics["mAP@all"]


@pytest.mark.parametrize(
    ("recipe", "select_by", "message"),
    [
        ("hier_tiny", "F1", "there is no metric 'F1'"),
        ("hier_tiny", "mAP@10", "variant of 'mAP@10'"),
        ("hier_tiny", "median_rank", "a smaller rank is the better one"),
        ("hier_tiny", "hamming:mAP@all", "only codes of images and texts"),
        ("mmach_tiny", "hamming:R@x", "cut-off of 'R@x'"),
        ("mmach_tiny", "hamming:NDCG@5[graded]", "without NDCG"),
        ("mmdl_tiny", "MRR", "judged by labels in common"),
        ("mmdl_tiny", "hamming:mAP@all", "only codes of images and texts"),
    ],
)
def test_what_no_epoch_can_be_judged_by_is_refused(
    recipe: str, select_by: str, message: str
) -> None:
    """The mistake would surface after the first epoch."""
    found = get_recipe(recipe)
    found = replace(found, train=replace(found.train, select_by=select_by))
    with pytest.raises(CrossRayError, match=message):
        found.check()


@pytest.mark.parametrize(
    ("recipe", "select_by"),
    [("hier_tiny", "MRR"), ("hier_tiny", "NDCG@10[graded]"), ("mmdl_tiny", "mAP@all"),
     ("mmach_tiny", "hamming:mAP@50[found]"), ("mmach_tiny", "hamming:MRR")],
)  # fmt: skip
def test_recipes_take_any_metric(recipe: str, select_by: str) -> None:
    """A new metric would have to be added to the recipes too."""
    found = get_recipe(recipe)
    replace(found, train=replace(found.train, select_by=select_by)).check()


def test_a_model_in_training_is_judged_by_the_codes_it_will_publish() -> None:
    """MMACH's networks make codes; what trains them has none, and a run would end there."""
    torch.manual_seed(0)
    training = TINY["mmach"].build().prepare(training_set())
    found = validate(training, corpus_of(), 12, 0, "cpu", torch.float32, "hamming:mAP@all")
    published = training.published_method()
    expected = validate(published, corpus_of(), 12, 0, "cpu", torch.float32, "hamming:mAP@all")
    assert found == expected
