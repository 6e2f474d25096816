"""Files of cyz2json, of any size, as a table of particles."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed

from skplankton._utils.jobs import local_jobs
from skplankton._utils.progress import progress
from skplankton._utils.reports import Problems
from skplankton._views.stored import StoredImage, StoredProfile
from skplankton.datasets._cyz.channels import Channels, check_channels
from skplankton.datasets._cyz.extraction import (
    COLUMNS,
    MISSING,
    common_channels,
    stored_views,
)
from skplankton.datasets._cyz.store import Store, cache_folder
from skplankton.datasets._samples.table import samples_table
from skplankton.datasets._table import COLUMNS as _TABLE


def load_cyz_json(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    channels: Channels = "auto",
    require_image: bool = False,
    cache: str | os.PathLike | None = None,
    errors: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
    return_samples: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Open CytoSense measurements that cyz2json has converted, of any size.

    A file is read once, as a stream. Its images (still encoded) and profiles are
    written to a cache folder, and the table's values refer to them, so that neither
    reading nor embedding keeps more than a few particles in memory.

    Parameters
    ----------
    path : path-like or list of path-like
        JSON files of cyz2json, one per measurement. A file's name without its suffix is
        its `sample_id`, which must be unique.
    channels : "auto", list of str or dict of str to str, default="auto"
        The channels of the profiles, in order. "auto" uses the six of the published
        data sets, FWS, SWS, FL Yellow, FL Orange, FL Red and Curvature, in the usual
        spellings ("Sidewards Scatter", "Fl Red", "FLR", "Red Fluorescence", …); if
        there is no FWS, its halves FWS L and FWS R. Channels that the instrument does
        not have are left out, unless a channel with an unknown name might be one of
        them, which is an error. A list has the channels' names in the file, or the
        names above. A dict maps each name to use to the name in the file:
        ``{"FL Red": "FL Red HS"}``.
    require_image : bool, default=False
        Whether to leave out particles without an image, which are the majority.
    cache : path-like, default=None
        A folder that keeps the images and profiles, made if necessary. A later call
        reads them from there if the file (by path, size and time) and `channels` are
        the same. The table's values refer to it, and nothing is ever removed from it.
        By default, a temporary folder is used until this process ends. It needs at most
        as much space as the JSON files, usually half.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about data that cannot be read: invalid base64, an image that is not
        JPEG, PNG or BMP, channels of different lengths, values that are not finite
        numbers, a truncated file. "raise" raises an error with the file and the
        particle. "warn" keeps the row with that image or profile missing, and warns
        once, at the end. "coerce" does the same, but logs to the logger "skplankton"
        instead. Of an image, only the header is checked until it is used.
    n_jobs : int or None, default=None
        How many files are read in parallel, each by one process; None: one, -1: one per
        core.
    verbose : int, default=0
        Whether to show a progress bar.
    return_samples : bool, default=False
        Whether to return ``(particles, samples)`` instead of the particles alone.

    Returns
    -------
    particles : DataFrame of shape (n_particles, 7)
        One row per particle, in the files' order, with the following columns.

        image, profile : values that :class:`~skplankton.CrossModalEmbedder` reads, or
        None if missing.

        object_id : "<sample_id>_<particle_id>", the id in EcoTaxa.

        sample_id, particle_id : the id of the file, and of the particle in it.

        instrument : its name and serial number; missing if the file has neither.

        has_image : hasImage of the particle, even if its image is missing; without
        hasImage, whether there is an image.

    samples : DataFrame of shape (n_samples, 11)
        Only if ``return_samples`` is True: one row per file, with the following
        columns. NaN (None, NaT) is what the file does not say, or not as a number.

        sample_id : the id of the file, as in `particles`.

        instrument : its name and serial number.

        start : when the measurement started, in UTC. A time without a time zone is
        taken as UTC.

        duration_s : how long it took, in seconds.

        analyzed_volume_ml : the volume in mL in which the particles of the file were,
        for concentrations. It is smaller than the pumped one, since the instrument
        misses what passes while it records a particle.

        pumped_volume_ml : the volume pumped, in mL.

        n_particles : the number of particles that the instrument saved, or if the file
        does not say (`particlesInFileCount`), the number that it counted
        (`particleCount`), which is larger.

        n_images : the number of pictures that it took.

        n_read : the number of particles read from the file, with or without an image.

        is_partial : whether the file ends too early or is damaged, or has fewer
        particles than `n_particles`.

        volume_problem : why there is no analyzed volume (it is missing, zero, negative
        or not a number), or "".

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    OSError
        If there is no space left for the cache, or a file cannot be opened.
    TypeError
        If `path` or `channels` is of another type.
    ValueError
        If a file is empty, or not JSON of cyz2json; two files have the same name; a
        channel is missing or ambiguous; files have different channels; or, with
        ``errors="raise"``, if data cannot be read.

    See Also
    --------
    load_cytoprocess : The same table from a CytoProcess project.
    read_samples : Volumes, times and places from a CSV file.
    write_cyz_json : Write such a file.

    Notes
    -----
    An image with a `cropRectangle` that is smaller than the image is a camera frame,
    and is cropped to the rectangle; one of the same size has been cropped already.

    With ``errors="warn"`` or ``"coerce"``, of several particles or images with the same
    particleId the first is kept, and an image without a particle is left out.

    The files are those of https://github.com/OBAMANEXT/cyz2json.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> from skplankton.datasets import load_cyz_json, make_particles, write_cyz_json
    >>> X, y = make_particles(4, n_species=2, random_state=0, return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     path = write_cyz_json(X, f"{folder}/Vilaine 3.json")
    ...     table = load_cyz_json(path)
    >>> table["object_id"].tolist()
    ['Vilaine 3_0', 'Vilaine 3_1', 'Vilaine 3_2', 'Vilaine 3_3']
    >>> print(table["image"][1])
    Vilaine 3.json, particle 1

    With the volume that the particles were in, their concentration per mL:

    >>> volume = pd.DataFrame({"sample_id": ["Loire"], "analyzed_volume_ml": [0.5]})
    >>> with TemporaryDirectory() as folder:
    ...     path = write_cyz_json(X, f"{folder}/Loire.json", samples=volume)
    ...     table, samples = load_cyz_json(path, return_samples=True)
    >>> bool(samples["is_partial"][0])
    False
    >>> len(table) / float(samples["analyzed_volume_ml"][0])
    8.0
    """
    sources = _existing_files(path)
    samples = [source.stem for source in sources]
    for sample, count in Counter(samples).items():
        if count > 1:
            same = [str(s) for s in sources if s.stem == sample]
            raise ValueError(
                f"{count} files are named {sample!r}: {same[:5]}. Their particles "
                "would have the same object_id; rename them, or load them separately."
            )
    table, measured = load_sources(
        sources,
        samples,
        channels=channels,
        with_images=True,
        cache=cache,
        errors=errors,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    if require_image:
        table = with_image(table)
    return (table, measured) if return_samples else table


def load_sources(
    sources: list[Path],
    samples: list[str],
    *,
    channels: Channels,
    with_images: bool,
    cache: str | os.PathLike | None,
    errors: str,
    n_jobs: int | None,
    verbose: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The particles and the samples of files that exist, with different names."""
    problems = Problems(errors)
    folder = cache_folder(cache)
    channels = check_channels(channels)
    n_processes, backend = local_jobs(n_jobs)
    n_processes = min(n_processes, len(sources))
    sizes = [source.stat().st_size for source in sources]
    stores: list[Store] = []
    with progress(
        total=sum(sizes),
        desc="reading",
        unit="B",
        unit_scale=True,
        disable=not verbose,
    ) as bar:
        # Another process cannot update the bar; then it is updated after each file.
        update = bar.update if n_processes == 1 else None
        arriving = Parallel(n_processes, backend=backend, return_as="generator")(
            delayed(stored_views)(
                source,
                folder,
                channels=channels,
                with_images=with_images,
                strict=errors == "raise",
                progress=update,
            )
            for source in sources
        )
        for store, source, size in zip(arriving, sources, sizes, strict=True):
            stores.append(store)
            _check_same_channels(stores, source)
            if update is None:
                bar.update(size)
    for store in stores:
        problems.include(store.metadata["counts"], store.metadata["examples"])
    where = sources[0] if len(sources) == 1 else os.path.commonpath(sources)
    problems.report(str(where))
    rows: dict[str, list[Any]] = {name: [] for name in _TABLE}
    for store, source, sample in zip(stores, sources, samples, strict=True):
        _append_rows(rows, store, source, sample)
    table = pd.DataFrame(
        {name: pd.Series(entries, dtype=_TABLE[name]) for name, entries in rows.items()}
    )
    measured = samples_table(
        {"sample_id": sample, **store.metadata["sample"]}
        for store, sample in zip(stores, samples, strict=True)
    )
    return table, measured


def with_image(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with an image, with a new index."""
    return table[table["image"].notna()].reset_index(drop=True)


def _existing_files(path: Any) -> list[Path]:
    paths = [path] if isinstance(path, str | os.PathLike) else path
    if not isinstance(paths, Sequence) or isinstance(paths, bytes):
        raise TypeError(
            f"path is {type(path).__name__}; expected the path of a JSON file, or a "
            "list of them."
        )
    if not len(paths):
        raise ValueError("path is an empty list; expected at least one JSON file.")
    files = [Path(p) for p in paths]
    for file in files:
        if file.is_dir():
            raise ValueError(
                f"{file} is a folder. Pass its files, e.g. "
                f"sorted(pathlib.Path({str(file)!r}).glob('*.json')), or use "
                "load_cytoprocess for a CytoProcess project."
            )
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} does not exist; expected a JSON file of cyz2json."
            )
    return files


