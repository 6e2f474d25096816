"""The tables of particles, of calibration particles and of samples, validated."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from skplankton._utils.reports import listed

NO_VIEW = ""  # the predicted label of particles without a readable view
SHARE = "share_"  # and a label: the name of a column of shares


def check_columns(table: pd.DataFrame, name: str, needed: Sequence[str]) -> None:
    """Raise unless `table` is a DataFrame with these columns."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"{name} is a {type(table).__name__}; expected a DataFrame with the "
            f"columns {', '.join(needed)}."
        )
    missing = [column for column in needed if column not in table]
    if missing:
        raise ValueError(
            f"{name} has no column {', '.join(map(repr, missing))}; it has "
            f"{shown(table.columns)}."
        )


def as_labels(labels: pd.Series) -> np.ndarray:
    """The labels as strings; "" for missing ones."""
    return np.where(labels.isna(), NO_VIEW, labels.astype(str)).astype(object)


def has_image(table: pd.DataFrame, name: str) -> np.ndarray | None:
    """The column `has_image` as bools; None without it."""
    if "has_image" not in table:
        return None
    values = table["has_image"]
    if values.isna().any() or not values.isin([False, True]).all():
        is_bool = values.isin([False, True]) & values.notna()
        row = np.flatnonzero(~is_bool)[0]
        raise ValueError(
            f"{name} has {values.iloc[row]!r} as has_image in row {row}. Expected True "
            "or False: whether an image was used to classify the particle."
        )
    return values.to_numpy(dtype=bool)


def share_labels(table: pd.DataFrame) -> list[str]:
    """The labels for which the table has a column of shares."""
    names = [column for column in table if str(column).startswith(SHARE)]
    return [str(name)[len(SHARE) :] for name in names]


def shares(
    table: pd.DataFrame, predicted: np.ndarray, labels: list[str], name: str
) -> np.ndarray:
    """Shares of the votes for all labels, of shape (n_particles, n_labels).

    A particle whose predicted label has no column of shares, such as an unknown one,
    has a share of 1 of that label.
    """
    voted = share_labels(table)
    if not voted:
        raise ValueError(
            f"{name} has no columns of shares, which this method needs. Add predict_"
            f"proba as columns {SHARE}<label>, or choose another method."
        )
    position = {label: i for i, label in enumerate(labels)}
    found = np.zeros((len(table), len(labels)))
    columns = [SHARE + label for label in voted]
    found[:, [position[label] for label in voted]] = np.stack(
        [_numbers(table[column], name) for column in columns], axis=1
    )
    other = np.flatnonzero(~np.isin(predicted, voted))
    found[other] = 0.0
    found[other, [position[label] for label in predicted[other]]] = 1.0
    is_wrong = ~(found >= 0).all(axis=1) | (np.abs(found.sum(axis=1) - 1) > 0.01)
    if is_wrong.any():
        row = np.flatnonzero(is_wrong)[0]
        raise ValueError(
            f"The shares of {name} in row {table.index[row]!r} are "
            f"{found[row].round(3).tolist()}. Expected numbers from 0 to 1 that sum to "
            "1, as predict_proba returns them."
        )
    return found


def read_samples(samples: pd.DataFrame | None, sample_ids: np.ndarray) -> pd.DataFrame:
    """One row per sample, with all columns: those given, or those of the particles."""
    if samples is None:
        found = pd.DataFrame({"sample_id": pd.unique(sample_ids)})
        found["volume_problem"] = "samples not given"
        return _with_all_columns(found)
    check_columns(samples, "samples", ["sample_id", "analyzed_volume_ml"])
    samples = _with_all_columns(samples)
    ids = samples["sample_id"]
    if ids.isna().any():
        raise ValueError(
            f"samples has no sample_id in row {np.flatnonzero(ids.isna())[0]}. Each "
            "sample needs one."
        )
    twice = ids[ids.astype(str).duplicated()]
    if len(twice):
        raise ValueError(
            f"samples has several rows with the sample_id {shown(pd.unique(twice))}. "
            "Expected one row per sample: rename the samples, or keep one row each."
        )
    other = np.setdiff1d(
        pd.unique(sample_ids).astype(str), samples["sample_id"].astype(str)
    )
    if len(other):
        raise ValueError(
            f"particles are of samples that are not in samples: {shown(other)}. "
            f"samples has {shown(samples['sample_id'])}. Pass a row for each sample."
        )
    volume = samples["analyzed_volume_ml"]
    is_wrong = (volume < 0) | np.isinf(volume)
    if is_wrong.any():
        row = samples[is_wrong].iloc[0]
        raise ValueError(
            f"The analyzed_volume_ml of sample {row['sample_id']!r} is "
            f"{row['analyzed_volume_ml']:g}. Expected a volume in mL, or NaN if it is "
            "not known."
        )
    return samples


def _with_all_columns(samples: pd.DataFrame) -> pd.DataFrame:
    samples = samples.reset_index(drop=True)
    for column, dtype in {
        "analyzed_volume_ml": "float64",
        "is_partial": "boolean",
        "volume_problem": "object",
        "n_particles": "float64",
    }.items():
        values = samples.get(column)
        if values is not None and dtype == "float64":
            values = _numbers(values, "samples")
        elif values is not None and dtype == "boolean":
            _check_bools(values)
        samples[column] = pd.Series(values, index=samples.index, dtype=dtype)
    return samples


def _numbers(values: pd.Series, name: str) -> np.ndarray:
    """A column as float64, NaN where missing."""
    found = pd.to_numeric(values, errors="coerce")
    wrong = np.flatnonzero(found.isna() & values.notna())
    if len(wrong):
        raise ValueError(
            f"{name} has {values.iloc[wrong[0]]!r} as {values.name} in row {wrong[0]}. "
            "Expected a number, with a decimal point."
        )
    return found.to_numpy(dtype=np.float64, na_value=np.nan)


def _check_bools(values: pd.Series) -> None:
    wrong = np.flatnonzero(values.notna() & ~values.isin([False, True]))
    if len(wrong):
        raise ValueError(
            f"samples has {values.iloc[wrong[0]]!r} as {values.name} in row "
            f"{wrong[0]}. Expected True or False."
        )


def shown(values: Iterable) -> str:
    """The first few values, for a message."""
    return listed(repr(str(value)) for value in values)
