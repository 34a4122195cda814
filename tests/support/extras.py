"""An environment of a few extras, in which nothing else can be imported."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
# Of the absent modules only the copies are found that a present package brings in a folder of its
# own, such as Ray's of psutil.
RUN = """
import sys
from importlib.machinery import PathFinder

ABSENT = set(sys.argv.pop(1).split(","))

class Present(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in ABSENT:
            path = [folder for folder in sys.path if not folder.endswith("site-packages")]
        return super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Present
"""
MAIN = "from crossray.cli import main\nmain()\n"


def run_with(extras: str, *arguments: str, code: str = MAIN) -> subprocess.CompletedProcess[str]:
    """`crossray` where the base install and `extras`, separated by commas, are all there is."""
    return subprocess.run(
        [sys.executable, "-c", RUN + code, ",".join(_absent(extras)), *arguments],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@cache
def project() -> dict[str, Any]:
    """The project's table of `pyproject.toml`."""
    found: dict[str, Any] = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    return found


@cache
def _absent(extras: str) -> list[str]:
    """The modules of this environment that neither the base install nor `extras` bring."""
    present: set[tuple[str, str]] = set()  # packages, each without and with its extras
    waiting = [Requirement(f"crossray[{extras}]")]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in present:
                present.add((name, extra))
                waiting += _needs(name, extra)
    names = {name for name, _ in present}
    return [
        module
        for module, owners in metadata.packages_distributions().items()
        if not names & {canonicalize_name(owner) for owner in owners}
    ]


def _needs(name: str, extra: str) -> list[Requirement]:
    if name == "crossray":
        listed = project()["optional-dependencies"][extra] if extra else project()["dependencies"]
    else:
        try:
            listed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # of another platform
            listed = []
    needs = (Requirement(line) for line in listed)
    return [it for it in needs if it.marker is None or it.marker.evaluate({"extra": extra})]
