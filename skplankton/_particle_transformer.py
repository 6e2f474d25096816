"""What every transformer of particles does with X before it computes anything."""

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import validate_data

from skplankton._labels import check_y
from skplankton._particles import (
    MODALITIES,
    ParticleArray,
    ParticleTable,
    as_table_or_array,
    is_particle_table,
    reject_table_of_words,
    select_view_columns,
)


class ParticleTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """A transformer whose X is a table of particles, or an array cut into two views."""

    # The columns of a table that are needed; a view that is not is not read either.
    _modalities: tuple[str, ...] = MODALITIES

    # How X is read belongs to what was learnt: `fit` keeps these, and `transform` goes
    # by what was kept, whatever set_params has changed since.
    _reading_parameters: tuple[str, ...] = (
        "image_size",
        "profile_length",
        "crop_top",
        "image_shape",
        "profile_shape",
        "size_features",
    )

    def _check_X(self, X, *, reset: bool) -> ParticleTable | ParticleArray:
        X = as_table_or_array(X)
        is_table = is_particle_table(X)
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
        reading = dict(self._reading)
        reading.pop("size_features")  # what is done with what was read
        if not is_table:
            reject_table_of_words(X)
            X = validate_data(
                self,
                X,
                reset=reset,
                dtype=np.float32,
                ensure_min_features=2 if reset else 1,
                ensure_min_samples=2 if reset else 1,
            )
            reading.pop("crop_top")
            return ParticleArray(X, **reading)
        X = select_view_columns(X, self._modalities)
        read = X if self._modalities == MODALITIES else X[list(self._modalities)]
        validate_data(self, read, reset=reset, skip_check_array=True)
        source = ParticleTable(
            X,
            image_size=reading["image_size"],
            profile_length=reading["profile_length"],
            crop_top=reading["crop_top"],
            n_jobs=self.n_jobs,
            errors=self.errors,
        )
        if not reset:
            source.channels, source.n_channels = self._channels, self._n_channels
        return source

    def _check_before_reading(self, X, y) -> None:
        """Raise now what would else be found after all files are read, or trained."""
        from skplankton._encoders import find_factory

        self._hardware()
        if y is not None:
            check_y(X, y)
        for modality in self._modalities:
            find_factory(getattr(self, f"{modality}_encoder"), modality)

    def _check_finite(self, embedded: np.ndarray, rows: np.ndarray) -> None:
        """Raise if an embedding is no number, which would read as a missing view."""
        invalid = rows[~np.isfinite(embedded).all(axis=1)]
        if len(invalid):
            raise ValueError(
                f"The embedding of row {invalid[0]} of X is not finite (nor that of "
                f"{len(invalid) - 1} other rows): its values are too large for the "
                f"number format in use, precision={self.precision!r}. Use "
                "precision='32', or check the row."
            )

    def _remember_form(self, source: ParticleTable | ParticleArray) -> None:
        """Keep what later tables are compared with."""
        self._is_table = isinstance(source, ParticleTable)
        self._channels = source.channels
        self._n_channels = source.n_channels

    def _hardware(self) -> dict:
        from skplankton._devices import choose_device, choose_precision

        device = choose_device(self.device)
        return {
            "device": device,
            "precision": choose_precision(self.precision, device),
        }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.two_d_array = True
        return tags
