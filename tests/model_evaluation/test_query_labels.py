"""Queries chosen by their labels, as for labels that were held out of training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crossray.core.errors import CrossRayError
from crossray.evaluation import get_protocol
from crossray.model_evaluation.evaluate_model import evaluate_model, evaluate_scores
from crossray.model_evaluation.evaluation_data import RetrievalTask
from crossray.model_evaluation.retrieval_items import label_names
from crossray.model_evaluation.scoring import represent_corpus, score_represented
from support.corpora import RandomCorpus
from support.tiny import TINY

LABELS = [["Edema", "Edema/mild"], ["Mass"], [], ["Mass", "Edema"], ["Hernia"], ["Mass", "Hernia"]]


def corpus_of(texts: int = 1) -> RandomCorpus:
    """Twelve items, each label list twice."""
    corpus = RandomCorpus(12, texts)
    corpus.labels = LABELS * 2
    return corpus


def test_only_items_with_the_labels_ask_and_only_these_make_relevant() -> None:
    """Known findings would hide what a model makes of those that it has never seen."""
    torch.manual_seed(0)
    corpus, protocol = corpus_of(texts=2), get_protocol("hier")
    method = TINY["clip"].build().eval()
    scores = score_represented(method, represent_corpus(method, corpus), 0)
    found = evaluate_scores(scores, corpus, protocol, 0, ["Edema", "Hernia"])
    rows = [n for n, own in enumerate(corpus.labels) if {"Edema", "Hernia"} & set(own)]
    image_to_text, text_to_image = found
    assert image_to_text.query_ids.tolist() == corpus.keys_N[rows].tolist()
    assert text_to_image.query_ids.tolist() == [key for row in rows for key in (row, row)]
    shown = [set(own) & {"Edema", "Edema/mild", "Hernia"} for own in corpus.labels]
    precisions = []
    for row in rows:
        order = np.argsort(-scores.image_to_text_NC[row], kind="stable")
        hits = [bool(shown[row] & shown[scores.text_rows_C[column]]) for column in order]
        found_so_far = np.cumsum(hits)
        precisions.append(np.mean([found_so_far[n] / (n + 1) for n, hit in enumerate(hits) if hit]))
    assert image_to_text.per_query["mAP@all"] == pytest.approx(precisions)
    whole = evaluate_scores(scores, corpus, protocol, 0)[0]
    assert image_to_text.per_query["R@10"].tolist() == whole.per_query["R@10"][rows].tolist()
    assert label_names(corpus, ["Edema", "Hernia"]) == ["Edema", "Edema/mild", "Hernia"]


def test_what_cannot_be_chosen_is_refused() -> None:
    """A label that nobody carries would be reported as found perfectly, or as nan."""
    method, task = TINY["clip"].build().eval(), RetrievalTask(corpus_of(), None)
    with pytest.raises(CrossRayError, match="no item of the split carries the label 'Fracture'"):
        evaluate_model(method, task, get_protocol("hier"), 0, 0, query_labels=["Fracture"])
    with pytest.raises(CrossRayError, match="where scores of images and texts are ranked"):
        evaluate_model(method, task, get_protocol("mmdl"), 0, 0, query_labels=["Mass"])
