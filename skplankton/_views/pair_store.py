"""Arrays that grow by chunks of rows: in memory, or beyond a limit in a file."""

import tempfile
from contextlib import ExitStack
from typing import IO

import numpy as np

# What one array may hold in memory, in bytes: images of 64 × 64 pixels of some 260,000
# particles. The pages of a file are memory too, as long as there is enough of it.
LARGEST_IN_MEMORY = 2**31


class GrowingArray:
    """Rows that come a chunk at a time.

    Beyond the limit they are written to a temporary file without a name, which is gone
    when the array is, however the process ends. It lies where Python puts temporary
    files (the environment's TMPDIR); where the disk is full, writing raises OSError.

    Parameters
    ----------
    n_rows : int
        The most there will be.
    files : ExitStack
        Closes the file, which `finished` arrays no longer need.
    """

    def __init__(self, n_rows: int, files: ExitStack):
        self.n_rows = n_rows
        self.files = files
        self.n_filled = 0
        self._array: np.ndarray | None = (
            None  # where the rows are, or one of their kind
        )
        self._file: IO[bytes] | None = None

    def append(self, rows: np.ndarray) -> None:
        """Add some rows, all of one shape; none at all may have any.

        Rows of a wider dtype than those before, as images of 16 bits are among images
        of 8, widen these as well.
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
        return np.asarray(mapped)  # a plain array, which keeps the map

    def _widen(self, dtype: np.dtype) -> None:
        wider = GrowingArray(self.n_rows, self.files)  # which may need a file
        for row in self.finished():
            wider.append(row[None].astype(dtype))
        if self._file is not None:
            self._file.close()
        self._array, self._file = wider._array, wider._file
