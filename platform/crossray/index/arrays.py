"""Names of the arrays that indexes are made of.

Shape suffixes: `Q` queries, `K` answers of a query, `C` candidates of a query, `N` database rows,
`D` embedding, `Y` bytes of a packed code.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Halves = NDArray[np.float16]
Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]
Rows = NDArray[np.int64]
Distances = NDArray[np.int32]


def map_array(path: Path) -> NDArray[Any]:
    """The array of a `.npy` file, mapped into memory, not read."""
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
