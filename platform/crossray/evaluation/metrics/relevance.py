"""Relevance rules: which database items answer a query. One named rule an evaluation."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.arrays import Bools, Ints, as_bools

# Rules for items of few labels: below this share of the items a label counts as rare.
RARE_BELOW = 0.20


def pair(query_keys: ArrayLike, item_keys: ArrayLike) -> Bools:
    r"""Relevant are the items paired with the query: $rel(q, x) = [key_q = key_x]$.

    The keys [Q] and [N] are the ids of the pairs that queries and items belong to. Several
    captions of one image carry the same key, so any of them answers the image, and each of them
    has that image as its answer. Returns bool [Q, N]. Raises CrossRayError when keys are not
    one-dimensional or of two kinds.
    """
    return _equal("pair", query_keys, item_keys)


def same_class(query_classes: ArrayLike, item_classes: ArrayLike) -> Bools:
    r"""Relevant are the items of the query's single class: $rel(q, x) = [y_q = y_x]$.

    Classes [Q] and [N] are names or numbers. Returns bool [Q, N]; raises as `pair` does.
    """
    return _equal("same_class", query_classes, item_classes)


def share_label(labels_QC: ArrayLike, labels_NC: ArrayLike) -> Bools:
    r"""Relevant are the items with a label in common: $rel(q, x) = [|L_q \cap L_x| \ge 1]$.

    The labels are boolean matrices over one vocabulary of C labels; a row without any label is
    relevant to nothing and nothing is relevant to it. Returns bool [Q, N]. Raises CrossRayError
    when they are not boolean or their vocabularies differ in size.
    """
    shared: Bools = graded(labels_QC, labels_NC) > 0
    return shared


def graded(labels_QC: ArrayLike, labels_NC: ArrayLike) -> Ints:
    r"""Gain of an item: the number of common labels, $g(q, x) = |L_q \cap L_x|$.

    For gain-weighted analysis such as NDCG only, never for average precision. Returns int [Q, N];
    raises as `share_label` does.
    """
    query_QC = as_bools("the queries' labels", labels_QC)
    item_NC = as_bools("the items' labels", labels_NC)
    if query_QC.shape[1] != item_NC.shape[1]:
        raise CrossRayError(
            f"the queries have {query_QC.shape[1]} label columns and the items "
            f"{item_NC.shape[1]}: encode both over one vocabulary."
        )
    # Products of 0/1 floats are exact and, unlike products of integers, run in BLAS.
    return (query_QC.astype(np.float32) @ item_NC.astype(np.float32).T).astype(np.int64)


def rare_labels(labels_NC: ArrayLike, below: float = RARE_BELOW) -> Bools:
    """Return bool [C]: the labels carried by some of the items but by less than `below` of them."""
    share_C = as_bools("the items' labels", labels_NC).mean(axis=0)
    rare_C: Bools = (share_C > 0) & (share_C < below)
    return rare_C


def without_own(values_BN: NDArray[Any], own_B: Ints) -> NDArray[Any]:
    """Return the values [B, N - 1] of all items but that of each query, in the database's order.

    `own_B` are the columns of the queries themselves.
    """
    other_BN = np.ones(values_BN.shape, dtype=bool)
    other_BN[np.arange(len(own_B)), own_B] = False
    return values_BN[other_BN].reshape(len(own_B), -1)


def own_columns(rows: slice) -> Ints:
    """The columns [B] of the queries of a slice: query i is item i."""
    return np.arange(rows.start, rows.stop)


def check_same_items(query_ids: NDArray[Any], item_ids: NDArray[Any]) -> None:
    """Raise CrossRayError unless the queries are the database, row by row, with two items."""
    if not np.array_equal(query_ids, item_ids) or len(item_ids) < 2:
        raise CrossRayError(
            f"leave-one-out takes each query out of a database of at least 2 items that are the "
            f"queries, row by row, but there are {len(query_ids)} queries and {len(item_ids)} "
            f"items, or their ids differ: pass the same items as both."
        )


def _equal(rule: str, query_keys: ArrayLike, item_keys: ArrayLike) -> Bools:
    query_Q, item_N = np.asarray(query_keys), np.asarray(item_keys)
    if query_Q.ndim != 1 or item_N.ndim != 1:
        raise CrossRayError(
            f"{rule} needs one key a query and one a database item, not arrays of shape "
            f"{query_Q.shape} and {item_N.shape}: pass two flat lists."
        )
    if (query_Q.dtype.kind in "iu") != (item_N.dtype.kind in "iu"):
        raise CrossRayError(
            f"{rule} got query keys of type {query_Q.dtype} and item keys of type "
            f"{item_N.dtype}, which never match: use numbers for both or strings for both."
        )
    code = np.unique(np.concatenate([query_Q, item_N]), return_inverse=True)[1]
    equal: Bools = code[: len(query_Q), None] == code[None, len(query_Q) :]
    return equal
