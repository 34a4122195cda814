"""The report labeller compared with the indexing of the Open-i chest X-ray reports.

    python benchmarks/report_labels.py --reports NLMCXR_reports.tgz

The archive holds 3,955 reports as XML, each indexed by hand with MeSH terms and a few labels
of the collection (`MeSH/major`, as `Pleural Effusion/left/small`). A report carries a finding when
one of its terms begins as `INDEXED` says. The indexers also coded what a report only suspects
("Cardiomegaly/borderline" for a borderline heart, "Pneumonia" for a pneumonia that is not
excluded), without a separate mark: every term counts as present, so that U-Ones is the policy
that is like the reference, and U-Zeros is shown as well. Reports marked `No Indexing` and reports
without findings and impression are left out. The lexicon was written with an eye on reports of even
number; those of odd number were not looked at.

Prints a table for each half and for all and, last, one JSON object: F1 of U-Ones by finding, over
all reports. `No Finding` is compared with the term `normal`, which is stricter: an old granuloma
has a separate term and is not one of the 14 findings.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from defusedxml.ElementTree import fromstring
from rich.console import Console
from rich.table import Table

from crossray.core.errors import CrossRayError
from crossray.data.report_labels.lexicon import Status
from crossray.data.report_labels.report import Policy, labels_of, report_findings
from crossray.data.sentences import split_sentences

_OPACITY = (
    "Opacity|Infiltrate|Airspace Disease|Consolidation|Pneumonia|Pulmonary Atelectasis|Nodule|Mass"
    "|Pulmonary Edema|Pulmonary Congestion|Density/(.*/)?(lung|retrocardiac)|Lung Diseases, Inter"
)
INDEXED = {
    "No Finding": r"normal$",
    "Enlarged Cardiomediastinum": r"Mediastinum/(?!.*lymph)(.*/)?(prominent|enlarged)",
    "Cardiomegaly": r"Cardiomegaly|(Cardiac Shadow|Heart)/(.*/)?(enlarged|borderline|prominent)",
    "Lung Opacity": _OPACITY,
    "Lung Lesion": r"Nodule|Mass|Cavitation",
    "Edema": r"Pulmonary Edema|Pulmonary Congestion|Heart Failure",
    "Consolidation": r"Consolidation",
    "Pneumonia": r"Pneumonia",
    "Atelectasis": r"Pulmonary Atelectasis",
    "Pneumothorax": r"Pneumothorax|Hydropneumothorax|Hemopneumothorax",
    "Pleural Effusion": r"Pleural Effusion|Hydropneumothorax|Hemopneumothorax|Hemothorax",
    "Pleural Other": r"Pleura(/|$)|(Thickening|Calcinosis|Cicatrix)/(.*/)?pleura"
    r"|Costophrenic Angle/(.*/)?blunted",
    "Fracture": r"Fractures, Bone",
    "Support Devices": r"Catheters, Indwelling|Tube, Inserted|Implanted Medical Device"
    r"|Medical Device|Stents|Surgical Instruments",
}


@dataclass(frozen=True)
class Report:
    """One report: its number, what the labeller finds and the terms it was indexed with."""

    number: int
    findings: dict[str, Status]
    terms: list[str]


@dataclass(frozen=True)
class Agreement:
    """Counts of one finding."""

    both: int
    labelled: int
    indexed: int

    @property
    def precision(self) -> float:
        """The share of labelled reports that are indexed."""
        return self.both / self.labelled if self.labelled else 0.0

    @property
    def recall(self) -> float:
        """The share of indexed reports that are labelled."""
        return self.both / self.indexed if self.indexed else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        total = self.labelled + self.indexed
        return 2 * self.both / total if total else 0.0


def read_reports(archive: Path) -> Iterator[Report]:
    """The reports of the archive that have a text and were indexed."""
    try:
        with tarfile.open(archive) as members:
            for member in members:
                stream = members.extractfile(member)
                if stream is None or not member.name.endswith(".xml"):
                    continue
                root = fromstring(stream.read())
                parts = {part.get("Label"): part.text or "" for part in root.iter("AbstractText")}
                texts = [parts.get(name, "") for name in ("FINDINGS", "IMPRESSION")]
                sentences = [s for text in texts for s in split_sentences(text)]
                terms = [(term.text or "").strip() for term in root.iter("major")]
                if sentences and terms and "No Indexing" not in terms:
                    findings = report_findings(sentences)
                    yield Report(int(Path(member.name).stem), findings, terms)
    except (OSError, tarfile.TarError) as error:
        raise CrossRayError(
            f"the archive {archive} cannot be read ({error}); give NLMCXR_reports.tgz."
        ) from None


def agreement(reports: Sequence[Report], policy: Policy) -> dict[str, Agreement]:
    """By finding, how labels and terms agree."""
    labels = [set(labels_of(r.findings, policy)) for r in reports]
    result = {}
    for finding, pattern in INDEXED.items():
        indexed = [any(re.match(pattern, term) for term in r.terms) for r in reports]
        labelled = [finding in found for found in labels]
        both = sum(a and b for a, b in zip(indexed, labelled, strict=True))
        result[finding] = Agreement(both, sum(labelled), sum(indexed))
    return result


@dataclass(frozen=True)
class Benchmark:
    """Label the reports and compare."""

    reports: Annotated[Path, tyro.conf.arg(help="the archive NLMCXR_reports.tgz")]

    def run(self) -> None:
        """Print a table for each half and for all, under both policies."""
        reports = list(read_reports(self.reports))
        parts: dict[str, Callable[[Report], bool]] = {
            "even numbers": lambda report: report.number % 2 == 0,
            "odd numbers": lambda report: report.number % 2 == 1,
            "all": lambda _: True,
        }
        for name, chosen in parts.items():
            part = [report for report in reports if chosen(report)]
            ones, zeros = agreement(part, "ones"), agreement(part, "zeros")
            self._print(f"{name}: {len(part):,} reports", ones, zeros)
        print(json.dumps({"f1": {finding: round(a.f1, 4) for finding, a in ones.items()}}))

    def _print(self, title: str, ones: dict[str, Agreement], zeros: dict[str, Agreement]) -> None:
        table = Table(title=title)
        for column in ("finding", "indexed", "labelled", "precision", "recall", "F1", "F1 U-Zeros"):
            table.add_column(column, justify="left" if column == "finding" else "right")
        for finding, found in ones.items():
            values = (found.precision, found.recall, found.f1, zeros[finding].f1)
            table.add_row(
                finding, str(found.indexed), str(found.labelled), *(f"{v:.3f}" for v in values)
            )
        Console(width=100).print(table)


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
