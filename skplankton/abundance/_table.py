"""The table of abundances: one row per sample and label."""

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skplankton._utils.random import draw_seeds
from skplankton._utils.sklearn import Interval, StrOptions, validate_params
from skplankton.abundance._calibration import read_calibration
from skplankton.abundance._groups import read_predictions, view_groups
from skplankton.abundance._particles import read_samples
from skplankton.abundance._quantification import (
    METHODS,
    NEED_CALIBRATION,
    NEED_SHARES,
)
from skplankton.abundance._sample import Settings, sample_columns

COLUMNS = {
    "sample_id": "object",
    "label": "object",
    "count": "float64",
    "count_low": "float64",
    "count_high": "float64",
    "share": "float64",
    "concentration": "float64",
    "concentration_low": "float64",
    "concentration_high": "float64",
    "count_predicted": "int64",
    "count_imaged": "Int64",
    "count_profile_only": "Int64",
    "volume_ml": "float64",
    "is_partial": "boolean",
    "note": "object",
}


@validate_params(
    {
        "particles": "no_validation",  # checked together
        "samples": "no_validation",
        "calibration": "no_validation",
        "method": [StrOptions({"auto", *METHODS})],
        "imaged_only": ["boolean"],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def abundance_table(
    particles: pd.DataFrame,
    samples: pd.DataFrame | None = None,
    *,
    calibration: pd.DataFrame | None = None,
    method: str = "auto",
    imaged_only: bool = False,
    confidence_level: float = 0.95,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Count the particles of each label in each sample, with intervals.

    Counts of predicted labels are biased: a rare species seems more abundant while
    another one blooms that is sometimes mistaken for it. With calibration particles,
    whose true labels are known, the counts are corrected. The intervals contain the
    counting error, which is that of a Poisson variable, and the uncertainty of the
    correction.

    Parameters
    ----------
    particles : DataFrame of shape (n_particles, n_columns)
        One row per particle, with the columns `sample_id` and `predicted_label`. A
        particle without a readable view has the label "" or a missing one, and one of
        an unknown species "unknown". Optional columns: `has_image`, whether an image
        was used to classify the particle, and ``share_<label>``, the columns of
        `predict_proba`.
    samples : DataFrame of shape (n_samples, n_columns), default=None
        One row per sample, with the columns `sample_id` and `analyzed_volume_ml`, NaN
        or 0 if it is not known. Optional columns: `is_partial`, `volume_problem` (why
        the volume is not known) and `n_particles`. A sample without particles gets
        counts of 0. None takes the samples of `particles`, and no concentrations are
        computed.
    calibration : DataFrame of shape (n_calibration, n_columns), default=None
        Particles that are not in the gallery, with the columns `label`, the true one,
        and `predicted_label`, by the same classifier. Particles of no class of the
        gallery have the label "unknown"; rows without a label are skipped. With a
        column `has_image` here and in `particles`, those with and without an image are
        calibrated separately. Otherwise, :func:`gallery_calibration` computes one from
        the gallery.
    method : {"auto", "bayes", "acc", "emq", "pcc", "cc"}, default="auto"
        "auto" is "bayes" with `calibration`, and "cc" without.

        - "bayes": the posterior mean, given the numbers of predictions and the
          calibration particles [1]_.
        - "acc", adjusted classify and count: the counts under which the numbers of
          predictions are the most likely, with the rates of mistakes among the
          calibration particles [2]_.
        - "emq": the counts under which the shares are the most likely, by expectation
          maximization [3]_. Needs shares that are calibrated probabilities.
        - "pcc", probabilistic classify and count: the sums of the shares [4]_.
        - "cc", classify and count: the numbers of predictions, uncorrected. The
          interval contains the counting error alone.
    imaged_only : bool, default=False
        Whether only the particles with an image are counted, and scaled to the number
        of all: for species that the profile alone does not distinguish. Valid if
        particles are photographed regardless of their species. Needs `has_image` in
        `particles`.
    confidence_level : float, default=0.95
        Of the intervals, between 0 and 1.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws for the intervals. Pass an int for the same result in each
        call.

    Returns
    -------
    DataFrame of shape (n_samples * (n_labels + 2), 15)
        For each sample one row per label, sorted, one for "unknown" and one for
        particles "without a readable view".

        sample_id : object
            The sample.
        label : str
            The label.
        count, count_low, count_high : float
            The corrected number of particles, and the interval of the number to be
            expected in so much water. NaN if `imaged_only` and none has an image.
        share : float
            `count` over the sum of all rows of the sample.
        concentration, concentration_low, concentration_high : float
            The counts per mL; NaN without a volume.
        count_predicted : int
            Number of particles with that predicted label.
        count_imaged, count_profile_only : Int64
            How many of them have an image, and how many were classified by the profile
            alone; missing without `has_image`. Both are 0 without a readable view.
        volume_ml : float
            The analyzed volume.
        is_partial : boolean
            As in `samples`.
        note : str
            Why there is no concentration or no correction, how counts were scaled, or
            that `samples` knows of more particles.

    Raises
    ------
    ValueError
        If a column is missing, a sample occurs twice or not at all in `samples`, a
        volume is negative, `calibration` has other labels than the classifier, or the
        method needs a calibration or shares that were not passed.
    TypeError
        If a table is not a DataFrame.

    See Also
    --------
    gallery_calibration : Calibration particles from the gallery itself.
    skplankton.GalleryKNNClassifier : Predicts the labels.

    Notes
    -----
    All corrections assume that a species is mistaken for another as often in the
    samples as among the calibration particles, and that only abundances change. Each
    label without a calibration particle is assumed to be always recognized, and `note`
    says so; without calibration particles of the label "unknown", this includes unknown
    species. Particles are assumed to be spread at random in the water: patchiness
    between samples is not in the intervals.

    "bayes" has a gamma prior of shape 1/2 for each expected count (Jeffreys), and a
    Dirichlet prior for the predictions of each true label, worth 4 calibration
    particles, whose mean is the accuracy over all of them and equal rates of all
    mistakes. Posteriors are drawn by Gibbs sampling. ``benchmarks/abundance.py``
    compares the methods and measures how often their intervals contain the truth.

    The upper end for a label that does not occur is that of an exact Poisson interval,
    3.69 particles at a level of 0.95.

    References
    ----------
    .. [1] Ziegler, A. and Czyż, P., "Bayesian quantification with black-box
       estimators", 2023, arXiv:2302.09159.
    .. [2] Solow, A., Davis, C. and Hu, Q., "Estimating the taxonomic composition of a
       sample when individuals are classified with error", 2001, Marine Ecology Progress
       Series 216, 309-311. Here the counts are not negative.
    .. [3] Saerens, M., Latinne, P. and Decaestecker, C., "Adjusting the outputs of a
       classifier to new a priori probabilities: a simple procedure", 2002, Neural
       Computation 14, 21-41.
    .. [4] Bella, A. et al., "Quantification via probability estimators", 2010, IEEE
       International Conference on Data Mining, 737-742.

    Examples
    --------
    >>> import pandas as pd
    >>> from skplankton.abundance import abundance_table
    >>> particles = pd.DataFrame({
    ...     "sample_id": "Monday", "predicted_label": ["diatom"] * 90 + ["ciliate"] * 10
    ... })
    >>> samples = pd.DataFrame({"sample_id": ["Monday"], "analyzed_volume_ml": [2.0]})
    >>> table = abundance_table(particles, samples, random_state=0)
    >>> table[["label", "count", "concentration"]].head(2)
         label  count  concentration
    0  ciliate   10.0            5.0
    1   diatom   90.0           45.0

    One in ten diatoms is mistaken for a ciliate, so that few of the ciliates are real:

    >>> calibration = pd.DataFrame({
    ...     "label": ["diatom"] * 20 + ["ciliate"] * 20,
    ...     "predicted_label": ["diatom"] * 18 + ["ciliate"] * 22,
    ... })
    >>> table = abundance_table(
    ...     particles, samples, calibration=calibration, random_state=0
    ... )
    >>> bool(table["count"][0] < 5 < 10 < table["count_high"][0])
    True
    """
    if method == "auto":
        method = "cc" if calibration is None else "bayes"
    if method not in NEED_CALIBRATION:
        calibration = None
    elif calibration is None:
        raise ValueError(
            f"method={method!r} needs calibration, particles whose true label is "
            "known. Pass validated particles, or gallery_calibration(gallery)."
        )
    else:
        calibration = read_calibration(calibration)
    table = read_predictions(particles, calibration, method in NEED_SHARES)
    groups = view_groups(table, calibration, imaged_only)
    samples = read_samples(samples, table.sample_ids)
    ids = pd.Series(table.sample_ids).astype(str)
    rows_of = ids.groupby(ids, sort=False).indices
    seeds = draw_seeds(len(samples), random_state)
    settings = Settings(
        table,
        groups,
        METHODS[method],
        calibration is not None,
        imaged_only,
        confidence_level,
    )
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for sample, seed in zip(samples.to_dict("records"), seeds, strict=True):
        rows = rows_of.get(str(sample["sample_id"]), np.empty(0, dtype=np.intp))
        if not len(rows) and sample["n_particles"] > 0:
            raise ValueError(
                f"samples says that {sample['sample_id']!r} has "
                f"{sample['n_particles']:.0f} particles, and particles has none of "
                "them. Pass the predicted labels of all samples, or leave it out."
            )
        found = sample_columns(settings, sample, rows, seed)
        for name, values in columns.items():
            values.extend(found[name])
    return pd.DataFrame(
        {name: pd.Series(columns[name], dtype=dtype) for name, dtype in COLUMNS.items()}
    )
