"""The verbs that read artifacts."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from rich.console import Console
from tyro.conf import Positional, arg

from crossray.cli.running import say
from crossray.core.artifacts import open_artifact, verify
from crossray.core.errors import CrossRayError
from crossray.core.inspection import describe_artifact, print_summary
from crossray.core.store import resolve


@dataclass(frozen=True)
class Inspect:
    """Show an artifact: kind, id, parents as a tree, configuration and metrics.

    Every payload file is read and compared with its digest.

    Attributes:
        artifact: a name in the store, an absolute path, ./path or a URI.
    """

    artifact: Annotated[Positional[str], arg(metavar="ARTIFACT")]

    def run(self) -> None:
        """Print what the artifact is."""
        found = open_artifact(resolve(self.artifact, Path.cwd()))
        verify(found)
        Console().print(describe_artifact(found))


@dataclass(frozen=True)
class Check:
    """Look for leaks between the splits of a `pairs` artifact; exit code 1 when there are any.

    A leak is an id, a group, a text or nearly the same image in two splits. Every image is decoded.

    Attributes:
        pairs: a name in the store, an absolute path, ./path or a URI.
    """

    pairs: Annotated[Positional[str], arg(metavar="PAIRS")]

    def run(self) -> None:
        """Print a table of the leaks, or that there are none."""
        from crossray.data.schema import iter_pairs
        from crossray.data.splits.leaks import LEAK_COLUMNS, find_leaks, leak_table

        pairs = open_artifact(resolve(self.pairs, Path.cwd()), "pairs")
        leaks = find_leaks(iter_pairs(pairs, LEAK_COLUMNS))
        if not leaks:
            return say(f"pairs {pairs.id[:12]}: nothing leaks between train, val and test")
        Console().print(leak_table(leaks))
        sys.exit(1)


@dataclass(frozen=True)
class Summary:
    """One table of the stages that led to artifacts: items, seconds, headline figures.

    Attributes:
        artifacts: one or more, each a name in the store, an absolute path, ./path or a URI.
    """

    artifacts: Annotated[Positional[tuple[str, ...]], arg(metavar="ARTIFACT [ARTIFACT ...]")]

    def run(self) -> None:
        """Print the table."""
        if not self.artifacts:
            raise CrossRayError("crossray summary needs an artifact; name one or more.")
        print_summary(*(open_artifact(resolve(name, Path.cwd())) for name in self.artifacts))


@dataclass(frozen=True)
class Compare:
    """Reports side by side, with the differences to the first and which are more than chance.

    Reports of single runs are tested by query, those of repeated runs by seed or fold (paired
    t-test).

    Attributes:
        reports: two or more of the same pairs, split and protocol, each a name in the store, an
            absolute path, ./path or a URI.
        seed: of the bootstrap and of the permutations.
        test: what gives the p-values of single runs; their intervals are the bootstrap's.
        correction: of the p-values, over all differences of the table.
    """

    reports: Annotated[Positional[tuple[str, ...]], arg(metavar="REPORT REPORT [REPORT ...]")]
    seed: int = 0
    test: Literal["bootstrap", "permutation"] = "bootstrap"
    correction: Literal["holm", "bonferroni"] = "holm"

    def run(self) -> None:
        """Print the table."""
        from crossray.evaluation.significance.compare import (
            TESTS,
            compare_repeats,
            compare_reports,
            comparison_table,
            is_repeat,
        )

        reports = [open_artifact(resolve(name, Path.cwd()), "report") for name in self.reports]
        if any(is_repeat(report) for report in reports):
            lines = compare_repeats(reports, self.correction)
            test = f"paired t-test over the {len(reports[0].manifest.config['runs'])} runs"
        else:
            lines = compare_reports(reports, self.seed, self.test, self.correction)
            test = TESTS[self.test]
        Console().print(comparison_table(lines, self.reports, test, self.correction))
