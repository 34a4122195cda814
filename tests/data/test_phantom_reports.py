"""The phantom's reports, read back by a small rule-based labeler that knows nothing of them."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from crossray.data.phantom import PhantomConfig, sample_study
from crossray.data.phantom.labels import study_labels
from crossray.data.phantom.report import write_captions, write_phantom_report

MENTIONS = {
    "Enlarged Cardiomediastinum": r"mediastin\w+ widening|widening of the mediastinum|widened",
    "Cardiomegaly": r"cardiomegaly|enlargement of the (heart|cardiac)",
    "Lung Lesion": r"nodule|mass\b|lesion",
    "Edema": r"edema",
    "Consolidation": r"consolidation",
    "Pneumonia": r"pneumonia",
    "Atelectasis": r"atelectasis|collapse",
    "Pneumothorax": r"pneumothorax",
    "Pleural Effusion": r"effusion",
    "Pleural Other": r"pleural (thickening|capping)",
    "Fracture": r"fracture",
    "Support Devices": r"\btube|\bline\b|catheter|pacemaker|electrode|leads|device",
}
MENTIONS["Lung Opacity"] = "|".join(
    ["opacit"]
    + [MENTIONS[m] for m in ("Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis")]
)
NEGATED = re.compile(r"\b(no|not|without|clear|normal|unremarkable)\b", re.IGNORECASE)
HEDGED = re.compile(r"\b(possible|questionable|may|cannot)\b", re.IGNORECASE)
CONFIG = PhantomConfig(items=1200, seed=11)
HEDGING = PhantomConfig(items=1200, seed=12, uncertain_labels=0.3)


def named(sentences):
    """The findings that any of the sentences names."""
    text = " ".join(sentences).lower()
    return {name for name, pattern in MENTIONS.items() if re.search(pattern, text)}


def findings_of(labels):
    """Labels without their qualifiers."""
    return {label.split("/")[0] for label in labels} - {"No Finding"}


@pytest.mark.parametrize("config", [CONFIG, HEDGING])
def test_reports_say_what_the_labels_say(config):
    """Texts and labels would disagree, so text retrieval by label would be wrong."""
    for row in range(config.items):
        study = sample_study(config, row)
        sentences = write_phantom_report(study).sentences
        affirmed = [s for s in sentences if not NEGATED.search(s) and not HEDGED.search(s)]
        denied = [s for s in sentences if NEGATED.search(s) and not HEDGED.search(s)]
        doubted = [s for s in sentences if HEDGED.search(s)]
        labels = findings_of(study_labels(study.findings, study.uncertain))
        assert named(affirmed) == labels, sentences
        assert not named(denied) & labels - {"Lung Opacity"}, sentences
        assert named(doubted) - {"Lung Opacity"} == {f.name for f in study.uncertain} - {
            "Lung Opacity"
        }, sentences


def test_qualifiers_are_reported():
    """Side, zone or severity in the text would differ from the label."""
    words = {"small": "small|minimal", "large": "large|extensive|mass", "moderate": "moderate",
             "mild": "mild|slight", "severe": "severe|marked"}  # fmt: skip
    for row in range(400):
        study = sample_study(CONFIG, row)
        for finding in study.findings:
            if finding.name in ("Support Devices", "Lung Lesion"):
                continue
            said = [
                s.lower()
                for s in write_phantom_report(study).sentences
                if re.search(MENTIONS[finding.name], s.lower()) and not NEGATED.search(s)
            ]
            wanted = [finding.side, f"{finding.zone} zone" if finding.zone else ""]
            wanted.append(words.get(finding.severity, ""))
            assert any(all(re.search(w, s) for w in wanted) for s in said), (finding, said)


def test_reports_tell_studies_apart():
    """Retrieval of a report's own image could not succeed if most reports were alike."""
    reports = [write_phantom_report(sample_study(CONFIG, row)).sentences for row in range(1000)]
    assert len(set(reports)) > 980
    assert {len(r) for r in reports} <= set(range(5, 30))
    assert all(s[0].isupper() or s[0].isdigit() for r in reports for s in r)
    assert all(re.fullmatch(r"[^{}]+\.", s) and "  " not in s for r in reports for s in r)


def test_wording_varies():
    """A text model would learn one fixed sentence for each finding."""
    wordings = defaultdict(set)
    for row in range(CONFIG.items):
        study = sample_study(CONFIG, row)
        for sentence in write_phantom_report(study).sentences:
            for name in named([sentence]):
                wordings[name].add(sentence)
    assert all(len(sentences) >= 8 for sentences in wordings.values())
    assert set(wordings) == set(MENTIONS)


@pytest.mark.parametrize("config", [CONFIG, HEDGING])
def test_captions(config):
    """Five captions an item would not be paraphrases of one picture."""
    for row in range(200):
        study = sample_study(config, row)
        report = write_captions(study, 5)
        assert len(set(report.sentences)) == 5
        assert report.sections == ()
        for caption in report.sentences:
            healthy = re.search("no acute|clear lungs", caption)
            expected = findings_of(study_labels(study.drawn))
            assert (set() if healthy else named([caption])) == expected
