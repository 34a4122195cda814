"""One direction of an evaluation against the metrics it is made of, and against simulation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation import (
    DirectionResult,
    average_precision,
    evaluate_direction,
    first_relevant_rank,
    get_protocol,
    pair,
    precision_at_k,
    rare_labels,
    recall_at_k,
    recall_fraction,
    share_label,
)
from crossray.evaluation.metrics import arrays as evaluation_arrays

HIER, FLICKR = get_protocol("hier"), get_protocol("flickr")


@dataclass(frozen=True)
class Corpus:
    """Twenty images with one to three captions each in shuffled order; two images lack labels."""

    scores: np.ndarray
    image_ids: np.ndarray
    caption_ids: np.ndarray
    image_labels: np.ndarray
    caption_labels: np.ndarray

    def evaluate(self, protocol: Any = HIER, **args: Any) -> DirectionResult:
        """Image queries over the captions."""
        return evaluate_direction(
            **{
                "ranked": self.scores,
                "query_ids": self.image_ids,
                "item_ids": self.caption_ids,
                "query_labels": self.image_labels,
                "item_labels": self.caption_labels,
                "protocol": protocol,
                "resamples": 200,
                **args,
            }
        )


@pytest.fixture
def corpus() -> Corpus:
    """A fresh small corpus with common and rare labels."""
    rng = np.random.default_rng(20)
    ids = np.array([f"image-{i:02d}" for i in range(20)])
    labels = rng.random((20, 6)) < [0.6, 0.5, 0.4, 0.12, 0.1, 0.08]
    labels[[4, 9]] = False
    labels[0, 3:] = labels[1, 3:] = True
    of_caption = rng.permutation(np.repeat(np.arange(20), rng.integers(1, 4, size=20)))
    scores = rng.normal(size=(20, len(of_caption)))
    scores += 1.5 * (np.arange(20)[:, None] == of_caption)
    return Corpus(scores, ids, ids[of_caption], labels, labels[of_caption])


def test_headlines_are_the_means_of_the_metrics(corpus: Corpus) -> None:
    """A report would not say what the metric functions compute."""
    result = corpus.evaluate()
    paired = pair(corpus.image_ids, corpus.caption_ids)
    shared = share_label(corpus.image_labels, corpus.caption_labels)
    for k in (1, 5, 10):
        assert result.metrics[f"R@{k}"] == recall_at_k(corpus.scores, paired, k).mean()
    ranks = first_relevant_rank(corpus.scores, paired)
    assert result.metrics["median_rank"] == np.median(ranks)
    np.testing.assert_array_equal(result.per_query["median_rank"], ranks)
    precisions = average_precision(corpus.scores, shared)
    assert result.metrics["mAP@all"] == pytest.approx(np.nanmean(precisions))
    np.testing.assert_array_equal(result.per_query["mAP@all"], precisions)
    assert np.isnan(precisions[[4, 9]]).all()
    assert result.counts == {
        "queries": 20,
        "items": len(corpus.caption_ids),
        "queries_without_relevant_item": 0,
        "queries_excluded_without_labels": 2,
    }
    np.testing.assert_array_equal(result.query_ids, corpus.image_ids)


def test_rare_labels_are_judged_alone_beside_the_random_ranking(corpus: Corpus) -> None:
    """Common findings would hide that rare ones are not found."""
    rare = rare_labels(corpus.caption_labels)
    assert 0 < rare.sum() < 6
    result = corpus.evaluate(label_subset=rare)
    relevant = share_label(corpus.image_labels[:, rare], corpus.caption_labels[:, rare])
    expected = average_precision(corpus.scores, relevant)
    assert result.metrics["mAP@all[rare]"] == pytest.approx(np.nanmean(expected))
    rng = np.random.default_rng(21)
    simulated = [
        np.nanmean(average_precision(rng.random(corpus.scores.shape), relevant))
        for _ in range(1500)
    ]
    at_random = result.metrics["mAP@all[rare] random"]
    assert at_random == pytest.approx(np.mean(simulated), rel=0.02)
    constant = average_precision(np.zeros(corpus.scores.shape), relevant, ties="expected")
    assert at_random == pytest.approx(np.nanmean(constant))
    assert result.baseline["mAP@all[rare]"] == at_random
    assert result.counts["queries_with_rare_labels"] == corpus.image_labels[:, rare].any(1).sum()


def test_each_rare_label_counts_the_same(corpus: Corpus) -> None:
    """A finding of three studies would drown in one of a hundred."""
    name = "mAP@all[rare, by label]"
    rare = rare_labels(corpus.caption_labels)
    result = corpus.evaluate(label_subset=rare)

    def mean_over_labels(scores: np.ndarray) -> float:
        means = []
        for label in np.flatnonzero(rare):
            queries = scores[corpus.image_labels[:, label]]
            relevant = np.tile(corpus.caption_labels[:, label], (len(queries), 1))
            if len(queries):
                means.append(average_precision(queries, relevant).mean())
        return float(np.mean(means))

    assert result.metrics[name] == pytest.approx(mean_over_labels(corpus.scores))
    carrying = corpus.image_labels[:, rare].any(axis=1)
    np.testing.assert_array_equal(np.isnan(result.per_query[name]), ~carrying)
    rng = np.random.default_rng(22)
    simulated = [mean_over_labels(rng.random(corpus.scores.shape)) for _ in range(1500)]
    assert result.metrics[f"{name} random"] == pytest.approx(np.mean(simulated), rel=0.02)
    low, high = result.intervals[name]
    assert low < result.metrics[name] < high


def test_a_subset_that_no_query_carries_is_only_counted(corpus: Corpus) -> None:
    """The report would hold NaN, which JSON has no word for."""
    result = corpus.evaluate(label_subset=np.zeros(6, dtype=bool))
    assert not any("rare" in name for name in result.metrics | result.intervals)
    assert result.counts["queries_with_rare_labels"] == 0


def test_chance_is_what_random_rankings_score(corpus: Corpus) -> None:
    """A model that learned nothing would seem to have learned something."""
    baseline = corpus.evaluate().baseline
    paired = pair(corpus.image_ids, corpus.caption_ids)
    shared = share_label(corpus.image_labels, corpus.caption_labels)
    rng = np.random.default_rng(22)
    draws = [rng.random(corpus.scores.shape) for _ in range(1500)]
    for k in (1, 5, 10):
        simulated = np.mean([recall_at_k(scores, paired, k) for scores in draws])
        assert baseline[f"R@{k}"] == pytest.approx(simulated, rel=0.05)
    simulated = np.mean([np.nanmean(average_precision(scores, shared)) for scores in draws])
    assert baseline["mAP@all"] == pytest.approx(simulated, rel=0.02)
    ranks = np.mean([first_relevant_rank(scores, paired) for scores in draws], axis=0)
    assert baseline["median_rank"] == pytest.approx(np.median(ranks), rel=0.05)


def test_intervals_hold_the_headlines_and_repeat_with_the_seed(corpus: Corpus) -> None:
    """The uncertainty of a result would be wrong or change from run to run."""
    result = corpus.evaluate(seed=3)
    for name, (low, high) in result.intervals.items():
        assert low <= result.metrics[name] <= high
    low, high = result.intervals["mAP@all"]
    assert low < high
    assert corpus.evaluate(seed=3).intervals == result.intervals
    assert corpus.evaluate(seed=4).intervals != result.intervals


def test_captions_of_one_image_are_resampled_together(corpus: Corpus) -> None:
    """Five captions an image would make text-to-image results look too certain."""
    few = corpus.evaluate()
    copies = np.repeat(np.arange(20), 5)
    many = corpus.evaluate(
        ranked=corpus.scores[copies],
        query_ids=corpus.image_ids[copies],
        query_labels=corpus.image_labels[copies],
    )
    for name, interval in few.intervals.items():
        np.testing.assert_allclose(many.intervals[name], interval)


def test_blocks_of_scores_give_what_the_matrix_gives(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large databases, whose score matrix never exists as a whole, would be judged differently."""
    whole = corpus.evaluate(label_subset=rare_labels(corpus.caption_labels))
    monkeypatch.setattr(evaluation_arrays, "BLOCK_ELEMENTS", 100)
    asked = []

    def block(start: int, stop: int) -> np.ndarray:
        asked.append((start, stop))
        return corpus.scores[start:stop]

    result = corpus.evaluate(ranked=block, label_subset=rare_labels(corpus.caption_labels))
    assert len(asked) > 5
    assert max(stop - start for start, stop in asked) * len(corpus.caption_ids) <= 100
    assert (result.metrics, result.baseline) == (whole.metrics, whole.baseline)
    np.testing.assert_array_equal(result.curves.hit_rate, whole.curves.hit_rate)


