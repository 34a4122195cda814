"""An explanation as plain arrays in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crossray.core.errors import CrossRayError
from crossray.explain.explainer import Explanation


def save_arrays(found: Explanation, path: Path) -> None:
    """Write the arrays of an explanation as `.npz`, which numpy reads without pickle.

    `score`, `picture_YXC`, `heat_YX`, `words_W` with `shares_W`, `parts_P` with `maps_PYX`,
    `dimensions_D` and, where there are codes, `bits_K`. Raises `CrossRayError` for a path that
    cannot be written.
    """
    arrays = {
        "score": np.array(found.score),
        "picture_YXC": found.picture_YXC,
        "heat_YX": found.heat_YX,
        "words_W": np.array([word.text for word in found.words.words]),
        "shares_W": found.words.shares_W,
        "parts_P": np.array(found.parts, dtype=str),
        "maps_PYX": found.maps_PYX,
        "dimensions_D": found.dimensions_D,
    }
    if found.bits_K is not None:
        arrays["bits_K"] = found.bits_K
    try:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise CrossRayError(
            f"the arrays {str(path)!r} cannot be written ({error.strerror}); choose another file."
        ) from None
