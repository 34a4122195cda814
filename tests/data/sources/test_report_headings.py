"""Findings and impression of reports; every report here is invented."""

from __future__ import annotations

import pytest

from crossray.data.sentences import as_document
from crossray.data.sources.report_headings import section_of
from crossray.data.sources.report_sections import read_sections
from crossray.data.sources.study_reports import report_parts

MAPPING = {
    "findings": (
        "FINDINGS", "FINDING", "CHEST, TWO VIEWS", "CHEST", "CHEST, PORTABLE", "PORTABLE CHEST",
        "PORTABLE", "PA AND LATERAL", "PA AND LATERAL CHEST", "LATERAL AND PA", "AP AND LATERAL",
        "FRONTAL AND LATERAL VIEWS", "TWO VIEWS", "ONE VIEW", "FRONTAL VIEW", "PA VIEW", "AP VIEW",
        "LATERAL VIEW", "PA AND LAT", "FRONTAL UPRIGHT", "FRONTAL SEMI-UPRIGHT", "RIBS",
        "BONE WINDOW", "CHEST, PA LATERAL", "PORTABLE AP CHEST RADIOGRAPH", "CHEST (SINGLE VIEW)",
        "FINDINS", "FINDNGS", "FINIDNGS", "REFERENCE FINDINGS", "CT FINDINGS", "CHEST 2 VIEWS",
        "PA & LATERAL VIEWS", "AP UPRIGHT PORTABLE CHEST X-RAY",
    ),
    "impression": (
        "IMPRESSION", "CONCLUSION", "FINDINGS AND IMPRESSION", "FINDINGS/IMPRESSION",
        "FINDINGS/ IMPRESSION", "FINDINGS / IMPRESSION", "IMPRESSON", "IMPRRESSION", "IMPRRESION",
        "IMORESSION", "IMOPRESSION", "IMPRESSOIN", "IMPRSSION", "IMPRESION", "IMPERSSION",
        "MPRESSION", "IMPESSION", "CONCUSION", "COINCLUSION", "IMPRESSIONS", "FINAL IMPRESSION",
        "IMPRESSION AND PLAN", "IMPRESSION (PRELIMINARY)", "FINDINGS & IMPRESSION",
    ),
    "history": (
        "HISTORY", "CLINICAL HISTORY", "CLINICAL INFORMATION", "PATIENT HISTORY",
        "HISTORY OF PRESENT ILLNESS", "HISTORY AND INDICATION",
    ),
    "indication": (
        "INDICATION", "REASON FOR EXAMINATION", "REASON FOR EXAM", "CLINICAL INDICATION",
        "IDICATION", "INDICATIONS", "FINAL REPORT INDICATION",
    ),
    "comparison": (
        "COMPARISON", "COMPARISONS", "REFERENCE EXAM", "COMPARISON EXAM", "COMPARISON FILM",
        "COMPARISION", "COMPARSION", "COMPARRISON", "COMPARISIONS", "COMPARISON RADIOGRAPH",
        "CHEST COMPARISON",
    ),
    "examination": ("EXAMINATION", "EXAM", "TYPE OF EXAMINATION", "EXMINATION"),
    "technique": ("TECHNIQUE",),
    "notification": ("NOTIFICATION",),
    "recommendations": ("RECOMMENDATIONS", "RECOMMENDATION", "RECOMMENDATION(S)"),
    "addendum": ("ADDENDUM", "ADDENDUM (1)"),
    "date": ("DATE",),
    "comment": ("COMMENT",),
    "wet read": ("WET READ", "WETREAD"),
    "other": ("INDICATION FOR CHEST X-RAY", "EXAM, CHEST", "DICTATED BY", "PRIOR CHEST FILM",
              "READ BY", "CC", "CHEST PAIN", "TRAUMA TO THE CHEST"),
}  # fmt: skip


@pytest.mark.parametrize("section", MAPPING)
def test_headings(section: str) -> None:
    """A heading that is not known takes the text on its line with it."""
    assert {name: section_of(name) for name in MAPPING[section]} == dict.fromkeys(
        MAPPING[section], section
    )


@pytest.mark.parametrize(
    "heading", ["LUNGS", "HEART", "REGRESSION", "EXPRESSION", "MEDICATION", "LOCATION", "OTHER"]
)
def test_headings_of_no_section(heading: str) -> None:
    """A word that only looks like a section's name must not end the findings."""
    assert section_of(heading) is None


