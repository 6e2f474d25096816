"""Abundances and samples → the three tables of Darwin Core that OBIS takes."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skplankton import __version__
from skplankton._utils.labels import UNKNOWN, WITHOUT_VIEW
from skplankton._utils.reports import Problems
from skplankton._views.entries import is_missing
from skplankton.exports._events import events_of, numbers, shown
from skplankton.exports._taxa import Taxon, read_taxa
from skplankton.exports._terms import (
    CONCENTRATION,
    COUNT,
    INSTRUMENT,
    MEASUREMENT_COLUMNS,
    ML_PER_CUBIC_METRE,
    OCCURRENCE_COLUMNS,
    VOLUME,
    Quantity,
)

_NUMBERS = (
    *("count", "count_low", "count_high"),
    *("concentration", "concentration_low", "concentration_high"),
)
_SAMPLES = ("sample_id", "instrument", "start", "duration_s", "analyzed_volume_ml")


class DarwinCore(NamedTuple):
    """The tables of :func:`to_darwin_core`, for :func:`write_darwin_core`.

    Parameters
    ----------
    events : DataFrame
        One row per sample.
    occurrences : DataFrame
        One row per taxon found in a sample.
    measurements : DataFrame
        One row per measurement of a sample, or of a taxon in it.

    Examples
    --------
    >>> import pandas as pd
    >>> from skplankton.exports import DarwinCore
    >>> tables = DarwinCore(*[pd.DataFrame({"eventID": ["tow 1"]})] * 3)
    >>> tables.events["eventID"].tolist()
    ['tow 1']
    """

    events: pd.DataFrame
    occurrences: pd.DataFrame
    measurements: pd.DataFrame


def to_darwin_core(
    abundance: pd.DataFrame,
    samples: pd.DataFrame,
    *,
    taxa: str | os.PathLike | pd.DataFrame | None = None,
    id_prefix: str = "",
    identified_by: str = "",
    verified: bool = False,
    errors: str = "raise",
) -> DarwinCore:
    """Convert abundances to Darwin Core: events, occurrences and measurements.

    Parameters
    ----------
    abundance : DataFrame of shape (n_rows, n_columns)
        One row per sample and label, with the columns `sample_id`, `label`, `count`,
        `count_low`, `count_high`, `concentration`, `concentration_low` and
        `concentration_high` (per mL). Others are ignored.
    samples : DataFrame of shape (n_samples, n_columns)
        One row per sample, with the columns `sample_id`, `instrument`, `start` (times,
        UTC if without a time zone), `duration_s` and `analyzed_volume_ml`; for OBIS
        also `latitude`, `longitude` (decimal degrees), `depth_min` and `depth_max` (m),
        which instruments do not record. `is_partial` and `volume_problem` become
        remarks.
    taxa : path-like or DataFrame, default=None
        Which taxon each label is: a table, or a CSV file in UTF-8, with the columns
        `label`, `AphiaID` (of the World Register of Marine Species) and, if the label
        is not the name, `scientificName`. A label with an empty AphiaID, such as
        detritus, is not a taxon. With None each label is a name without an identifier,
        which OBIS matches by its spelling.
    id_prefix : str, default=""
        What the ids begin with, such as ``"institute:dataset:"``. OBIS needs them to be
        unique in the world, and the same in each version of a data set.
    identified_by : str, default=""
        Who has identified or verified the particles.
    verified : bool, default=False
        Whether a person has verified the labels: ``ValidatedByHuman`` instead of
        ``PredictedByMachine``.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about a sample without a start, latitude or longitude, all of which
        OBIS needs, or a label without a count. "raise" raises an error with the ids of
        the samples. Otherwise the cells are empty, labels without a count are left out,
        and one report at the end has these ids: in a warning, or with "coerce" in the
        logger ``skplankton``.

    Returns
    -------
    DarwinCore
        A named tuple of three DataFrames, in which missing values are NaN or empty.

        events
            One row per sample: `eventID`, `eventDate` (from start to end, ISO 8601),
            `decimalLatitude`, `decimalLongitude`, `minimumDepthInMeters`,
            `maximumDepthInMeters`, `eventRemarks`.
        occurrences
            One row per sample and taxon with a count above 0: `eventID`,
            `occurrenceID`, `occurrenceStatus` (present), `basisOfRecord`
            (MachineObservation), `scientificName`, `scientificNameID`,
            `verbatimIdentification` (the label), `identifiedBy`,
            `identificationReferences` (this library), and
            `identificationVerificationStatus`.
        measurements
            One row per value: `eventID`, `occurrenceID`, `measurementType`,
            `measurementTypeID`, `measurementValue`, `measurementUnit`,
            `measurementUnitID` and `measurementAccuracy` (the interval). Of each
            occurrence: its count, and its abundance per m³. Of each sample, with an
            empty `occurrenceID`: its instrument and its volume in m³; and how many
            particles are unknown, without a readable view, or of a label that is not a
            taxon.

    Raises
    ------
    FileNotFoundError
        If the file of taxa does not exist.
    TypeError
        If `abundance` or `samples` is not a DataFrame.
    ValueError
        If a column is missing; a sample or a label in a sample occurs twice; a sample
        of `abundance` is not in `samples`, or a label not in `taxa`; a position, depth,
        count, time or AphiaID is invalid; or with ``errors="raise"`` a position, time
        or count is missing.

    Warns
    -----
    UserWarning
        With ``errors="warn"``, if a position, time or count is missing.

    See Also
    --------
    write_darwin_core : Write the tables as an archive.
    write_csv : Write a table for spreadsheet programs.

    Notes
    -----
    The terms are those that OBIS requires (https://manual.obis.org/checklist.html),
    with those it requires of imaging data, as an event core with an occurrence and an
    extendedMeasurementOrFact extension. A species with a count of 0 is left out: that a
    classifier found none does not prove absence.

    Examples
    --------
    >>> import pandas as pd
    >>> from skplankton.exports import to_darwin_core
    >>> abundance = pd.DataFrame({"sample_id": "a", "label": ["Dinophysis", "unknown"]})
    >>> abundance[["count", "count_low", "count_high"]] = [[8, 5, 12], [2, 1, 5]]
    >>> concentrations = ["concentration", "concentration_low", "concentration_high"]
    >>> abundance[concentrations] = [[4.0, 2.5, 6.0], [1.0, 0.5, 2.5]]
    >>> samples = pd.DataFrame({"sample_id": ["a"], "instrument": "CytoSense"})
    >>> samples["start"] = pd.Timestamp("2024-05-01 10:00")
    >>> samples[["duration_s", "analyzed_volume_ml"]] = [600.0, 2.0]
    >>> samples[["latitude", "longitude"]] = [59.8, 23.2]
    >>> taxa = pd.DataFrame({"label": ["Dinophysis"], "AphiaID": [109462]})
    >>> tables = to_darwin_core(abundance, samples, taxa=taxa)
    >>> tables.events["eventDate"][0]
    '2024-05-01T10:00:00Z/2024-05-01T10:10:00Z'
    >>> tables.occurrences["scientificNameID"][0]
    'urn:lsid:marinespecies.org:taxname:109462'
    >>> columns = ["measurementType", "measurementValue", "measurementAccuracy"]
    >>> for _, *values in tables.measurements[columns].itertuples():
    ...     print([str(value)[:40] for value in values])
    ['Imaging instrument name', 'CytoSense', '']
    ['Volume sampled of the water body', '2e-06', '']
    ['Count (in assayed sample) of biological ', '8', '5 to 12']
    ['Abundance of biological entity specified', '4000000', '2500000 to 6000000']
    ["Count of particles labeled 'unknown'", '2', '1 to 5']
    """
    problems = Problems(errors)
    _check_table(samples, "samples", _SAMPLES, ["sample_id"])
    key = ["sample_id", "label"]
    _check_table(abundance, "abundance", [*key, *_NUMBERS], key)
    _check_texts(id_prefix=id_prefix, identified_by=identified_by)
    if not isinstance(verified, bool):
        raise TypeError(f"verified={verified!r}; expected True or False.")
    samples = _with_numbers(samples, "samples", _SAMPLES[3:])
    abundance = _with_numbers(abundance, "abundance", _NUMBERS)
    taxon_of = _taxon_of_labels(abundance, taxa)
    _check_samples_exist(abundance, samples)
    events = events_of(samples, id_prefix, problems)
    groups = abundance.groupby("sample_id", sort=False, observed=True)
    of_sample = dict(iter(groups))
    _check_counts(abundance, problems)
    occurrences: list[tuple] = []
    measurements: list[tuple] = []
    reference = f"skplankton {__version__}"
    status = "ValidatedByHuman" if verified else "PredictedByMachine"
    for sample in samples.to_dict("records"):
        event_id = f"{id_prefix}{sample['sample_id']}"
        measurements += _of_event(event_id, sample)
        rows = of_sample.get(sample["sample_id"], abundance[:0])
        for row in rows.to_dict("records"):
            taxon = taxon_of[row["label"]]
            if taxon is None:
                kind = Quantity(f"Count of particles labeled {row['label']!r}")
                measurements += _measured(event_id, "", kind, row, "count")
            elif row["count"] > 0:  # false of a missing one
                occurrence_id = f"{event_id}:{row['label']}"
                occurrences.append(
                    (
                        event_id,
                        occurrence_id,
                        "present",
                        "MachineObservation",
                        *taxon,
                        row["label"],
                        identified_by,
                        reference,
                        status,
                    )
                )
                measurements += _measured(event_id, occurrence_id, COUNT, row, "count")
                measurements += _measured(
                    event_id,
                    occurrence_id,
                    CONCENTRATION,
                    row,
                    "concentration",
                    ML_PER_CUBIC_METRE,
                )
    problems.report("The table of samples", done="exported")
    return DarwinCore(
        events,
        pd.DataFrame(occurrences, columns=list(OCCURRENCE_COLUMNS)),
        pd.DataFrame(measurements, columns=list(MEASUREMENT_COLUMNS)),
    )


def _check_table(
    table: Any, name: str, columns: Sequence[str], key: Sequence[str]
) -> None:
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{name}: expected a DataFrame, got {type(table).__name__}.")
    for column in columns:
        if column not in table.columns:
            raise ValueError(
                f"{name} has no column {column!r}; got {list(table.columns)}."
            )
    for column in key:
        missing = np.flatnonzero(table[column].isna() | (table[column] == ""))
        if len(missing):
            raise ValueError(f"{name}, row {missing[0]}: the {column} is missing.")
    twice = np.flatnonzero(table.duplicated(list(key)))
    if len(twice):
        entry = dict(table[list(key)].iloc[twice[0]])
        shown = ", ".join(f"{column} {value!r}" for column, value in entry.items())
        raise ValueError(
            f"{name}, row {twice[0]}: {shown} occurs in a row before. Keep one of the "
            "two."
        )


def _check_texts(**texts: Any) -> None:
    for name, text in texts.items():
        if not isinstance(text, str):
            raise TypeError(f"{name}={text!r}; expected a text, which may be empty.")


def _with_numbers(
    table: pd.DataFrame, name: str, columns: Sequence[str]
) -> pd.DataFrame:
    """The table with ids as text, and the columns as numbers from 0."""
    values = {column: numbers(table, name, column, 0) for column in columns}
    # Of a CSV file, ids such as 20250701 are numbers.
    return table.assign(sample_id=table["sample_id"].astype(str), **values)


def _check_counts(abundance: pd.DataFrame, problems: Problems) -> None:
    counts = abundance["count"]
    missing = np.flatnonzero(counts.isna())
    if len(missing):
        entry = abundance.iloc[missing[0]]
        problems.add(
            f"{len(missing)} of {len(counts)} rows of abundance have no count, first "
            f"the label {entry['label']!r} in the sample {entry['sample_id']!r}.",
            "a label without a count is left out",
            count=len(missing),
        )


def _check_samples_exist(abundance: pd.DataFrame, samples: pd.DataFrame) -> None:
    known = abundance["sample_id"].isin(samples["sample_id"])
    if not known.all():
        lost = abundance["sample_id"][~known].unique()
        raise ValueError(
            f"samples has no row for {len(lost)} sample ids of abundance: "
            f"{shown(lost)}. Add them."
        )


def _taxon_of_labels(abundance: pd.DataFrame, taxa: Any) -> dict[str, Taxon | None]:
    labels = list(dict.fromkeys(abundance["label"]))
    if taxa is None:
        found: dict[str, Taxon | None] = {label: Taxon(label, "") for label in labels}
    else:
        found = read_taxa(taxa)
        lost = [
            label for label in labels if label not in {*found, UNKNOWN, WITHOUT_VIEW}
        ]
        if lost:
            raise ValueError(
                f"taxa has no row for {len(lost)} labels: {shown(lost)}. Add them with "
                "their AphiaID, or with an empty one if the label is no taxon."
            )
    return found | {UNKNOWN: None, WITHOUT_VIEW: None}


def _of_event(event_id: str, sample: dict[Hashable, Any]) -> list[tuple]:
    rows = []
    if not is_missing(sample["instrument"]):
        rows.append((event_id, "", *_row(INSTRUMENT, str(sample["instrument"]))))
    volume = sample["analyzed_volume_ml"]
    if volume > 0:  # false of a missing one; 0 is one that is not known
        text = _text(volume / ML_PER_CUBIC_METRE)
        rows.append((event_id, "", *_row(VOLUME, text)))
    return rows


def _measured(
    event_id: str,
    occurrence_id: str,
    kind: Quantity,
    row: dict[Hashable, Any],
    name: str,
    factor: float = 1.0,
) -> list[tuple]:
    """A row for a count or concentration, if there is one."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if is_missing(value):
        return []
    interval = ""
    if not (is_missing(low) or is_missing(high)):
        interval = f"{_text(factor * low)} to {_text(factor * high)}"
    values = _row(kind, _text(factor * value), interval)
    return [(event_id, occurrence_id, *values)]


def _row(kind: Quantity, value: str, interval: str = "") -> tuple[str, ...]:
    return kind.type, kind.type_id, value, kind.unit, kind.unit_id, interval


def _text(number: float) -> str:
    """Of ten digits, which hides the rounding of a change of units."""
    return f"{number:.10g}"
