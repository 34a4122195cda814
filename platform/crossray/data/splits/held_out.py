"""Zero- and few-shot splits: labels that training never sees, or sees a few times."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from crossray.core.errors import CrossRayError
from crossray.data.split import Split, hashed_point

HELD_OUT_SHARE = 0.24
NEVER_HELD_OUT = ("No Finding", "Support Devices")
SHOTS = (1, 5, 10)
DRAWS = 5


def choose_held_out(
    vocabulary: Sequence[str], seed: int, share: float = HELD_OUT_SHARE
) -> tuple[str, ...]:
    """The labels to hold out: `share` of the vocabulary, rounded, and at least one.

    `NEVER_HELD_OUT` are never among them. The choice depends on the set of labels and `seed` alone.
    Raises CrossRayError when there are not enough labels to choose from.
    """
    names = set(vocabulary)
    wanted = max(1, round(share * len(names)))
    eligible = sorted(names - {*NEVER_HELD_OUT}, key=lambda name: hashed_point(seed, name))
    if not 0 < share < 1 or wanted > len(eligible):
        raise CrossRayError(
            f"a share of {share} of {len(names)} labels cannot be held out, of which "
            f"{len(eligible)} may be: give a share between 0 and 1 that leaves labels to train on."
        )
    return tuple(sorted(eligible[:wanted]))


def qualified(label: str, vocabulary: Iterable[str]) -> list[str]:
    """The labels that qualify one, such as `Edema/mild` of `Edema`."""
    return sorted(name for name in vocabulary if name.startswith(f"{label}/"))


def without_held_out(
    group_ids: Sequence[str],
    splits: Sequence[Split],
    labels: Sequence[Sequence[str]],
    held_out: Sequence[str],
) -> NDArray[np.bool_]:
    """Which items [N] remain: all of test, and in train and val the groups without such a label.

    A group (patient) goes with all its items when one of them, of whatever split, carries a
    held-out label: its other films may show the same finding unnamed. Give uncertain labels with
    the certain ones, so that they count as carried. Raises CrossRayError for a held-out label that
    no item carries.
    """
    _check_carried(labels, held_out)
    rows = list(zip(group_ids, splits, labels, strict=True))
    marked = {group for group, _, names in rows if not set(held_out).isdisjoint(names)}
    return np.array([split == "test" or group not in marked for group, split, _ in rows], bool)


def draw_few_shots(
    item_ids: Sequence[str],
    labels: Sequence[Sequence[str]],
    held_out: Sequence[str],
    shots: int,
    draw: int,
    seed: int,
) -> NDArray[np.bool_]:
    """Which items [N] are the examples of the held-out labels: `shots` for each label.

    The items are candidates of the training split with image and text. An item with two held-out
    labels may be drawn for both. For one `draw` the examples of fewer shots are among those of more
    (`SHOTS`); `DRAWS` draws differ in `draw` alone. The order of the items changes nothing. Raises
    CrossRayError when fewer than `shots` candidates carry a label.
    """
    _check_carried(labels, held_out)
    chosen_N = np.zeros(len(item_ids), dtype=bool)
    for label in held_out:
        rows = [n for n, names in enumerate(labels) if label in names]
        if not 0 < shots <= len(rows):
            raise CrossRayError(
                f"{shots} examples of {label!r} were asked for and {len(rows)} items carry it: "
                f"draw at least 1 and no more than there are, or hold out another label."
            )
        rows.sort(key=lambda n: hashed_point(seed, "few-shot", str(draw), label, item_ids[n]))
        chosen_N[rows[:shots]] = True
    return chosen_N


def _check_carried(labels: Sequence[Sequence[str]], held_out: Sequence[str]) -> None:
    known = {name for names in labels for name in names}
    if missing := sorted(set(held_out) - known):
        raise CrossRayError(
            f"no item carries the held-out label {missing[0]!r}; labels are "
            f"{', '.join(sorted(known)) or 'not given at all'}: name one of these."
        )
