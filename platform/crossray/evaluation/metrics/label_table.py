"""How well each label alone is answered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossray.evaluation.metrics.arrays import Bools, Floats, Ints


@dataclass(frozen=True)
class LabelTable:
    """One row a label of the vocabulary.

    `ap_C` is the mean of `metric` over the queries that carry the label where relevant is every
    item that carries it, and `chance_C` its expectation under a random ranking; `protocol_ap_C` is
    the mean over the same queries under the protocol's own relevance. `queries_C` counts the
    queries judged, `items_C` the items of the database that carry the label. NaN for a label that
    no query or no item carries.
    """

    metric: str
    queries_C: Ints
    items_C: Ints
    ap_C: Floats
    chance_C: Floats
    protocol_ap_C: Floats

    def rows(self, names: list[str]) -> dict[str, dict[str, float | int | None]]:
        """The judged labels by name, the most frequent among the queries first."""
        order_C = sorted(range(len(names)), key=lambda c: (-int(self.queries_C[c]), names[c]))
        return {
            names[c]: {
                "queries": int(self.queries_C[c]),
                "items": int(self.items_C[c]),
                "ap": _number(self.ap_C[c]),
                "chance": _number(self.chance_C[c]),
                "protocol_ap": _number(self.protocol_ap_C[c]),
            }
            for c in order_C
            if self.queries_C[c]
        }


def label_table(
    metric: str,
    ap_QC: Floats,
    labels_QC: Bools,
    labels_NC: Bools,
    expected_C: Floats,
    protocol_ap_Q: Floats,
) -> LabelTable:
    """Reduce the average precisions of the queries, NaN where one does not carry the label."""
    judged_QC = ~np.isnan(ap_QC)
    queries_C = judged_QC.sum(axis=0)
    some_C = np.where(queries_C > 0, queries_C, np.nan)
    scored_QC = labels_QC & ~np.isnan(protocol_ap_Q)[:, None]
    scored_C = scored_QC.sum(axis=0)
    return LabelTable(
        metric=metric,
        queries_C=queries_C,
        items_C=labels_NC.sum(axis=0),
        ap_C=np.nansum(ap_QC, axis=0) / some_C,
        chance_C=np.where(queries_C > 0, expected_C, np.nan),
        protocol_ap_C=np.nan_to_num(protocol_ap_Q)
        @ scored_QC
        / np.where(scored_C > 0, scored_C, np.nan),
    )


def _number(value: np.floating | float) -> float | None:
    return None if np.isnan(value) else float(value)
