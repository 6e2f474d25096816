"""X, a table or an array, as a source of image and profile arrays.

A source knows which rows have which modality, and reads some rows of one modality at a
time: nothing is decoded before it is needed, or held after.
"""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from PIL import Image
from scipy.sparse import issparse

from skplankton._utils.cluster_frames import reject_cluster_frame
from skplankton._utils.jobs import local_jobs
from skplankton._utils.reports import Problems, shortened
from skplankton._views.decoding import (
    Decoded,
    compress_profile,
    decode_image,
    decode_profile,
    fit_to_square,
)
from skplankton._views.entries import STORED, entry_name, is_missing
from skplankton._views.particle_table import MODALITIES

# Enough to hide the cost of passing a task to a worker, few enough for the memory.
ENTRIES_PER_TASK = 256
_LONGEST_NAMES = 200  # characters of the names of a profile's channels, in errors
MAX_ENLARGEMENT = 4  # of images and profiles of an array


class View(NamedTuple):
    """Some rows of one modality.

    `rows` are those that were read: fewer than requested if some cannot be. `values`
    has the shape (n, *sample_shape). `sizes` holds the logarithms of the original size:
    height and width in pixels, or length in samples; None for vectors.
    """

    rows: np.ndarray
    values: np.ndarray
    sizes: np.ndarray | None

    def select(self, which: np.ndarray) -> "View":
        """The rows where `which` is True."""
        sizes = None if self.sizes is None else self.sizes[which]
        return View(self.rows[which], self.values[which], sizes)


EXPECTED = (
    "expected a table, pandas.DataFrame({'image': images, 'profile': profiles}), or a "
    "2-D array of numbers"
)


def as_table_or_array(X):
    """X itself, or as a pandas table if it is one of polars or Arrow.

    Raises
    ------
    TypeError
        If X holds images and profiles, but not in a table, or not in memory.
    """
    reject_cluster_frame(X)
    kind = f"{type(X).__module__.partition('.')[0]}.{type(X).__name__}"
    if kind == "polars.DataFrame":
        names = [name for name in MODALITIES if name in X.columns]
        return pd.DataFrame({n: _cells(X[n]) for n in names}) if names else X
    if kind == "pyarrow.Table":
        names = [name for name in MODALITIES if name in X.column_names]
        return (X.select(names) if names else X).to_pandas(ignore_metadata=True)
    if kind.endswith(".LazyFrame"):
        raise TypeError(f"X is a {kind}; {EXPECTED}. Pass X.collect().")
    # A Bunch is a mapping, and so are some sparse arrays, which are rejected as such.
    if isinstance(X, Mapping) and not issparse(X):
        keys = ", ".join(repr(key) for key in list(X)[:5])
        if {"data", "target"} <= set(X):
            hint = "X = particles.data, y = particles.target"
        else:
            hint = "pandas.DataFrame(X)"
        raise TypeError(
            f"X is a {type(X).__name__} with the keys {keys}; {EXPECTED}. Pass {hint}."
        )
    if hasattr(X, "columns") and not isinstance(X, pd.DataFrame):
        raise TypeError(
            f"X is a {kind}; {EXPECTED}, in memory. Convert it first, for example by "
            "X.to_pandas()."
        )
    return X


def _cells(column) -> list:
    """The values of a polars column; lists as arrays, which keep their dtype."""
    if not hasattr(column.dtype, "inner"):  # neither List nor Array
        return column.to_list()
    return [None if cell is None else _unnested(cell) for cell in column]


def _unnested(values):
    """A polars Series as an array, or as a list of arrays if they differ in length."""
    if not str(values.dtype).startswith("List"):
        return values.to_numpy()
    # One level after the other: polars 1.0 returns wrong values of lists in lists.
    lengths = values.list.len()
    if lengths.n_unique() == 1 and lengths[0]:
        parts = _unnested(values.explode())
        if isinstance(parts, np.ndarray):
            return parts.reshape(len(values), lengths[0], *parts.shape[1:])
    return _cells(values)


