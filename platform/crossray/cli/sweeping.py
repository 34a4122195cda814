"""The command line of sweeps."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from crossray.cli.running import run_command
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve

if TYPE_CHECKING:
    from crossray.studies.sweep.sweep import Sweep

PROG = "tune/search.py"


def search_job(args: Sequence[str] | None = None) -> None:
    """`tune/search.py`: a new sweep of `--space`, or the one that `--resume` names."""
    given = list(sys.argv[1:] if args is None else args)
    finder = argparse.ArgumentParser(prog=PROG, add_help=False, allow_abbrev=False)
    finder.add_argument("--space", type=Path)
    finder.add_argument("--resume")
    found, rest = finder.parse_known_args(given)
    if found.resume is None:
        run_command(lambda: _new(found.space, rest))
    else:
        run_command(lambda: _resumed(found.resume, found.space, rest))


def _new(space: Path | None, rest: list[str]) -> Sweep:
    from crossray.studies.sweep.space import load_space
    from crossray.studies.sweep.sweep import Sweep

    if space is None:
        raise CrossRayError(
            f"{PROG} needs --space FILE, such as one of tune/spaces/, or --resume SWEEP; add "
            "--help for the rest."
        )
    searched = load_space(space)
    default = Sweep(pairs=None, out=tyro.MISSING, recipe=searched.base(), space=searched)
    return tyro.cli(Sweep, prog=f"{PROG} --space {space}", args=rest, default=default)


def _resumed(name: str, space: Path | None, rest: list[str]) -> Sweep:
    from crossray.studies.sweep.request import read_request, require_same_space
    from crossray.studies.sweep.space import load_space
    from crossray.studies.sweep.sweep import Sweep

    folder = f"{resolve(name)}-trials"
    request = read_request(folder)
    if space is not None:
        require_same_space(request, load_space(space), folder)
    if rest:
        raise CrossRayError(
            f"a resumed sweep keeps its options; leave out {' '.join(rest)}, or start a new one."
        )
    return Sweep(
        out=name, recipe=request.recipe, space=request.space, resumed=True, **request.options
    )
