"""Clinical terms in texts: the longest ones, in all their spellings, and where they stand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossray.core.errors import CrossRayError
from crossray.data.clinical_terms import ClinicalTerms, Span, load_terms, singular
from support.pairs import phantom_pairs, read_pairs


def found(terms: ClinicalTerms, text: str) -> list[str]:
    """The terms as they are spelt in the text."""
    return [text[start:stop] for start, stop in terms.spans(text)]


def test_the_longest_term_at_each_place() -> None:
    """Half a term that is hidden is given away by its other half."""
    terms = ClinicalTerms(["effusion", "pleural effusion", "left upper lobe", "lobe", "upper zone"])
    assert found(terms, "Small Pleural Effusions, left.") == ["Pleural Effusions"]
    assert found(terms, "left upper-lobe opacity; an effusion") == ["left upper-lobe", "effusion"]
    assert found(terms, "the left upper zone, lobes") == ["upper zone", "lobes"]
    assert found(terms, "pleural. Effusion") == ["Effusion"], "a full stop parts words"
    assert found(terms, "pleural, effusion") == ["effusion"]
    assert found(terms, "diffusion and effusional") == [], "whole words only"
    assert terms.spans("") == []


def test_plurals_are_the_terms_too() -> None:
    """Reports speak of effusions, lists of terms of an effusion."""
    pairs = {
        "opacities": "opacity", "masses": "mass", "apexes": "apex", "ribs": "rib",
        "thoraces": "thorace", "atelectasis": "atelectasis", "mass": "mass", "hilus": "hilus",
    }  # fmt: skip
    for plural, expected in pairs.items():
        assert singular(plural) == expected
    terms = ClinicalTerms(["airspace opacities", "rib"])
    assert found(terms, "an airspace opacity, ribs, RIB") == ["airspace opacity", "ribs", "RIB"]


WORDS = ("lung", "base", "left", "edema", "no", "mild")


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.randoms(use_true_random=False))
def test_matches_are_those_of_a_plain_search(words: list[str], rng: random.Random) -> None:
    """Against trying every length at every word."""
    listed = ["lung base", "left lung base", "edema", "mild edema", "base"]
    text, spans, place = " ".join(words), [], 0
    while place < len(words):
        for length in range(len(words) - place, 0, -1):
            if " ".join(words[place : place + length]) in listed:
                start = len(" ".join(words[:place])) + (1 if place else 0)
                spans.append(Span(start, start + len(" ".join(words[place : place + length]))))
                place += length
                break
        else:
            place += 1
    rng.shuffle(listed)
    assert ClinicalTerms(listed).spans(text) == spans


def test_the_built_in_list_knows_chest_reports(tmp_path: Path) -> None:
    """Without terms, masking would fall back to random tokens everywhere."""
    terms = load_terms()
    assert len(terms) > 200
    texts = read_pairs(phantom_pairs(str(tmp_path / "pairs"), 40), ["texts"])["texts"].to_pylist()
    shares = [bool(sum(len(terms.spans(text)) for text in row)) for row in texts]
    assert sum(shares) / len(shares) > 0.95
    report = "There is a moderate left pleural effusion. The heart is not enlarged."
    assert found(terms, report) == ["pleural effusion", "heart"]


def test_umls_is_read_by_its_columns(tmp_path: Path) -> None:
    """Foreign, obsolete and endless names are not looked for, nor is a broken file half read."""
    file = tmp_path / "MRCONSO.RRF"

    def row(language: str, name: str, suppressed: str) -> str:
        first = [
            "C0032227",
            language,
            "P",
            "L1",
            "PF",
            "S1",
            "Y",
            "A1",
            "",
            "M1",
            "D1",
            "MSH",
            "MH",
        ]
        return "|".join([*first, "D010996", name, "0", suppressed, "256", ""])

    file.write_text(
        "\n".join(
            [
                row("ENG", "Pleural Effusion", "N"),
                row("SPA", "derrame pleural", "N"),
                row("ENG", "hydrothorax", "O"),
                row("ENG", "one two three four five six seven eight nine", "N"),
            ]
        )
        + "\n"
    )
    terms = load_terms(str(file))
    assert len(terms) == 1
    assert found(terms, "hydrothorax or pleural effusions") == ["pleural effusions"]
    broken = tmp_path / "broken.RRF"
    broken.write_text("C0032227|ENG|Pleural Effusion\n")
    with pytest.raises(CrossRayError, match=r"line 1 of .* has 2 columns and MRCONSO.RRF has 18"):
        load_terms(str(broken))


def test_lists_of_ones_own(tmp_path: Path) -> None:
    """A hospital's own words, or a sentence about what is wrong with the file."""
    file = tmp_path / "terms.txt"
    file.write_text("# ours\n\nsail sign\n")
    assert found(load_terms(str(file)), "a Sail sign") == ["Sail sign"]
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n")
    with pytest.raises(CrossRayError, match="has no clinical term"):
        load_terms(str(empty))
    with pytest.raises(CrossRayError, match=r"no list of clinical terms at 'terms\.txt'"):
        load_terms("terms.txt")