def reject_non_numeric(X) -> None:
    """Raise with the expected columns, where numpy would only fail to read a string."""
    if X is None or isinstance(X, str | os.PathLike | bytes | Iterator):
        folder = " The loaders in skplankton.datasets read folders and files."
        raise TypeError(
            f"X is {'None' if X is None else f'a {type(X).__name__}'}; {EXPECTED}."
            f"{folder if isinstance(X, str | os.PathLike) else ''}"
        )
    if isinstance(X, np.ndarray) and X.dtype.kind in "OUS" and X.ndim and X.size:
        entry = X.flat[0]
        if isinstance(entry, (str, os.PathLike, bytes, np.ndarray)):
            raise TypeError(
                f"X is an array of objects such as {type(entry).__name__}; {EXPECTED}. "
                "Pass the DataFrame itself rather than its values."
            )
    if isinstance(X, pd.Series) and any(name in X.index for name in MODALITIES):
        raise TypeError(
            f"X is a Series, one row of a table; {EXPECTED}. A table of one row is "
            "X.iloc[[0]], with two pairs of brackets."
        )
    if isinstance(X, list | tuple | pd.Series) and len(X):
        first = X.iloc[0] if isinstance(X, pd.Series) else X[0]
        is_list = isinstance(first, list | tuple) and len(first) > 0
        inner = first[0] if is_list else first  # of a pair of lists, for example
        is_entry = isinstance(inner, np.ndarray) and inner.ndim > 1
        is_file = isinstance(inner, (str, os.PathLike, bytes, bytearray, memoryview))
        if is_entry or is_file or isinstance(inner, (dict, *STORED)):
            raise TypeError(
                f"X is a {type(X).__name__} of {type(first).__name__}; {EXPECTED}."
            )
    if isinstance(X, np.ndarray) and X.ndim in (3, 4):
        raise ValueError(
            f"X is an array of shape {X.shape}, as of images alone; {EXPECTED}. "
            "Images and profiles are paired in a table: pandas.DataFrame({'image': "
            "list(images), 'profile': list(profiles)})."
        )
    texts = X.select_dtypes(exclude="number") if hasattr(X, "select_dtypes") else None
    if texts is not None and len(texts.columns):
        raise ValueError(
            f"X has neither an 'image' nor a 'profile' column, and its column "
            f"{texts.columns[0]!r} is not numeric. A table of particles has the "
            "columns 'image' and 'profile'; rename yours, e.g. X.rename(columns={...})."
        )


def select_modality_columns(X: pd.DataFrame, needed=MODALITIES) -> pd.DataFrame:
    """The columns image and profile, in this order; the others are ignored."""
    missing = [name for name in needed if name not in X.columns]
    if missing:
        raise ValueError(
            f"X has no column {missing[0]!r}; got the columns {list(X.columns)[:10]}"
            f"{', …' * (len(X.columns) > 10)}. A table of particles has the columns "
            "'image' and 'profile'. If measurements are in columns of their own, set "
            "X['profile'] = [row for _, row in X[names].iterrows()]; if no particle "
            f"has that modality, X[{missing[0]!r}] = None."
        )
    if tuple(X.columns) == MODALITIES:  # already selected
        return X
    for name in MODALITIES:
        n_columns = list(X.columns).count(name)
        if n_columns > 1:
            raise ValueError(
                f"X has {n_columns} columns {name!r}, and one is expected. Remove or "
                "rename the others."
            )
    return X.reindex(columns=list(MODALITIES))


