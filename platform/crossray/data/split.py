"""Splits: assigned from the group alone, so that no group can cross them."""

import hashlib
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
FRACTIONS = (0.8, 0.1, 0.1)

_SPELLINGS: dict[str, Split] = {
    "train": "train", "training": "train", "trn": "train",
    "val": "val", "valid": "val", "validate": "val", "validation": "val",
    "dev": "val", "development": "val",
    "test": "test", "testing": "test", "tst": "test",
}  # fmt: skip


def assign_split(
    group_id: str, seed: int, fractions: tuple[float, float, float] = FRACTIONS
) -> Split:
    """The split of a group, from the SHA-256 of `seed` and `group_id`.

    Stateless: every machine and every order gives the same answer, and all rows of a group fall
    together. `fractions` of train, val and test are the expected shares of *groups*; they sum
    to 1.
    """
    assert abs(sum(fractions) - 1.0) < 1e-9, fractions
    point = hashed_point(seed, group_id)
    if point < fractions[0]:
        return "train"
    return "val" if point < fractions[0] + fractions[1] else "test"


def hashed_point(seed: int, *names: str) -> float:
    """A number in [0, 1) from the SHA-256 of `seed` and `names`: uniform, and never another."""
    # Names that UTF-8 cannot hold are drawn, too: their rows are rejected later, with the reason.
    joined = "\0".join((str(seed), *names)).encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(joined).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def parse_split(value: str) -> Split | None:
    """The split that a data set's word means (`validation`, `dev`, ...); None if unknown."""
    return _SPELLINGS.get(value.strip().lower())