FINAL = "                                 FINAL REPORT\n"
CLEAR = "The lungs are clear."


@pytest.mark.parametrize("heading", [*MAPPING["findings"], *MAPPING["impression"]])
@pytest.mark.parametrize("below", ["  ", "\n", "\n \n "])
def test_text_on_the_line_or_below(heading: str, below: str) -> None:
    """Half of the reports have text on the heading's own line."""
    report = f"{FINAL} INDICATION:  Cough.\n \n {heading}:{below}{CLEAR}\n"
    assert read_sections(report) == {section_of(heading): CLEAR}


@pytest.mark.parametrize(
    "around",
    [name for section, names in MAPPING.items() if section not in ("findings", "impression")
     for name in names],
)  # fmt: skip
def test_other_sections_are_no_text(around: str) -> None:
    """What was asked, compared or told by telephone is not what the film shows."""
    report = f"{FINAL} {around}:  Cough.\n \n FINDINGS:  {CLEAR}\n \n {around}:  Pneumonia?\n"
    assert read_sections(report) == {"findings": CLEAR}
    assert read_sections(f"{FINAL} {around}:  Cough.\n") == {}
    assert read_sections(f"{FINAL} {around}:\n\n Cough.\n") == {}
    assert read_sections(f"{FINAL} {around}:  Cough.\n \n {CLEAR}\n") == {"body": CLEAR}


ORGANS = """ FINDINGS:

 LUNGS: Left lower lobe opacity.
 HEART: Enlarged.
 BONES AND SOFT TISSUES: No fracture.
 TUBES/LINES: None.
 OTHER: A hiatal hernia.

 IMPRESSION: Pneumonia.
"""


def test_organs_are_sentences_of_their_own() -> None:
    """Lists of organs often have no full stops; run together they are one long sentence."""
    report = " FINDINGS:\n LUNGS: Clear\n HEART: Large\n TUBES, LINES & DEVICES: None\n"
    texts, _ = as_document(read_sections(report))
    assert texts == ["LUNGS: Clear", "HEART: Large", "TUBES, LINES & DEVICES: None"]


@pytest.mark.parametrize(
    ("report", "sections"),
    [
        ("", {}),
        (FINAL, {}),
        (f"{FINAL} INDICATION: Cough.\n", {}),
        (f"{FINAL} INDICATION: Cough. \n {CLEAR}\n", {}),
        ("FINAL REPORT INDICATION: Cough.", {}),
        (
            "FINDINGS: Old.\nIMPRESSION: None.\n FINDINGS: New.\n",
            {"findings": "Old.\n\nNew.", "impression": "None."},
        ),
        (f"IMPRESSION:\n\n PA AND LATERAL: {CLEAR}\n", {"findings": CLEAR}),
        (
            f" CHEST, PA LATERAL:\n\n INDICATION: Cough.\n\n FINDINGS: {CLEAR}\n",
            {"findings": CLEAR},
        ),
        (f" CHEST, PA LATERAL:\n\n INDICATION: Cough.\n\n {CLEAR}\n", {"body": CLEAR}),
        (f" FINDINGS:\n\n IMPRESSION: ___\n\n {CLEAR}\n", {"impression": f"___\n\n {CLEAR}"}),
        (f" FINDINGS: ___\n\n IMPRESSION: {CLEAR}\n", {"impression": CLEAR}),
        (f"{FINAL} CHEST, ___\n\n HISTORY:  Cough.\n\n {CLEAR}\n", {"body": CLEAR}),
        (f"{FINAL} HISTORY:  Cough.\n\n First.\n\n {CLEAR}\n", {"body": CLEAR}),
        (f"{FINAL} HISTORY: Cough.\n\n {CLEAR}\n\n NOTIFICATION: Told.\n", {"body": CLEAR}),
        (f"{FINAL} HISTORY: Cough.\n\n {CLEAR}\n DICTATED BY: ___.\n", {"body": CLEAR}),
        (f"{FINAL} HISTORY: Cough.\n\n REPORT: {CLEAR}\n", {"body": CLEAR}),
        ("HISTORY: COUGH.\n\nPORTABLE CHEST\nLUNGS CLEAR\n", {"body": "LUNGS CLEAR"}),
        (
            " WET READ: ___ ___ 5:17 PM\n  No edema.\n ______________\n"
            f"{FINAL} AP CHEST, 5:31 A.M., ___\n\n HISTORY: Pain.\n\n IMPRESSION: {CLEAR}\n"
            " ______________\n                FINAL ADDENDUM\n The wet read was told.\n",
            {"impression": CLEAR},
        ),
        (
            ORGANS,
            {
                "findings": "LUNGS: Left lower lobe opacity.\n HEART: Enlarged.\n BONES AND SOFT"
                " TISSUES: No fracture.\n TUBES/LINES: None.\n OTHER: A hiatal hernia.",
                "impression": "Pneumonia.",
            },
        ),
        (
            f" INDICATION: Cough.\n\n LUNGS: Clear.\n HEART: Large.\n\n IMPRESSION: {CLEAR}\n",
            {"findings": "LUNGS: Clear.\n HEART: Large.", "impression": CLEAR},
        ),
        (f" HISTORY:\n CARDIAC: Old graft.\n\n IMPRESSION: {CLEAR}\n", {"impression": CLEAR}),
        (f"{FINAL}\n LUNGS: Clear.\n HEART: Large.\n", {"body": "LUNGS: Clear.\n HEART: Large."}),
        (
            f"FINAL REPORT EXAMINATION: CHEST CLINICAL HISTORY: Cough. FINDINGS: {CLEAR} "
            "IMPRESSION: Normal.",
            {"findings": CLEAR, "impression": "Normal."},
        ),
        (
            f" FINDINGS: {CLEAR}\n The following\n findings: none.\n",
            {"findings": f"{CLEAR}\n The following\n findings: none."},
        ),
    ],
)
def test_sections(report: str, sections: dict[str, str]) -> None:
    """The indication read as a finding would describe what was feared, not what was seen."""
    assert read_sections(report) == sections
    assert read_sections(report.replace("\n", "\r\n")) == sections


