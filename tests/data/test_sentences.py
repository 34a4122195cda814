"""Sentence splitting against hand-written cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossray.data.sentences import as_document, split_sentences

CASES = {
    "one": ("A dog runs.", ["A dog runs."]),
    "no stop": ("A dog runs", ["A dog runs"]),
    "two": ("The heart is normal. No effusion.", ["The heart is normal.", "No effusion."]),
    "lower case": ("no effusion. heart is normal.", ["no effusion.", "heart is normal."]),
    "blank before stop": ("A girl in a way . Two dogs .", ["A girl in a way .", "Two dogs ."]),
    "question": ("Is it gone? Yes! Good.", ["Is it gone?", "Yes!", "Good."]),
    "decimal": ("A 2.3 cm nodule is seen. Stable.", ["A 2.3 cm nodule is seen.", "Stable."]),
    "decimal at the end": ("It measures 2.3. It grew.", ["It measures 2.3.", "It grew."]),
    "number at the end": ("Seen at T12. No fracture.", ["Seen at T12.", "No fracture."]),
    "title": ("Seen by Dr. Smith today. Stable.", ["Seen by Dr. Smith today.", "Stable."]),
    "initials": ("Read by John F. Kennedy. Done.", ["Read by John F. Kennedy.", "Done."]),
    "letter at the end": ("Given vitamin C. He is well.", ["Given vitamin C.", "He is well."]),
    "e.g.": ("Lines, e.g. a tube, are seen.", ["Lines, e.g. a tube, are seen."]),
    "vs": ("Atelectasis vs. Pneumonia. Follow up.", ["Atelectasis vs. Pneumonia.", "Follow up."]),
    "figure": ("See Fig. 2 for detail. Stable.", ["See Fig. 2 for detail.", "Stable."]),
    "no. with number": ("Lead no. 3 is bent. Fine.", ["Lead no. 3 is bent.", "Fine."]),
    "answer no": ("Is it new? No. It is old.", ["Is it new?", "No.", "It is old."]),
    "etc inside": ("Wires, clips, etc. are seen.", ["Wires, clips, etc. are seen."]),
    "etc at the end": ("Wires, clips, etc. The rest is normal.",
                       ["Wires, clips, etc.", "The rest is normal."]),
    "hour inside": ("Taken at 9 a.m. in bed.", ["Taken at 9 a.m. in bed."]),
    "hour at the end": ("Taken at 9 a.m. Heart normal.", ["Taken at 9 a.m.", "Heart normal."]),
    "wrapped line": ("The heart is\nnormal in size. No\neffusion.",
                     ["The heart is normal in size.", "No effusion."]),
    "paragraph": ("Heart normal\n\nLungs clear", ["Heart normal", "Lungs clear"]),
    "windows lines": ("Heart normal.\r\nLungs clear.", ["Heart normal.", "Lungs clear."]),
    "numbered lines": ("1. No acute process.\n2. Stable heart",
                       ["No acute process.", "Stable heart"]),
    "numbered inline": ("1. No acute process. 2. Stable heart.",
                        ["No acute process.", "Stable heart."]),
    "bracketed numbers": ("1) Clear lungs. 2) Normal heart.", ["Clear lungs.", "Normal heart."]),
    "bullets": ("- clear lungs\n- normal heart", ["clear lungs", "normal heart"]),
    "heading line": ("Lungs clear\nIMPRESSION: normal.", ["Lungs clear", "IMPRESSION: normal."]),
    "blank mask": ("Seen by Dr. ___ on ___. No change.",
                   ["Seen by Dr. ___ on ___.", "No change."]),
    "letter mask": ("XXXX-year-old with XXXX. XXXX was told.",
                    ["XXXX-year-old with XXXX.", "XXXX was told."]),
    "missing blank": ("The heart is normal.The lungs are clear.",
                      ["The heart is normal.", "The lungs are clear."]),
    "quotation": ('He said "stop." Then left.', ['He said "stop."', "Then left."]),
    "bracket": ("Clear (as before.) Heart normal.", ["Clear (as before.)", "Heart normal."]),
    "ellipsis inside": ("2 dead frogs... nothing more...", ["2 dead frogs... nothing more..."]),
    "ellipsis between": ("Two frogs... They sit.", ["Two frogs...", "They sit."]),
    "accents": ("Une pomme. \u00c9t\u00e9 en France.", ["Une pomme.", "\u00c9t\u00e9 en France."]),
    "empty": ("", []),
    "only marks": (" . \n - \n", []),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_hand_written_case(name: str) -> None:
    """A wrong cut pairs half a finding with an image, or joins two findings into one."""
    text, expected = CASES[name]
    assert split_sentences(text) == expected


@given(st.text(alphabet="aB1. \n!?)_-\"'", max_size=60))
def test_nothing_but_list_marks_is_lost(text: str) -> None:
    """A letter that splitting loses is a word that training never sees."""
    kept = "".join(split_sentences(text))
    assert [c for c in kept if c.isalpha()] == [c for c in text if c.isalpha()]


def test_document_sections_cover_all_sentences() -> None:
    """A section that points at other sentences shows the wrong part of a report."""
    texts, sections = as_document(
        {"findings": "Heart normal. Lungs clear.", "comparison": " ", "impression": "Normal."}
    )
    assert texts == ["Heart normal.", "Lungs clear.", "Normal."]
    assert sections == [
        {"name": "findings", "start": 0, "stop": 2},
        {"name": "impression", "start": 2, "stop": 3},
    ]


def test_parts_that_are_missing() -> None:
    """A cell that a program left empty would be a finding that every such report shares."""
    texts, sections = as_document({"findings": "NaN", "impression": "None. Clear.", "body": "n/a"})
    assert texts == ["None.", "Clear."]
    assert sections == [{"name": "impression", "start": 0, "stop": 2}]