class ParticleTable:
    """A table with entries of any kind as image and profile.

    Its profiles are either all sequences, or all vectors of measurements.
    """

    def __init__(
        self,
        X: pd.DataFrame,
        *,
        image_size,
        profile_length,
        crop_top,
        crop_bottom=0,
        n_jobs=None,
        errors="raise",
    ):
        self.entries = {name: X[name].to_numpy(dtype=object) for name in MODALITIES}
        if not len(X):
            raise ValueError("X is a table of 0 rows; at least one particle is needed.")
        self.index = X.index
        # Counted here: a reading thread does not see the joblib context of its caller.
        self.n_jobs, self._backend = local_jobs(n_jobs)
        self.problems = Problems(errors)
        self.decoders = {
            "image": partial(
                decode_image,
                image_size=image_size,
                crop_top=crop_top,
                crop_bottom=crop_bottom,
            ),
            "profile": partial(decode_profile, profile_length=profile_length),
        }
        # Of the first profile read, with which the others must agree: the names and
        # the number of its channels, or of its measurements if it is a vector.
        self.channels: tuple[str, ...] | None = None
        self.n_channels: int | None = None
        self.is_vector = False
        self.present = {
            name: np.array([not is_missing(entry) for entry in self.entries[name]])
            for name in MODALITIES
        }
        rows = np.flatnonzero(~(self.present["image"] | self.present["profile"]))
        if len(rows):
            self.problems.add(
                f"{self._row_label(rows[0])} has neither an image nor a profile"
                f"{_and_more(rows)}. Drop such rows.",
                "a row with neither image nor profile gets no embedding",
                count=len(rows),
            )

    def __len__(self) -> int:
        return len(self.index)

    def fingerprint(self) -> str:
        """What differs between tables of other particles, without reading any file."""
        names = [entry_name(e) for column in self.entries.values() for e in column]
        ends = [e for column in self.entries.values() for e in column[[0, -1]]]
        arrays = [entry for entry in ends if not entry_name(entry)]
        texts = "\n".join([*names, *map(str, self.index)])
        known = joblib.hash((texts, arrays, self.present))
        return f"{len(self)} rows, hash {known}"

    def read(self, modality: str, rows: np.ndarray) -> View:
        """Decode the entries of some rows; unreadable ones are recorded as problems."""
        entries, decode = self.entries[modality], self.decoders[modality]
        tasks = [
            rows[start : start + ENTRIES_PER_TASK]
            for start in range(0, len(rows), ENTRIES_PER_TASK)
        ]
        n_jobs = min(self.n_jobs, len(tasks))
        stop_at_error = self.problems.errors == "raise"
        if n_jobs > 1:
            chunks = Parallel(n_jobs=n_jobs, backend=self._backend)(
                delayed(decode_entries)(decode, entries[task], stop_at_error)
                for task in tasks
            )
        else:
            chunks = [decode_entries(decode, entries[t], stop_at_error) for t in tasks]
        results = [result for chunk in chunks for result in chunk]
        failed = np.array([isinstance(r, Exception) for r in results], dtype=bool)
        for i in np.flatnonzero(failed):
            self._record_problem(modality, rows[i], results[i])
        decoded = [result for result in results if isinstance(result, Decoded)]
        rows = rows[: len(results)][~failed]
        if modality == "profile":
            self._check_channels(decoded, rows)
        if not decoded:
            return View(rows, np.empty((0,)), None)
        values = np.stack([entry.values for entry in decoded])
        if not decoded[0].size:
            return View(rows, values, None)
        sizes = np.log(np.array([entry.size for entry in decoded], dtype=np.float32))
        return View(rows, values, sizes)

    def _record_problem(self, modality: str, row: int, error: Exception) -> None:
        """Raise or record the error of an entry that cannot be read, with its row."""
        add_unreadable(
            self.problems,
            self._row_label(row),
            modality,
            self.entries[modality][row],
            error,
            "an entry that cannot be read is treated as missing",
        )

    def _check_channels(self, decoded: list[Decoded], rows: np.ndarray) -> None:
        for entry, row in zip(decoded, rows, strict=True):
            n_channels, is_vector = len(entry.values), entry.values.ndim == 1
            if self.n_channels is None:
                self.n_channels, self.is_vector = n_channels, is_vector
            if is_vector != self.is_vector:
                raise ValueError(
                    f"{self._row_label(row)}: the profile is "
                    f"{_kind_of_profile(is_vector)}, where "
                    f"{_kind_of_profile(self.is_vector)} was expected as in the other "
                    "profiles. All profiles of a table, and of the table used in fit, "
                    "must be of the same kind."
                )
            if is_vector:
                self._check_measurements(entry, row)
                continue
            if self.channels is None and n_channels == self.n_channels:
                self.channels = entry.channels
            if entry.channels is not None and self.channels is not None:
                if entry.channels != self.channels:
                    shared = [name for name in self.channels if name in entry.channels]
                    raise ValueError(
                        f"{self._row_label(row)}: the profile"
                        f"{entry_name(self.entries['profile'][row])} has the channels "
                        f"{_shown(entry.channels)}, where {_shown(self.channels)} were "
                        "expected as in the other profiles. Keep the channels that all "
                        "profiles have, in one order; load instrument files with "
                        f"channels={_shown(shared)}."
                    )
            elif n_channels != self.n_channels:
                raise ValueError(
                    f"{self._row_label(row)}: the profile has {n_channels} channels, "
                    f"where {self.n_channels} were expected as in the other profiles. "
                    "All profiles of a table, and of the table used in fit, must have "
                    "the same channels."
                )

    def _check_measurements(self, entry: Decoded, row: int) -> None:
        if len(entry.values) != self.n_channels:
            raise ValueError(
                f"{self._row_label(row)}: the profile has {len(entry.values)} "
                f"measurements, where {self.n_channels} were expected as in the other "
                "profiles. All profiles of a table, and of the table used in fit, must "
                "have the same measurements, in one order; a missing one is NaN."
            )
        if self.channels is None:
            self.channels = entry.channels
        if entry.channels not in (None, self.channels):
            raise ValueError(
                f"{self._row_label(row)}: the profile has the measurements "
                f"{_shown(entry.channels)}, where {_shown(self.channels)} were "
                "expected as in the other profiles. Bring them into one order; a "
                "missing one is NaN."
            )

    def _row_label(self, row: int) -> str:
        return row_label(self.index, row)


