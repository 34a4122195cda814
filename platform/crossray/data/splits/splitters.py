"""Ways to split pairs again: by patient, without labels, with fewer pairs or texts, into folds."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from crossray.core.config import Config, to_dict
from crossray.core.errors import CrossRayError
from crossray.data.split import SPLITS, assign_split
from crossray.data.splits.fractions import assign_folds, nested_subset
from crossray.data.splits.held_out import (
    HELD_OUT_SHARE,
    choose_held_out,
    draw_few_shots,
    qualified,
    without_held_out,
)
from crossray.data.splits.items import SplitItems


class Fate(IntEnum):
    """What becomes of an item.

    `UNPAIRED`: it becomes two items, one with its image and one with its text, both without labels
    and boxes, for methods that learn from either alone.
    """

    UNCHANGED = 0
    LEFT_OUT = 1
    WITHOUT_TEXT = 2
    UNPAIRED = 3


@dataclass(frozen=True)
class SplitAssignment:
    """The split [N] and the `Fate` [N] of every item.

    Attributes:
        split_N: names of splits.
        fate_N: numbers of `Fate`.
        note: a sentence for the manifest and the reports.
        held_out: the labels that training does not see, or sees a few times.
    """

    split_N: NDArray[np.str_]
    fate_N: NDArray[np.int64]
    note: str
    held_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Splitter(Config):
    """Base of the ways to split: a frozen dataclass with what is asked for.

    Attributes:
        seed: of what is drawn.
    """

    name: ClassVar[str]
    seed: int = field(default=0, kw_only=True)

    @abstractmethod
    def split(self, items: SplitItems) -> SplitAssignment:
        """Assign every item; raises `CrossRayError` for what these items do not allow."""

    def identity(self, assignment: SplitAssignment) -> dict[str, Any]:
        """The configuration of the artifact."""
        chosen = {"held_out": list(assignment.held_out)} if assignment.held_out else {}
        return {"split": self.name, **to_dict(self), **chosen}


@dataclass(frozen=True)
class GroupShares(Splitter):
    """Shares of the groups (patients) for validation and test; no group crosses a split.

    Attributes:
        val: the expected share of the groups that validates.
        test: the expected share of the groups that tests.
    """

    name: ClassVar[str] = "groups"
    val: float = 0.1
    test: float = 0.1

    def split(self, items: SplitItems) -> SplitAssignment:
        """See `Splitter.split`."""
        shares = (1.0 - self.val - self.test, self.val, self.test)
        if not (self.val >= 0 and self.test >= 0 and shares[0] > 1e-9):
            raise CrossRayError(
                f"--val {self.val} and --test {self.test} leave nothing to train on or are no "
                "shares: give numbers from 0 that sum to less than 1."
            )
        split_N = np.array([assign_split(group, self.seed, shares) for group in items.group_ids])
        for split, share in zip(SPLITS, shares, strict=True):
            if share > 0 and split not in split_N:
                raise CrossRayError(
                    f"none of the {len(set(items.group_ids))} groups fell into {split} with its "
                    f"share of {share:.3g}: give it a larger share or another --seed."
                )
        note = f"{self.val:.4g} of the groups validate and {self.test:.4g} test, assigned by seed."
        return SplitAssignment(split_N, _unchanged(items), note)


@dataclass(frozen=True)
class ZeroShot(Splitter):
    """Labels that training and validation never see; all items of test stay.

    A group leaves train and val when any of its items carries a held-out label, certain or
    uncertain. Qualified labels such as `Edema/mild` go with theirs.

    Attributes:
        share: of the labels that test items carry, how many are held out.
        held_out: the labels themselves, in place of a share.
    """

    name: ClassVar[str] = "zero-shot"
    share: float = HELD_OUT_SHARE
    held_out: tuple[str, ...] = ()

    def split(self, items: SplitItems) -> SplitAssignment:
        """See `Splitter.split`."""
        chosen = self._chosen(items)
        fate_N = np.where(self._remaining(items, chosen), Fate.UNCHANGED, Fate.LEFT_OUT)
        note = f"Training and validation have no item with {_listed(chosen)}."
        return SplitAssignment(np.array(items.splits), fate_N, note, chosen)

    def _chosen(self, items: SplitItems) -> tuple[str, ...]:
        rows = zip(items.splits, items.labels, strict=True)
        vocabulary = {name for split, names in rows if split == "test" for name in names}
        if not vocabulary:
            raise CrossRayError(
                "no test item carries a label, so none can be held out: give pairs whose test "
                "split is labelled."
            )
        if not self.held_out:
            plain = vocabulary - {
                name for head in vocabulary for name in qualified(head, vocabulary)
            }
            return choose_held_out(sorted(plain), self.seed, self.share)
        if missing := sorted(set(self.held_out) - vocabulary):
            raise CrossRayError(
                f"no test item carries the label {missing[0]!r}, so it cannot be measured; the "
                f"labels of test are {', '.join(sorted(vocabulary))}: hold out some of these."
            )
        return tuple(sorted(set(self.held_out)))

    def _remaining(self, items: SplitItems, chosen: Sequence[str]) -> NDArray[np.bool_]:
        known = {name for names in items.labels for name in names}
        carried = [
            [*names, *unsure]
            for names, unsure in zip(items.labels, items.uncertain, strict=True)
        ]  # fmt: skip
        hidden = [*chosen, *(name for head in chosen for name in qualified(head, known))]
        return without_held_out(items.group_ids, items.splits, carried, hidden)


@dataclass(frozen=True)
class FewShot(ZeroShot):
    """As zero-shot, with a few examples of each held-out label in the training split.

    The examples are studies with image and text. With equal seeds, fewer shots are among
    more, and all are of the labels that zero-shot holds out.

    Attributes:
        shots: examples of each held-out label.
        draw: number of the draw of examples, from 0.
    """

    name: ClassVar[str] = "few-shot"
    shots: int = 5
    draw: int = 0

    def split(self, items: SplitItems) -> SplitAssignment:
        """See `Splitter.split`."""
        chosen = self._chosen(items)
        rows = items.annotated()
        studies, labels = items.by_study(rows)
        drawn = draw_few_shots(studies, labels, chosen, self.shots, self.draw, self.seed)
        examples = {study for study, taken in zip(studies, drawn, strict=True) if taken}
        remains_N = self._remaining(items, chosen)
        remains_N[[row for row in rows if items.studies[row] in examples]] = True
        fate_N = np.where(remains_N, Fate.UNCHANGED, Fate.LEFT_OUT)
        note = (
            f"Training has {self.shots} examples each of {_listed(chosen)} (draw {self.draw}), "
            "validation none."
        )
        return SplitAssignment(np.array(items.splits), fate_N, note, chosen)


@dataclass(frozen=True)
class AnnotatedFraction(Splitter):
    """Fewer training pairs: nested, balanced by label; the others become image and text, unpaired.

    Attributes:
        fraction: of the training studies, how many stay pairs.
    """

    name: ClassVar[str] = "annotation"
    fraction: float

    def split(self, items: SplitItems) -> SplitAssignment:
        """See `Splitter.split`."""
        fate_N = _thinned(items, self.fraction, self.seed, Fate.UNPAIRED)
        note = f"{self.fraction:.4g} of the training studies are pairs, the others are unpaired."
        return SplitAssignment(np.array(items.splits), fate_N, note)


@dataclass(frozen=True)
class ReportCoverage(Splitter):
    """Fewer texts: training items that lose theirs keep image and labels; nested, balanced.

    Attributes:
        coverage: of the training studies, how many keep their text.
    """

    name: ClassVar[str] = "coverage"
    coverage: float

    def split(self, items: SplitItems) -> SplitAssignment:
        """See `Splitter.split`."""
        fate_N = _thinned(items, self.coverage, self.seed, Fate.WITHOUT_TEXT)
        note = f"{self.coverage:.4g} of the training studies keep their text."
        return SplitAssignment(np.array(items.splits), fate_N, note)


@dataclass(frozen=True)
class Fold(Splitter):
    """Cross-validation by group (patient), labels spread evenly.

    A fold tests, the one after it (after the last, the first) validates, the others train.

    Attributes:
        fold: the fold that tests, from 1.
        folds: how many there are.
    """

    name: ClassVar[str] = "fold"
    fold: int
    folds: int = 5

    def split(self, items: SplitItems) -> SplitAssignment:
        """See `Splitter.split`."""
        if self.folds < 3 or not 1 <= self.fold <= self.folds:
            raise CrossRayError(
                f"fold {self.fold} of {self.folds} cannot be made: one fold tests, one validates "
                "and the others train, so give --folds of 3 or more and a --fold from 1 to that."
            )
        fold_N = assign_folds(items.group_ids, items.labels, self.folds, self.seed)
        split_N = np.full(len(items), "train", dtype="<U5")
        split_N[fold_N == self.fold - 1] = "test"
        split_N[fold_N == self.fold % self.folds] = "val"
        note = f"Fold {self.fold} of {self.folds} tests and the one after it validates."
        return SplitAssignment(split_N, _unchanged(items), note)


def _unchanged(items: SplitItems) -> NDArray[np.int64]:
    return np.full(len(items), Fate.UNCHANGED, dtype=np.int64)


def _thinned(items: SplitItems, share: float, seed: int, otherwise: Fate) -> NDArray[np.int64]:
    """`otherwise` for the training pairs of all studies but a nested, balanced `share`."""
    rows = items.annotated()
    studies, labels = items.by_study(rows)
    kept_N = nested_subset(studies, labels, share, seed)
    if not kept_N.any():
        raise CrossRayError(
            f"a share of {share} of the {len(studies)} training studies with image and text is "
            "none: give a larger share or more pairs."
        )
    kept = {study for study, stays in zip(studies, kept_N, strict=True) if stays}
    fate_N = _unchanged(items)
    fate_N[[row for row in rows if items.studies[row] not in kept]] = otherwise
    return fate_N


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
