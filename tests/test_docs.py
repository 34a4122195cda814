"""README and pages, held true: links, paths, names and command lines."""

from __future__ import annotations

import importlib
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from crossray.recipes import RECIPES, STUDENTS
from support.pages import PAGES, ROOT, blocks

GOLDEN = (ROOT / "tests" / "golden" / "command_line.txt").read_text(encoding="utf-8")
EVERY_PAGE = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)
FOLDERS = "platform|jobs|tune|serve|tests|benchmarks|docs"
# What a command takes before its recipe, or in place of it, is known.
EARLY = {"--help", "--recipe", "--stage", "--method", "--space", "--resume"}


def anchors(page: Path) -> set[str]:
    """What a link can name of a page: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EVERY_PAGE
def test_links_lead_somewhere(page: Path) -> None:
    """A reader follows the link and finds nothing."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@EVERY_PAGE
def test_paths_exist(page: Path) -> None:
    """A reader opens the file that the page names, and there is none."""
    text = page.read_text(encoding="utf-8")
    for path in re.findall(rf"(?<![\w./-])((?:{FOLDERS})/[\w./-]*[\w/])", text):
        assert (ROOT / path).exists(), path


@EVERY_PAGE
def test_dotted_names_exist(page: Path) -> None:
    """A reader runs or imports the module that the page names, and Python does not know it."""
    text = re.sub(r"[\w-]*\.amazonaws\.com", "", page.read_text(encoding="utf-8"))
    for name in set(re.findall(r"\bcrossray(?:\.[a-z_]\w*)+", text)):
        module, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), name


@EVERY_PAGE
def test_commands_exist(page: Path) -> None:
    """A reader copies a command, and it is refused for a verb, an option or a recipe of before."""
    text = [block for language in ("", "sh") for block in blocks(page, language)]
    for line in "\n".join(text).splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = next((n for n, word in enumerate(words) if word in {"&&", "|", ">"}), len(words))
            command, words = words[:end], words[end + 1 :]
            if "--" in command:  # what `ray job submit` runs
                command = command[command.index("--") + 1 :]
            if command[:1] == ["crossray"]:
                assert_known("crossray", command[1:])
            elif re.match(r"python (jobs|tune)/", " ".join(command)):
                assert_known(" ".join(command[:2]), command[2:])


def assert_known(program: str, words: list[str]) -> None:
    """The verb, the recipe and each option are in the frozen command line."""
    headers = re.findall(r"^\S.*$", GOLDEN, re.MULTILINE)
    if program == "crossray":
        verbs = (" ".join([program, *words[:length]]) for length in (2, 1))
        known = [verb for verb in verbs if verb in headers][:1]
    else:
        known = [header for header in headers if header.split(" --")[0] == program]
    assert known, words
    options = {
        option
        for header in known
        for option in re.findall(r"--[\w.-]+", GOLDEN.split(f"\n{header}\n")[-1].split("\n\n")[0])
    }
    for word in words:
        assert not word.startswith("--") or word in options | EARLY, (program, word)
    for flag, name in pairwise(words):
        if flag == "--recipe" and re.fullmatch(r"[a-z0-9_]+", name):
            assert name in {**RECIPES, **STUDENTS}, name
