"""The README: short, and its two blocks of code are of names that exist.

`tests/nodes/test_readme_commands.py` runs them.
"""

from __future__ import annotations

import ast
import re
import subprocess

import crossray
from support.pages import PAGES, README, blocks


def test_it_is_read_in_one_sitting() -> None:
    """A newcomer gives a page of five minutes a chance, and one of an hour none."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_its_figures_are_those_of_the_pages() -> None:
    """The first table that a newcomer reads would differ from the page with the measurement."""
    _, results = README.read_text(encoding="utf-8").split("## Results")
    figures = set(re.findall(r"0\.\d{3,}", results.split("## ")[0]))
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES if page != README)
    assert len(figures) > 30
    assert not {figure for figure in figures if figure not in pages}


def test_the_shell_block_parses() -> None:
    """A newcomer copies ten lines into a shell, and it answers with a syntax error."""
    (block,) = blocks(README, "sh")
    assert len(block.splitlines()) == 10
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_python_block_names_what_there_is() -> None:
    """A newcomer copies ten lines into Python, and the front door has no such name."""
    (block,) = blocks(README, "python")
    assert len(block.splitlines()) <= 12
    used = {
        node.attr
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "crossray"
    }
    assert used == {"load", "open_index", "evaluate"}
    assert all(callable(getattr(crossray, name)) for name in used)