class ParticleArray:
    """A 2-D array with the columns [image | profile], none missing."""

    def __init__(
        self, X: np.ndarray, *, image_shape, profile_shape, image_size, profile_length
    ):
        n_image, _ = split_columns(X.shape[1], image_shape, profile_shape)
        self.columns = {"image": X[:, :n_image], "profile": X[:, n_image:]}
        self.shapes = {"image": image_shape, "profile": profile_shape}
        self.present = {name: np.ones(len(X), dtype=bool) for name in MODALITIES}
        # Small images and profiles are enlarged by a limited factor: at the size of a
        # particle's image, they would show little detail to large receptive fields.
        self.image_size = _enlarged(image_shape, image_size)
        self.profile_length = _enlarged((profile_shape or [])[:1], profile_length)
        self.channels, self.n_channels, self.is_vector = None, None, False
        self.problems = Problems("raise")  # an array's values were checked
        self.n_jobs = 1  # there is nothing to decode

    def __len__(self) -> int:
        return len(self.columns["image"])

    def fingerprint(self) -> str:
        """What differs between two arrays of other particles."""
        return f"{len(self)} rows, hash {joblib.hash(self.columns)}"

    def read(self, modality: str, rows: np.ndarray) -> View:
        """Reshape some rows; a flat vector is returned as it is."""
        values = self.columns[modality][rows]
        shape = self.shapes[modality]
        if shape is None or len(shape) == 1:
            return View(rows, values, None)
        samples = values.reshape(-1, *shape)
        if modality == "image":
            fitted = [
                fit_to_square(Image.fromarray(pixels), self.image_size)[None]
                for pixels in samples
            ]
        else:
            fitted = [compress_profile(s, self.profile_length) for s in samples]
        return View(rows, np.stack(fitted), None)


def split_columns(n_columns: int, image_shape, profile_shape) -> tuple[int, int]:
    """The numbers of columns of the image and of the profile."""
    for name, shape in (("image_shape", image_shape), ("profile_shape", profile_shape)):
        if shape is not None and (len(shape) not in (1, 2) or min(shape) < 1):
            raise ValueError(
                f"{name}={shape!r}; expected two numbers of at least 1, (height, "
                "width) of an image or (length, n_channels) of a profile, or one, "
                "(n_columns,) of a flat vector."
            )
    n_image = None if image_shape is None else int(np.prod(image_shape))
    n_profile = None if profile_shape is None else int(np.prod(profile_shape))
    if n_image is None:
        n_image = n_columns // 2 if n_profile is None else n_columns - n_profile
    if n_profile is None:
        n_profile = n_columns - n_image
    if n_image + n_profile != n_columns or min(n_image, n_profile) < 1:
        raise ValueError(
            f"X has {n_columns} columns, which image_shape={image_shape} and "
            f"profile_shape={profile_shape} do not match: an image takes height × "
            "width columns, a profile length × channels, and each of them at least one."
        )
    return n_image, n_profile


def _enlarged(shape, largest: int) -> int:
    return min(largest, MAX_ENLARGEMENT * max(shape)) if shape else largest


def decode_entries(decode, entries, stop_at_error: bool) -> list[Decoded | Exception]:
    """The decoded entries, with the error in place of each unreadable one."""
    results: list[Decoded | Exception] = []
    for entry in entries:
        try:
            results.append(decode(entry))
        except ImportError:  # not a fault of the entry
            raise
        except Exception as error:
            results.append(error)
            if stop_at_error:
                break
    return results


def _shown(names) -> str:
    return shortened(str(names), _LONGEST_NAMES)


def _kind_of_profile(is_vector: bool) -> str:
    return (
        "a vector of measurements, of shape (n_measurements,)"
        if is_vector
        else "a sequence, of shape (length, n_channels)"
    )


def row_label(index: pd.Index, row: int) -> str:
    """The row in messages, with its label in the index if that is another."""
    label = index[row]
    is_position = isinstance(label, int | np.integer) and label == row
    return f"row {row}" if is_position else f"row {row} (index {label!r})"


def add_unreadable(
    problems: Problems,
    where: str,
    modality: str,
    entry,
    error: Exception,
    consequence: str,
) -> None:
    """Raise or record the error of an entry that cannot be read."""
    problems.add(
        f"{where}: the {modality}{entry_name(entry)} could not be read: {error}.",
        consequence,
        cause=error,
    )


def _and_more(rows: np.ndarray) -> str:
    return f", and {len(rows) - 1} more rows" if len(rows) > 1 else ""
