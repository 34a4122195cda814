"""Labels of radiology reports by rule: the 14 findings of CheXpert.

After the task of Irvin et al. 2019 (CheXpert), section 3: find mentions, judge each by the words
around it, and gather the sentences of a report. The lexicon is this project's own.
"""

from crossray.data.report_labels.lexicon import Status, lexicon
from crossray.data.report_labels.report import (
    Policy,
    finding_names,
    labels_of,
    read_sentences,
    report_findings,
)
from crossray.data.report_labels.sentence import sentence_findings

__all__ = [
    "Policy",
    "Status",
    "finding_names",
    "labels_of",
    "lexicon",
    "read_sentences",
    "report_findings",
    "sentence_findings",
]
