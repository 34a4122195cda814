"""The report labeller against hand-written sentences, generated reports and indexed ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossray.data.phantom import PhantomConfig, sample_study
from crossray.data.phantom.labels import FINDINGS
from crossray.data.phantom.labels import study_labels as phantom_labels
from crossray.data.phantom.report import write_phantom_report
from crossray.data.report_labels.lexicon import Status, compile_phrases, lexicon, normal_form
from crossray.data.report_labels.report import (
    finding_names,
    labels_of,
    read_sentences,
    report_findings,
)
from crossray.data.report_labels.sentence import sentence_findings

TABLE = Path(__file__).parent / "report_sentences.txt"
SHORT = {
    "ECM": "Enlarged Cardiomediastinum",
    "Opacity": "Lung Opacity",
    "Lesion": "Lung Lesion",
    "Effusion": "Pleural Effusion",
    "Pleura": "Pleural Other",
    "Devices": "Support Devices",
}
SIGNS: dict[str, Status] = {"+": "positive", "?": "uncertain", "-": "negative"}


def _cases() -> list[tuple[str, dict[str, Status]]]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    cases = [line.split("|") for line in lines if line and not line.startswith("#")]
    return [
        (sentence.strip(), {SHORT.get(w[1:], w[1:]): SIGNS[w[0]] for w in said.split()})
        for sentence, said in cases
    ]


@pytest.mark.parametrize(("sentence", "expected"), _cases())
def test_sentences(sentence: str, expected: dict[str, Status]) -> None:
    """A denied finding would be learnt and counted as present, or the other way round."""
    assert sentence_findings(sentence) == expected


def test_the_table_covers_every_finding() -> None:
    """A finding without sentences could stop being found unnoticed."""
    said = {(name, status) for _, found in _cases() for name, status in found.items()}
    assert {name for name, _ in said} == set(lexicon().findings)
    assert len(_cases()) >= 200
    assert {name for name, status in said if status == "positive"} == set(lexicon().findings)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    """One odd report would stop an ingest of a million."""
    assert set(sentence_findings(text)) <= set(lexicon().findings)


def test_findings_are_those_of_the_phantom() -> None:
    """Labels of reports and of generated studies would be two vocabularies."""
    assert set(finding_names()) == set(FINDINGS)


def test_generated_reports() -> None:
    """Labels would miss what a grammar, written apart from the lexicon, is known to say."""
    config = PhantomConfig(items=300, seed=5, uncertain_labels=0.3)
    right = wrong = 0
    for row in range(config.items):
        study = sample_study(config, row)
        found = labels_of(report_findings(write_phantom_report(study).sentences), "zeros")
        known = {label.split("/")[0] for label in phantom_labels(study.findings, study.uncertain)}
        right += len(known & set(found))
        wrong += len(known ^ set(found))
    assert right > 300
    assert wrong <= 0.03 * right


def test_the_strongest_sentence_counts() -> None:
    """A finding would be lost when a later sentence denies a larger one."""
    report = ["Small effusion.", "No large effusion.", "Possible pneumonia.", "No pneumonia."]
    found = report_findings([*report, "No fracture."])
    assert found == {
        "Pleural Effusion": "positive", "Pneumonia": "uncertain", "Fracture": "negative",
        "Lung Opacity": "uncertain", "No Finding": "negative",
    }  # fmt: skip


def test_policies() -> None:
    """U-Zeros and U-Ones would give the same labels."""
    found = report_findings(["Possible pneumonia.", "Small effusion.", "No fracture."])
    assert labels_of(found, "zeros") == ["Pleural Effusion"]
    assert labels_of(found, "ones") == ["Lung Opacity", "Pneumonia", "Pleural Effusion"]


@pytest.mark.parametrize(
    ("report", "labels"),
    [
        (["The lungs are clear.", "No effusion."], ["No Finding"]),
        (["Normal chest."], ["No Finding"]),
        (["No acute cardiopulmonary disease."], ["No Finding"]),
        (["No pneumothorax.", "Left PICC line in place."], ["No Finding", "Support Devices"]),
        (["No pneumothorax.", "Possible pneumonia."], []),
        (["A dog runs on the beach."], []),
        ([], []),
    ],
)
def test_no_finding(report: list[str], labels: list[str]) -> None:
    """Suspected disease, or a text that is no report, would count as healthy."""
    assert labels_of(report_findings(report), "zeros") == labels


def test_the_indication_is_not_read() -> None:
    """The question of the clinician would become the answer."""
    texts = ["Pneumonia, fracture.", "Small effusion. No edema.", "Rule out pneumothorax."]
    sections = [
        {"name": name, "start": at, "stop": at + 1}
        for at, name in enumerate(("Clinical history", "FINDINGS", "indication"))
    ]
    assert read_sentences(texts, sections) == ["Small effusion.", "No edema."]
    assert read_sentences(texts[1:2], []) == ["Small effusion.", "No edema."]


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("opacit*", "Opacities.", True),
        ("opacit*", "radio-opacity", True),
        ("mass|masses", "massive", False),
        ("apical cap?", "apical", True),
        ("heart .. large", "heart is very large", True),
        ("heart .. large", "heart is very very large", False),
        ("heart ... large", "heart is very very large", True),
        ("heart ... large", "heart, large", False),
    ],
)
def test_phrases(phrase: str, text: str, found: bool) -> None:
    """A phrase of the lexicon would not mean what the lexicon says that it means."""
    pattern = compile_phrases([phrase])
    assert pattern is not None
    assert bool(pattern.search(normal_form(text))) is found
