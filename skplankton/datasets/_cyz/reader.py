"""Files of cyz2json as a table of particles, whatever their size."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed, effective_n_jobs
from tqdm import tqdm

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


def load_cyz_json(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    channels: Channels = "auto",
    require_image: bool = False,
    cache: str | os.PathLike | None = None,
    errors: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Open CytoSense measurements that cyz2json has converted, of any size.

    A file is read once, as a stream. Its images (as they are encoded) and profiles are
    written into a cache folder, and the table's cells say where they are, so that
    neither reading nor embedding holds more than a few particles in memory.

    Parameters
    ----------
    path : path-like or list of path-like
        JSON files of cyz2json, one a measurement. A file's name without its suffix is
        its `sample_id`; no two may have the same.
    channels : "auto", list of str or dict of str to str, default="auto"
        The channels of the profiles, in order. "auto" takes the six of the published
        data sets, FWS, SWS, FL Yellow, FL Orange, FL Red and Curvature, in the usual
        spellings ("Sidewards Scatter", "Fl Red", "FLR", "Red Fluorescence", …); where
        there is no FWS, its halves FWS L and FWS R. Those that the instrument does not
        have are left out, unless a channel of an unknown name might be one of them,
        which is an error. A list names channels as the file
        does or as above. A dict gives, for each name to use, the name in the file:
        ``{"FL Red": "FL Red HS"}``.
    require_image : bool, default=False
        Whether to leave out particles without an image, which most are.
    cache : path-like, default=None
        A folder that keeps the images and profiles, made if need be. A later call takes
        them from there if the file (by path, size and time) and `channels` are the
        same. Nothing is ever removed from it. The table's cells need it. By default
        they lie in a folder for temporary files until this process ends. At most as
        much space as the JSON takes is needed, usually half.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about something that cannot be read: broken base64, an image that is
        no JPEG, PNG or BMP, channels of different lengths, values that are no finite
        numbers, a file that breaks off. "raise" raises an error that names the file and
        the particle. "warn" makes that view missing, keeps the row, and warns once, at
        the end. "coerce" does the same and tells the logger "skplankton" instead. What
        lies behind an image's header is looked at only when it is used.
    n_jobs : int or None, default=None
        How many files are read at once, each by a process; None is one, -1 all cores.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    DataFrame of shape (n_particles, 7)
        One row a particle, in the files' order, with the following columns.

        image, profile : cells that :class:`~skplankton.CrossModalEmbedder` reads, or
        None where there is no such view.

        object_id : "<sample_id>_<particle_id>", the name in EcoTaxa.

        sample_id, particle_id : of the file, and in it.

        instrument : its name and serial number; missing if the file says neither.

        has_image : what the file says, whether or not there is one; if it says
        nothing, whether there is one.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    OSError
        If there is no space left for the views, or a file cannot be opened.
    TypeError
        If `path` or `channels` is of another type.
    ValueError
        If a file is empty, or no JSON of cyz2json; two files have one name; a channel
        is missing, or there are several of it; files have different channels; or, with
        ``errors="raise"``, something cannot be read.

    See Also
    --------
    load_cytoprocess : The same table from a CytoProcess project.
    write_cyz_json : Write such a file.

    Notes
    -----
    An image with a `cropRectangle` that is smaller than the image is a camera frame,
    and is cut to the rectangle; one of the same size has been cut already, and the
    rectangle only says where it was.

    With ``errors="warn"`` or ``"coerce"``, of several particles or images of one
    particleId the first is kept, and an image of no particle is left out.

    The files are those of https://github.com/OBAMANEXT/cyz2json.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton.datasets import load_cyz_json, make_particles, write_cyz_json
    >>> X, y = make_particles(4, n_species=2, random_state=0, return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     path = write_cyz_json(X, f"{folder}/Vilaine 3.json")
    ...     table = load_cyz_json(path)
    >>> table["object_id"].tolist()
    ['Vilaine 3_0', 'Vilaine 3_1', 'Vilaine 3_2', 'Vilaine 3_3']
    >>> print(table["image"][1])
    Vilaine 3.json, particle 1
    """
    sources = _existing_files(path)
    samples = [source.stem for source in sources]
    for sample, count in Counter(samples).items():
        if count > 1:
            same = [str(s) for s in sources if s.stem == sample]
            raise ValueError(
                f"{count} files are named {sample!r}: {same[:5]}. Their particles "
                "would have the same object_id; rename them, or load them apart."
            )
    return load_sources(
        sources,
        samples,
        channels=channels,
        with_images=True,
        cache=cache,
        errors=errors,
        n_jobs=n_jobs,
        verbose=verbose,
        require_image=require_image,
    )


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
    require_image: bool = False,
) -> pd.DataFrame:
    """The table of files that exist, of samples with different names."""
    problems = Problems(errors)
    folder = cache_folder(cache)
    channels = check_channels(channels)
    n_jobs = min(effective_n_jobs(n_jobs), len(sources))
    sizes = [source.stat().st_size for source in sources]
    stores: list[Store] = []
    with tqdm(
        total=sum(sizes), unit="B", unit_scale=True, disable=not verbose
    ) as progress_bar:
        # Another process cannot move the bar; then it moves file by file.
        progress = progress_bar.update if n_jobs == 1 else None
        arriving = Parallel(n_jobs=n_jobs, return_as="generator")(
            delayed(stored_views)(
                source,
                folder,
                channels=channels,
                with_images=with_images,
                strict=errors == "raise",
                progress=progress,
            )
            for source in sources
        )
        for store, source, size in zip(arriving, sources, sizes, strict=True):
            stores.append(store)
            _check_same_channels(stores, source)
            if progress is None:
                progress_bar.update(size)
    for store in stores:
        problems.include(store.facts["counts"], store.facts["examples"])
    where = sources[0] if len(sources) == 1 else os.path.commonpath(sources)
    problems.report(str(where), stacklevel=4)
    rows: dict[str, list[Any]] = {name: [] for name in _TABLE}
    for store, source, sample in zip(stores, sources, samples, strict=True):
        _append_rows(rows, store, source, sample)
    table = pd.DataFrame(
        {name: pd.Series(cells, dtype=_TABLE[name]) for name, cells in rows.items()}
    )
    return with_image(table) if require_image else table