def test_curves_are_the_metrics_at_each_rank(corpus: Corpus) -> None:
    """The plots of a report would not belong to its table."""
    curves = corpus.evaluate().curves
    paired = pair(corpus.image_ids, corpus.caption_ids)
    shared = share_label(corpus.image_labels, corpus.caption_labels)
    assert (curves.k[0], curves.k[-1]) == (1, len(corpus.caption_ids))
    for i, k in enumerate(curves.k.tolist()):
        assert curves.hit_rate[i] == recall_at_k(corpus.scores, paired, k).mean()
        found = recall_fraction(corpus.scores, shared, k)
        assert curves.recall[i] == pytest.approx(np.nanmean(found))
        precision = precision_at_k(corpus.scores, shared, k)[~np.isnan(found)]
        assert curves.precision[i] == pytest.approx(precision.mean())
    constant = np.zeros_like(corpus.scores)
    chance = [recall_at_k(constant, paired, int(k), ties="expected").mean() for k in curves.k]
    np.testing.assert_allclose(curves.hit_rate_at_random, chance)


def test_queries_without_a_pair_are_skipped_or_count_as_zero(corpus: Corpus) -> None:
    """The rule for empty queries that a protocol names would not be followed."""
    ids = corpus.image_ids.copy()
    ids[:5] = [f"unknown-{i}" for i in range(5)]
    skipped = corpus.evaluate(FLICKR, query_ids=ids)
    zeroed = corpus.evaluate(replace(FLICKR, empty="zero"), query_ids=ids)
    assert skipped.counts["queries_without_relevant_item"] == 5
    for name in ("R@1", "R@10", "mAP@all"):
        assert np.isnan(skipped.per_query[name][:5]).all()
        assert zeroed.metrics[name] == pytest.approx(skipped.metrics[name] * 15 / 20)
    # An empty query has no rank that could stand in for that of its best positive.
    assert np.isnan(zeroed.per_query["median_rank"][:5]).all()
    assert zeroed.metrics["median_rank"] == np.median(zeroed.per_query["median_rank"][5:])


