"""Arrays by name out of a `.mat` or `.npz` file, and what vectors and labels may look like."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from crossray.core.errors import CrossRayError

Labels = list[tuple[str, ...]]
_EXACT = 2**53  # beyond it not every integer is a float


class ArrayFile:
    """A MATLAB file up to version 7, or a NumPy archive; nothing in it is run or unpickled."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.suffix not in (".mat", ".npz"):
            raise CrossRayError(f"{path} is neither .mat nor .npz; give a file of one of the two.")
        if not self.path.is_file():
            raise CrossRayError(f"there is no file {path}; check the path.")
        try:
            if self.path.suffix == ".mat":
                self.names = [name for name, _, _ in scipy.io.whosmat(self.path)]
            else:
                with np.load(self.path, allow_pickle=False) as archive:
                    self.names = list(archive.files)
        except NotImplementedError:
            raise CrossRayError(
                f"{path} is a MATLAB 7.3 file (HDF5); save it with MATLAB's option '-v7', or write "
                "its arrays with numpy.savez."
            ) from None
        # Readers of damaged bytes raise almost anything.
        except Exception as error:
            raise CrossRayError(_unreadable(self.path, error)) from None

    def read(self, name: str) -> NDArray[Any]:
        """The array of that name; a sparse one is filled up with its zeros.

        Raises `CrossRayError` that lists the names there are when there is none.
        """
        if name not in self.names:
            raise CrossRayError(
                f"{self.path} has no array {name!r}; it has {', '.join(sorted(self.names))}."
            )
        try:
            if self.path.suffix == ".mat":
                array = scipy.io.loadmat(self.path, variable_names=[name])[name]
            else:
                with np.load(self.path, allow_pickle=False) as archive:
                    array = archive[name]
        except Exception as error:
            raise CrossRayError(_unreadable(self.path, error)) from None
        return array.toarray() if hasattr(array, "toarray") else np.asarray(array)

    def vectors(self, name: str) -> NDArray[np.float32]:
        """`[N, D]`, float32 and finite; raises `CrossRayError` for anything else."""
        array = self.read(name)
        if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiub":
            raise CrossRayError(
                f"{name} of {self.path} has the shape {array.shape} and the type {array.dtype}; "
                "vectors are a numeric matrix with one row an item."
            )
        with np.errstate(over="ignore"):
            vectors_ND = array.astype(np.float32)
        if len(bad := np.flatnonzero(~np.isfinite(vectors_ND).all(axis=1))):
            raise CrossRayError(
                f"{name} of {self.path} holds NaN or infinite numbers in {len(bad):,} of "
                f"{len(array):,} rows, the first is row {bad[0]} (from 0); remove these pairs or "
                "mend them."
            )
        return vectors_ND


def label_lists(files: Sequence[tuple[str, NDArray[Any]]]) -> list[Labels]:
    """The labels of several splits' rows, each given with its place, for messages.

    One column, or one row, of integers holds class indices: from 0, or, when no split has
    class 0, from 1. Several columns of zeros and ones are one-hot or multi-hot. Classes are named
    by their number from 0. Raises `CrossRayError` for anything else.
    """
    arrays = [(where, _numbers(where, array)) for where, array in files]
    indices = [array for _, array in arrays if array.ndim == 1]
    lowest = min((int(array.min()) for array in indices if len(array)), default=0)
    if lowest < 0:
        where = next(w for w, array in arrays if array.ndim == 1 and (array < 0).any())
        raise CrossRayError(f"{where} has the class {lowest}; number classes from 0 or from 1.")
    first = min(lowest, 1)
    return [
        [(str(index - first),) for index in array.tolist()]
        if array.ndim == 1
        else [tuple(map(str, np.flatnonzero(row).tolist())) for row in array]
        for _, array in arrays
    ]


def _numbers(where: str, array: NDArray[Any]) -> NDArray[np.int64]:
    """Class indices [N] or hot columns [N, C]."""
    if array.ndim == 2 and 1 in array.shape:
        array = array.ravel()
    integral = array.dtype.kind in "fiub" and bool(
        ((array == np.floor(array)) & (np.abs(array) < _EXACT)).all()
    )
    hot = array.ndim == 2 and integral and bool(np.isin(array, (0, 1)).all())
    if not (hot or (array.ndim == 1 and integral)):
        raise CrossRayError(
            f"{where} has the shape {array.shape} and the type {array.dtype}; labels are one "
            "whole number a row, or a column of zeros and ones a class."
        )
    return array.astype(np.int64)


def _unreadable(path: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
    return f"{path} cannot be read ({reason}); give a complete file of plain numeric arrays."