# Columns of the table. Cells must be able to be None.
_TABLE = {
    "image": object,
    "profile": object,
    "object_id": "str",
    "sample_id": "str",
    "particle_id": "int64",
    "instrument": object,
    "has_image": bool,
}


def with_image(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with an image, counted anew."""
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
    """Raise unless the last file has the channels of those before."""
    # A file without any profile agrees with all.
    with_profiles = [store for store in stores if store.facts["channels"]]
    if not with_profiles:
        return
    expected, last = with_profiles[0].facts, stores[-1].facts
    if last["channels"] and list(last["channels"]) != list(expected["channels"]):
        raise ValueError(
            f"{source} gives the channels {list(last['channels'])}, where the files "
            f"before give {list(expected['channels'])}. Pass the ones that all have, "
            f"channels={common_channels(with_profiles)!r}, or load the files apart."
        )


def _append_rows(
    rows: dict[str, list[Any]], store: Store, source: Path, sample: str
) -> None:
    path, facts = store.path, store.facts
    file_name = source.name if source.stem == sample else f"{sample}/{source.name}"
    names = tuple(facts["channels"] or ())
    numbers = (store.columns[name].tolist() for name in COLUMNS)
    for particle, says, profile_at, length, image_at, n_bytes, *crop in zip(
        *numbers, strict=True
    ):
        origin = f"{file_name}, particle {particle}"
        image = profile = None
        if image_at != MISSING:
            cut = None if crop[0] == MISSING else tuple(crop)
            image = StoredImage(path, image_at, n_bytes, origin, cut)
        if profile_at != MISSING:
            shape = (length, len(names))
            profile = StoredProfile(path, profile_at, shape, names, origin)
        has_image = image is not None if says == MISSING else bool(says)
        rows["image"].append(image)
        rows["profile"].append(profile)
        rows["object_id"].append(f"{sample}_{particle}")
        rows["sample_id"].append(sample)
        rows["particle_id"].append(particle)
        rows["instrument"].append(facts["instrument"])
        rows["has_image"].append(has_image)
