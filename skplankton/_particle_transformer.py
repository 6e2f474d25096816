"""What every transformer of particles does with X before it computes anything."""

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import validate_data

from skplankton._particles import (
    MODALITIES,
    ParticleArray,
    ParticleTable,
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

    def _check_X(self, X, *, reset: bool) -> ParticleTable | ParticleArray:
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
        sizes = {
            "image_size": self.image_size,
            "profile_length": self.profile_length,
        }
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
            return ParticleArray(
                X,
                image_shape=self.image_shape,
                profile_shape=self.profile_shape,
                **sizes,
            )
        X = select_view_columns(X, self._modalities)
        validate_data(
            self, X[list(self._modalities)], reset=reset, skip_check_array=True
        )
        source = ParticleTable(
            X, **sizes, crop_top=self.crop_top, n_jobs=self.n_jobs, errors=self.errors
        )
        if not reset:
            source.channels, source.n_channels = self._channels, self._n_channels
        return source

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