def test_unlabelled_queries_are_excluded_even_where_empty_queries_count(corpus: Corpus) -> None:
    """Healthy studies without findings would pull mAP down as if the model had failed on them."""
    labels = corpus.image_labels.copy()
    labels[7] = [False, False, False, False, False, True]
    database = corpus.caption_labels & [True, True, True, True, True, False]
    result = corpus.evaluate(replace(HIER, empty="zero"), query_labels=labels, item_labels=database)
    values = result.per_query["mAP@all"]
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(values)), [4, 9])
    assert values[7] == 0


def test_a_cutoff_is_reported_with_its_denominator_beside_map_at_all(corpus: Corpus) -> None:
    """A bare mAP@R, whose values differ several-fold between denominators, would be reported."""
    protocol = replace(HIER, metrics=(*HIER.metrics, "mAP@7[found]"), ties="expected")
    result = corpus.evaluate(protocol)
    shared = share_label(corpus.image_labels, corpus.caption_labels)
    expected = average_precision(
        corpus.scores, shared, cutoff=7, denominator="found", ties="expected"
    )
    assert result.metrics["mAP@7[found]"] == pytest.approx(np.nanmean(expected))
    assert "mAP@all" in result.metrics


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_labels": None}, "queries have no labels"),
        ({"item_labels": None}, "items have no labels"),
        ({"query_labels": np.ones((3, 6), dtype=bool)}, "3 label rows for 20 queries"),
        ({"label_subset": np.ones(5, dtype=bool)}, "one boolean for each of the 6 labels"),
        ({"ranked": np.zeros((20, 3))}, "shape"),
        ({"ranked": np.zeros((21, 40))}, "queries 0 to 20 have the shape"),
        ({"ranked": lambda start, stop: np.zeros((stop - start, 3))}, "for [0-9]+ items"),
        (
            {"query_ids": np.array([f"other-{i}" for i in range(20)])},
            "no query has a relevant item",
        ),
        ({"query_labels": np.zeros((20, 6), dtype=bool)}, "no query has a relevant item"),
        (
            {"query_ids": np.array([], dtype=str), "ranked": np.zeros((0, 40))},
            "nothing to evaluate",
        ),
        ({"item_ids": [], "ranked": np.zeros((20, 0))}, "nothing to evaluate"),
    ],
)
def test_inputs_that_cannot_be_judged_are_refused(
    corpus: Corpus, change: dict[str, Any], message: str
) -> None:
    """A mix-up of ids or labels would be reported as a bad model."""
    with pytest.raises(CrossRayError, match=message):
        corpus.evaluate(**change)


def test_pairs_need_no_labels(corpus: Corpus) -> None:
    """Captioned images without labels could not be evaluated."""
    result = corpus.evaluate(FLICKR, query_labels=None, item_labels=None)
    paired = pair(corpus.image_ids, corpus.caption_ids)
    assert result.metrics["mAP@all"] == pytest.approx(
        average_precision(corpus.scores, paired).mean()
    )
