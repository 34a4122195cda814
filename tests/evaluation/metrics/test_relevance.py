"""Relevance rules against loops over their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation import graded, pair, rare_labels, same_class, share_label


def test_pair_finds_every_caption_of_an_image_and_never_the_diagonal() -> None:
    """Recall of images with several captions, in any row order, would be wrong."""
    images = ["b", "a", "c"]
    captions = ["a", "a", "b", "c", "b", "a", "unpaired"]
    expected = np.array([[image == caption for caption in captions] for image in images])
    np.testing.assert_array_equal(pair(images, captions), expected)
    np.testing.assert_array_equal(pair(captions, images), expected.T)


def test_same_class_compares_numbers_and_names() -> None:
    """Data sets with one class an item would be judged wrongly."""
    rng = np.random.default_rng(0)
    query, item = rng.integers(0, 4, 9), rng.integers(0, 4, 11)
    expected = np.array([[q == x for x in item] for q in query])
    np.testing.assert_array_equal(same_class(query, item), expected)
    np.testing.assert_array_equal(same_class(query.astype(str), item.astype(str)), expected)


def test_label_rules_count_common_labels_and_ignore_unlabelled_items() -> None:
    """An item without findings would count as similar to every other one without findings."""
    rng = np.random.default_rng(1)
    query, item = rng.random((8, 5)) < 0.3, rng.random((13, 5)) < 0.3
    query[2] = item[4] = False
    expected = np.array([[sum(q & x) for x in item] for q in query])
    np.testing.assert_array_equal(graded(query, item), expected)
    np.testing.assert_array_equal(share_label(query, item), expected > 0)
    assert not share_label(query, item)[2].any()
    assert not share_label(query, item)[:, 4].any()


def test_rare_labels_are_carried_by_some_items_but_by_few() -> None:
    """The rare-label score would mix in common labels, or labels that no item carries."""
    labels = np.zeros((10, 4), dtype=bool)
    labels[:1, 0] = labels[:2, 1] = labels[:9, 2] = True
    np.testing.assert_array_equal(rare_labels(labels), [True, False, False, False])
    np.testing.assert_array_equal(rare_labels(labels, below=0.21), [True, True, False, False])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pair([["a"]], ["a"]), "flat lists"),
        (lambda: pair([1, 2], ["1", "2"]), "never match"),
        (lambda: share_label(np.ones((2, 3)), np.ones((2, 3), bool)), "boolean"),
        (lambda: share_label(np.ones((2, 3), bool), np.ones((2, 4), bool)), "one vocabulary"),
        (lambda: graded(np.ones(3, bool), np.ones((2, 3), bool)), "boolean matrix"),
    ],
)
def test_keys_and_labels_that_do_not_fit_are_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    """Silent broadcasting would turn a mix-up of inputs into a plausible score."""
    with pytest.raises(CrossRayError, match=message):
        call()
