"""Labels for rows without any, read from their texts at ingest."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from crossray.data.report_labels.lexicon import lexicon
from crossray.data.report_labels.report import Policy, labels_of, read_sentences, report_findings
from crossray.data.schema import PairRow
from crossray.data.sources.source import Plan, Reader

LABELS_FROM = "labels_from"
REPORT = "report"


def with_labels(plan: Plan, policy: Policy) -> Plan:
    """The plan with a reader that labels reports."""
    return replace(plan, reader=LabellingReader(plan.reader, policy))


def labelling_identity(policy: Policy) -> dict[str, Any]:
    """What the artifact's configuration says of the labelling."""
    return {"label_reports": {"uncertain": policy, "lexicon": lexicon().version}}


@dataclass(frozen=True)
class LabellingReader:
    """Another importer's reader, with labels for the rows that have texts and no labels."""

    reader: Reader
    policy: Policy

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The raw rows of the other reader."""
        return self.reader.read(unit)

    def row(self, raw: Any) -> PairRow:
        """The pair of a raw row; raises `Rejected`."""
        return with_report_labels(self.reader.row(raw), self.policy)


def with_report_labels(row: PairRow, policy: Policy) -> PairRow:
    """`row` with the labels of its report and `meta["labels_from"] = "report"`.

    A row that has labels, or whose texts give none, stays as it is.
    """
    if row.get("labels"):
        return row
    sentences = read_sentences(row.get("texts", ()), row.get("sections", ()))
    labels = labels_of(report_findings(sentences), policy)
    if not labels:
        return row
    return {**row, "labels": labels, "meta": {**row.get("meta", {}), LABELS_FROM: REPORT}}
