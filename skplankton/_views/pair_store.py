"""Arrays that grow by chunks of rows, in memory or beyond a limit in a file."""

import tempfile
from contextlib import ExitStack
from typing import IO

import numpy as np

# Largest array in memory, in bytes: images of 48 × 48 pixels of some 460,000
# particles. The pages of a file are cached in memory too, as long as it suffices.
LARGEST_IN_MEMORY = 2**31


class GrowingArray:
    """Rows that arrive in chunks.

    Beyond the limit they are written to an unnamed temporary file, which is removed
    with the array, however the process ends. It is in Python's folder for temporary
    files (the environment's TMPDIR); if the disk is full, writing raises OSError.

    Parameters
    ----------
    n_rows : int
        The largest number of rows.
    files : ExitStack
        Closes the file, which `finished` arrays do not need.
    """

    def __init__(self, n_rows: int, files: ExitStack):
        self.n_rows = n_rows
        self.files = files
        self.n_filled = 0
        # The rows, or an empty array of their shape and dtype if they are in the file.
        self._array: np.ndarray | None = None
        self._file: IO[bytes] | None = None

    def append(self, rows: np.ndarray) -> None:
        """Add rows, all of one shape; an empty array may have any shape.

        Rows of a wider dtype than those before, such as images of 16 bits after images
        of 8 bits, widen these as well.
        """
        if not len(rows):
            return
        if self._array is not None:
            dtype = np.promote_types(self._array.dtype, rows.dtype)
            if dtype != self._array.dtype:
                self._widen(dtype)
            rows = rows.astype(dtype, copy=False)
        if self._array is None:
            if self.n_rows * rows[0].nbytes > LARGEST_IN_MEMORY:
                self._array = rows[:0].copy()
                self._file = self.files.enter_context(
                    tempfile.TemporaryFile()  # noqa: SIM115, the stack closes it
                )
            else:
                self._array = np.empty((self.n_rows, *rows.shape[1:]), rows.dtype)
        if self._file is None:
            self._array[self.n_filled : self.n_filled + len(rows)] = rows
        else:
            self._file.write(np.ascontiguousarray(rows).data)
        self.n_filled += len(rows)

    def finished(self) -> np.ndarray:
        """All rows that were added."""
        if self._array is None:
            return np.empty((0,))
        if self._file is None:
            return self._array[: self.n_filled]
        self._file.flush()
        shape = (self.n_filled, *self._array.shape[1:])
        mapped = np.memmap(self._file, self._array.dtype, mode="r", shape=shape)
        return np.asarray(mapped)  # a plain array that keeps the map

    def _widen(self, dtype: np.dtype) -> None:
        wider = GrowingArray(self.n_rows, self.files)  # may need a file
        for row in self.finished():
            wider.append(row[None].astype(dtype))
        if self._file is not None:
            self._file.close()
        self._array, self._file = wider._array, wider._file
