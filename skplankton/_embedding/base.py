"""Base of the embedders: check X, read it, embed it in chunks."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from skplankton._utils.cluster_frames import reject_cluster_frame
from skplankton._utils.fitting import all_or_nothing
from skplankton._utils.labels import check_y
from skplankton._utils.progress import progress
from skplankton._views.pair_store import GrowingArray
from skplankton._views.particle_table import MODALITIES, is_particle_table
from skplankton._views.table import (
    ParticleArray,
    ParticleTable,
    View,
    as_table_or_array,
    reject_non_numeric,
    select_modality_columns,
)

# Rows decoded at a time per job, in fit and transform: the memory needed beyond the
# result.
ROWS_PER_CHUNK = 512


class ParticleTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """A transformer of a table of particles, or of an array of both modalities."""

    # The required columns of a table; no other modality is read.
    _modalities: tuple[str, ...] = MODALITIES

    # Whether a table's profiles are vectors; in models saved before, they are not.
    _is_vector: bool = False

    # How X is read is part of the fitted model: `fit` stores these, and `transform`
    # uses the stored ones, even if set_params has changed them since.
    _reading_parameters: tuple[str, ...] = (
        "image_size",
        "profile_length",
        "crop_top",
        "crop_bottom",
        "image_shape",
        "profile_shape",
        "size_features",
    )

    @all_or_nothing
    def _fit_particles(self, X, y) -> None:
        """`fit`: check the parameters and X, and train."""
        with self._agreed():
            self._check_parameters_and_y(X, y)
            source = self._check_X(X, reset=True)
        self._fit(source)
        self._store_input_format(source)
        source.problems.report("X")

    def _fit(self, source: ParticleTable | ParticleArray) -> None:
        """Train on the rows that have every modality, and set the fitted attributes."""
        raise NotImplementedError

    def _agreed(self) -> AbstractContextManager:
        """A block that raises in all processes of the training if it does in one."""
        return nullcontext()

    def _verbosity(self) -> int:
        """How much this process shows."""
        return int(self.verbose)

    def _modalities_out(self) -> tuple[str, ...]:
        """The modalities that are embedded."""
        return self._modalities

    def _encoder(self) -> tuple[Callable, int]:
        """The function that encodes in `_embed_chunks`, and the width of its rows."""
        raise NotImplementedError

    def _combine(self, embeddings: dict[str, np.ndarray]) -> np.ndarray:
        """The rows of the result, from one chunk's embeddings of each modality."""
        raise NotImplementedError

    def _transform_particles(self, X) -> np.ndarray:
        """`transform`: embed the modalities of `_modalities_out`, then combine them."""
        check_is_fitted(self)
        self._validate_params()  # some may have been set since the fit
        source = self._check_X(X, reset=False)
        embedded = np.empty((len(source), self._n_features_out), dtype=np.float32)
        encode, width = self._encoder()
        n_done = 0
        for embeddings in self._embed_chunks(
            source, np.arange(len(source)), self._modalities_out(), encode, width
        ):
            chunk = self._combine(embeddings)
            embedded[n_done : n_done + len(chunk)] = chunk
            n_done += len(chunk)
        source.problems.report("X")
        return embedded

    def _check_X(self, X, *, reset: bool) -> ParticleTable | ParticleArray:
        X = as_table_or_array(X)
        is_table = is_particle_table(X)
        if not is_table:
            reject_non_numeric(X)
        if not reset and is_table != self._is_table:
            columns = " and ".join(map(repr, self._modalities))
            forms = {
                True: f"a table with the column{'s' * (len(self._modalities) > 1)} "
                f"{columns}",
                False: "a numeric array",
            }
            raise ValueError(
                f"X is {forms[is_table]}, but {type(self).__name__} was fitted on "
                f"{forms[self._is_table]}."
            )
        if reset:
            names = self._reading_parameters
            self._reading = {name: getattr(self, name) for name in names}
        # Models saved before there was a crop_bottom had none.
        reading = {"crop_bottom": 0, **self._reading}
        reading.pop("size_features")  # used after reading
        if not is_table:
            X = validate_data(
                self,
                X,
                reset=reset,
                dtype=np.float32,
                ensure_min_features=2 if reset else 1,
                ensure_min_samples=2 if reset else 1,
            )
            del reading["crop_top"], reading["crop_bottom"]
            return ParticleArray(X, **reading)
        X = select_modality_columns(X, self._modalities)
        read = X if self._modalities == MODALITIES else X[list(self._modalities)]
        validate_data(self, read, reset=reset, skip_check_array=True)
        source = ParticleTable(
            X,
            image_size=reading["image_size"],
            profile_length=reading["profile_length"],
            crop_top=reading["crop_top"],
            crop_bottom=reading["crop_bottom"],
            n_jobs=self.n_jobs,
            errors=self.errors,
        )
        if not reset:
            source.channels, source.n_channels = self._channels, self._n_channels
            source.is_vector = self._is_vector
        return source

    def _check_parameters_and_y(self, X, y) -> None:
        """Raise errors that would otherwise appear only after reading or training."""
        from skplankton._nn.encoders import find_factory

        reject_cluster_frame(X)
        self._hardware()
        if y is not None:
            check_y(X, y)
        for modality in self._modalities:
            find_factory(getattr(self, f"{modality}_encoder"), modality)

    def _check_finite(self, embedded: np.ndarray, rows: np.ndarray) -> None:
        """Raise if an embedding is not finite: NaN would mean a missing modality."""
        invalid = rows[~np.isfinite(embedded).all(axis=1)]
        if len(invalid):
            raise ValueError(
                f"The embedding of row {invalid[0]} of X is not finite (nor that of "
                f"{len(invalid) - 1} other rows): its values are too large for the "
                f"number format in use, precision={self.precision!r}. Use "
                "precision='32', or check the row."
            )

    def _read_rows(
        self, source: ParticleTable | ParticleArray, rows: np.ndarray
    ) -> dict[str, np.ndarray]:
        """All readable rows by modality; the key `image_size` holds the image sizes."""
        stores: dict[str, GrowingArray] = {}
        bar = progress(
            total=len(rows), desc="reading", unit="rows", disable=self._verbosity() != 1
        )
        with ExitStack() as files, bar:
            for chunk in _chunks(source, rows):
                for name, values in self._arrays_of(source, chunk).items():
                    if name not in stores:
                        stores[name] = GrowingArray(len(rows), files)
                    stores[name].append(values)
                bar.update(len(chunk))
            return {name: store.finished() for name, store in stores.items()}

    def _arrays_of(
        self, source: ParticleTable | ParticleArray, rows: np.ndarray
    ) -> dict[str, np.ndarray]:
        views: dict[str, View] = {}
        # Rows that cannot be read of one modality are not read of the next.
        for modality in self._modalities:
            views[modality] = source.read(modality, rows)
            rows = views[modality].rows
        arrays = {}
        for modality, view in views.items():
            in_all = np.isin(view.rows, rows, assume_unique=True)
            if not in_all.all():
                view = view.select(in_all)
            arrays[modality] = view.values
            if self._reading["size_features"] and view.sizes is not None:
                arrays[f"{modality}_size"] = view.sizes
        return arrays

    def _embed_chunks(
        self,
        source: ParticleTable | ParticleArray,
        rows: np.ndarray,
        modalities: tuple[str, ...],
        encode: Callable[[str, np.ndarray, np.ndarray | None], np.ndarray],
        width: int,
    ) -> Iterator[dict[str, np.ndarray]]:
        """Embed rows in chunks; NaN where the modality of a row is missing.

        `encode` takes a modality, its values and its sizes, and returns one row of
        `width` numbers per value.
        """
        chunks = _chunks(source, rows)
        for chunk, views in zip(
            chunks, _read_ahead(source, chunks, modalities), strict=True
        ):
            embeddings = {}
            for modality, (read, values, sizes) in views.items():
                embedded = np.full((len(chunk), width), np.nan, dtype=np.float32)
                if len(read):
                    if not self._reading["size_features"]:
                        sizes = None
                    rows_read = encode(modality, values, sizes)
                    self._check_finite(rows_read, read)
                    embedded[np.isin(chunk, read)] = rows_read
                embeddings[modality] = embedded
            yield embeddings

    def _store_input_format(self, source: ParticleTable | ParticleArray) -> None:
        """Store what the X of `transform` must agree with."""
        self._is_table = isinstance(source, ParticleTable)
        self._channels = source.channels
        self._n_channels = source.n_channels
        self._is_vector = source.is_vector

    def _hardware(self) -> dict:
        from skplankton._training.devices import choose_device, choose_precision

        device = choose_device(self.device)
        return {
            "device": device,
            "precision": choose_precision(self.precision, device),
        }

    def __setstate__(self, state):
        super().__setstate__({"crop_bottom": 0, **state})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.two_d_array = True
        return tags


def _chunks(source, rows: np.ndarray) -> list[np.ndarray]:
    """The rows in chunks of up to ROWS_PER_CHUNK per job."""
    n_rows = ROWS_PER_CHUNK * source.n_jobs
    return [rows[start : start + n_rows] for start in range(0, len(rows), n_rows)]


def _read_ahead(
    source, chunks: list[np.ndarray], modalities: tuple[str, ...]
) -> Iterator[dict[str, View]]:
    """The data of each chunk of rows; the next is read while this one is in use.

    Decoding images and multiplying matrices both let other threads run.
    """

    def read(chunk: np.ndarray) -> dict[str, View]:
        return {
            modality: source.read(modality, chunk[source.present[modality][chunk]])
            for modality in modalities
        }

    if len(chunks) == 1:
        yield read(chunks[0])
        return
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(read, chunks[0])
        for following in chunks[1:]:
            views = ahead.result()
            ahead = pool.submit(read, following)
            yield views
        yield ahead.result()