@pytest.mark.parametrize(
    ("report", "sections"),
    [
        (f"Indication: cough.\n\nFindings: {CLEAR}\n\nConclusion: Normal.",
         {"findings": CLEAR, "impression": "Normal."}),
        (f"findings:\n{CLEAR}\n\nopinion:\nNormal.",
         {"findings": CLEAR, "impression": "Normal."}),
        (f"Reason for exam: cough\nFindings/Impression: {CLEAR}", {"impression": CLEAR}),
        (f"Clinical Information: cough\nFindings and Impression: {CLEAR}", {"impression": CLEAR}),
        ("Findings:\nLungs: clear.\nHeart: large.\nNote: the left apex.\nImpression: Normal.",
         {"findings": "Lungs: clear.\nHeart: large.\nNote: the left apex.",
          "impression": "Normal."}),
        ("Indication: cough.\n\nLungs: clear.\nHeart: large.\n\nImpression: Normal.",
         {"findings": "Lungs: clear.\nHeart: large.", "impression": "Normal."}),
        (f"Impression: {CLEAR}\nThese findings were told by telephone: yes.",
         {"impression": f"{CLEAR}\nThese findings were told by telephone: yes."}),
        (f"Impression: {CLEAR}\nPA and lateral views: no change.",
         {"impression": f"{CLEAR}\nPA and lateral views: no change."}),
        (f"INDICATION: Cough.\nCONCLUSION: {CLEAR}", {"impression": CLEAR}),
        (f"First.\n\n{CLEAR}", {"body": f"First.\n\n{CLEAR}"}),
        ("LUNGS ARE CLEAR.\nNO EFFUSION.", {"body": "LUNGS ARE CLEAR.\nNO EFFUSION."}),
        (f"First.\n\n{CLEAR}\n_____\nDr. Roe", {"body": f"First.\n\n{CLEAR}\n_____\nDr. Roe"}),
        ("Lungs: clear.\nHeart: large.", {"body": "Lungs: clear.\nHeart: large."}),
        ("\ufeffHistory: cough.", {}),
        (" \n", {}),
    ],
)  # fmt: skip
def test_headings_in_any_case(report: str, sections: dict[str, str]) -> None:
    """Reports of other hospitals have headings in small letters, or none at all."""
    assert report_parts(report) == sections


def test_headings_that_are_hard_to_search() -> None:
    """One very long report must not stop an ingest: all patterns are linear."""
    for part in ("A ", "A:\n", " ", "_", "\n \n", "IMPRESSION ", "a", "INDICATION:\n\n"):
        report = part * (200_000 // len(part))
        for text in (report, report.replace("\n", " ")):
            assert len(read_sections(text)) <= 2
            assert len(report_parts(text)) <= 2