def _check_same_channels(stores: list[Store], source: Path) -> None:
    """Raise unless the last file has the same channels as those before."""
    # A file without any profile matches all.
    with_profiles = [store for store in stores if store.metadata["channels"]]
    if not with_profiles:
        return
    expected, last = with_profiles[0].metadata, stores[-1].metadata
    if last["channels"] and list(last["channels"]) != list(expected["channels"]):
        raise ValueError(
            f"{source} has the channels {list(last['channels'])}; expected "
            f"{list(expected['channels'])}, as in the files before. Pass the common "
            f"ones, channels={common_channels(with_profiles)!r}, or load the files "
            "separately."
        )


def _append_rows(
    rows: dict[str, list[Any]], store: Store, source: Path, sample: str
) -> None:
    path, metadata = store.path, store.metadata
    instrument = metadata["sample"]["instrument"]
    file_name = source.name if source.stem == sample else f"{sample}/{source.name}"
    names = tuple(metadata["channels"] or ())
    numbers = (store.columns[name].tolist() for name in COLUMNS)
    for particle, flag, profile_at, length, image_at, n_bytes, *crop in zip(
        *numbers, strict=True
    ):
        origin = f"{file_name}, particle {particle}"
        image = profile = None
        if image_at != MISSING:
            box = None if crop[0] == MISSING else tuple(crop)
            image = StoredImage(path, image_at, n_bytes, origin, box)
        if profile_at != MISSING:
            shape = (length, len(names))
            profile = StoredProfile(path, profile_at, shape, names, origin)
        has_image = image is not None if flag == MISSING else bool(flag)
        rows["image"].append(image)
        rows["profile"].append(profile)
        rows["object_id"].append(f"{sample}_{particle}")
        rows["sample_id"].append(sample)
        rows["particle_id"].append(particle)
        rows["instrument"].append(instrument)
        rows["has_image"].append(has_image)
