"""Random access: keyed random streams and the arithmetic from rows to patients."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np

# A block of patients has a fixed number of studies, so that a row finds its patient by division.
_STUDY_COUNTS = np.repeat([1, 2, 3], [15, 10, 5])
PATIENTS_PER_BLOCK = len(_STUDY_COUNTS)
ITEMS_PER_BLOCK = int(_STUDY_COUNTS.sum())


def stream(seed: int, purpose: str, *key: int) -> np.random.Generator:
    """A generator that depends on nothing but its arguments."""
    word = int.from_bytes(purpose.encode()[:8], "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, word, *key])))


@lru_cache(maxsize=64)
def _block(seed: int, block: int) -> tuple[tuple[int, int], ...]:
    counts = stream(seed, "block", block).permutation(_STUDY_COUNTS)
    return tuple((patient, study) for patient, n in enumerate(counts) for study in range(n))


def patient_of(seed: int, row: int) -> tuple[int, int]:
    """The patient of a row and the number of the study among that patient's."""
    block, offset = divmod(row, ITEMS_PER_BLOCK)
    patient, study = _block(seed, block)[offset]
    return block * PATIENTS_PER_BLOCK + patient, study


def split_of(seed: int, patient: int) -> str:
    """train, val or test in the proportion 70 : 10 : 20, by a hash of seed and patient."""
    digest = blake2b(f"{seed}/{patient}".encode(), digest_size=8).digest()
    position = int.from_bytes(digest, "big") / 2**64
    return "train" if position < 0.7 else "val" if position < 0.8 else "test"
