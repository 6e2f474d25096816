"""A CytoProcess project, one folder per cruise, as a table of particles."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from skplankton._utils.reports import Problems
from skplankton.datasets._cyz.channels import Channels
from skplankton.datasets._cyz.particle import HOW_TO_SKIP
from skplankton.datasets._cyz.reader import load_sources, with_image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def load_cytoprocess(
    project: str | os.PathLike,
    *,
    samples: Sequence[str] | None = None,
    channels: Channels = "auto",
    require_image: bool = False,
    cache: str | os.PathLike | None = None,
    errors: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
    return_samples: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Open the particles of a CytoProcess project.

    Profiles are extracted from the JSON files, once, as :func:`load_cyz_json` does.
    Images are the files that CytoProcess has extracted, unchanged.

    Parameters
    ----------
    project : path-like
        The project's folder. It contains ``converted/<sample>.json`` and
        ``images/<sample>/<particle_id>.png`` (or .jpg); or, in later versions of
        CytoProcess, ``work/<sample>/converted_data.json``. Those versions burn a scale
        bar into the images they extract, so the images of the JSON file are used
        instead.
    samples : list of str, default=None
        The samples to load; by default all, in alphabetical order.
    channels : "auto", list of str or dict of str to str, default="auto"
        The channels of the profiles, as in :func:`load_cyz_json`.
    require_image : bool, default=False
        Whether to leave out particles without an image, which are the majority.
    cache : path-like, default=None
        A folder that keeps what is extracted from the JSON files, as in
        :func:`load_cyz_json`.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about data that cannot be read, as in :func:`load_cyz_json`. This
        includes an image file that belongs to no particle, and a second one of the same
        particle (``1.png`` and ``1.jpg``); both are left out. Image files are not
        opened.
    n_jobs : int or None, default=None
        How many samples are read in parallel, each by one process.
    verbose : int, default=0
        Whether to show a progress bar.
    return_samples : bool, default=False
        Whether to return ``(particles, samples)`` instead of the particles alone.

    Returns
    -------
    particles : DataFrame of shape (n_particles, 7)
        The columns of :func:`load_cyz_json`. Images that were extracted are absolute
        paths.
    samples : DataFrame of shape (n_samples, 11)
        Only if ``return_samples`` is True: the volume, time and instrument of each
        sample, in the columns of :func:`load_cyz_json`.

    Raises
    ------
    FileNotFoundError
        If the folder is not a CytoProcess project, or samples are not converted, or
        their images are not extracted.
    ValueError
        If a JSON file cannot be read, as in :func:`load_cyz_json`; or, with
        ``errors="raise"``, if an image file belongs to no particle, or to one that has
        another.

    See Also
    --------
    load_cyz_json : The same from JSON files only.
    read_samples : Volumes, times and places from a CSV file, such as the project's
        ``meta/samples.csv``.

    Notes
    -----
    CytoProcess is at https://github.com/ecotaxa/CytoProcess. Its object_id in EcoTaxa
    is the same, ``<sample>_<particle_id>``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from skplankton.datasets import (
    ...     load_cytoprocess, make_particles, write_cyz_json
    ... )
    >>> X, y = make_particles(2, n_species=2, random_state=0, return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     path = write_cyz_json(X, f"{folder}/converted/Vilaine 3.json")
    ...     images = Path(folder, "images", "Vilaine 3")
    ...     images.mkdir(parents=True)
    ...     for particle, image in enumerate(X["image"]):
    ...         Image.fromarray(image).save(images / f"{particle}.png")
    ...     table = load_cytoprocess(folder)
    >>> table["object_id"].tolist()
    ['Vilaine 3_0', 'Vilaine 3_1']
    """
    folder = Path(os.path.realpath(project))
    sources, extracted = sources_of(folder)
    chosen = _chosen(sorted(sources), samples, folder)
    table, measured = load_sources(
        [sources[sample] for sample in chosen],
        chosen,
        channels=channels,
        with_images=not extracted,
        cache=cache,
        errors=errors,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    if extracted:
        _set_images(table, chosen, folder, errors)
    if require_image:
        table = with_image(table)
    return (table, measured) if return_samples else table


def sources_of(folder: Path) -> tuple[dict[str, Path], bool]:
    """The JSON file of each sample, and whether to use the extracted images."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder; expected a CytoProcess project."
        )
    converted = {file.stem: file for file in folder.glob("converted/*.json")}
    work = {f.parent.name: f for f in folder.glob("work/*/converted_data.json")}
    if not converted and not work:
        raise FileNotFoundError(
            f"{folder} contains neither converted/<sample>.json nor "
            f"work/<sample>/converted_data.json, only {_names(folder)}. Is it a "
            f"CytoProcess project? If so, run: cytoprocess convert '{folder}'"
        )
    return (work, False) if work else (converted, True)


def _chosen(
    present: list[str], samples: Sequence[str] | None, folder: Path
) -> list[str]:
    if samples is None:
        return present
    if isinstance(samples, str) or not isinstance(samples, Sequence):
        raise TypeError(
            f"samples={samples!r}; expected a list of names, or None for all samples."
        )
    unknown = [sample for sample in samples if sample not in present]
    if unknown:
        raise FileNotFoundError(
            f"{folder} has no converted sample {unknown[0]!r}, only {present}. Pass "
            "the names of the .cyz files, without the suffix."
        )
    if not len(samples) or len(set(samples)) < len(samples):
        raise ValueError(
            f"samples={list(samples)!r}; expected each sample once, and at least one."
        )
    return list(samples)


def _set_images(
    table: pd.DataFrame, samples: list[str], folder: Path, errors: str
) -> None:
    problems = Problems(errors)
    images: list[str | None] = []
    for sample, rows in _rows_by_sample(table, samples):
        images_folder = folder / "images" / sample
        if not images_folder.is_dir():
            if rows["has_image"].any():
                raise FileNotFoundError(
                    f"{images_folder} does not exist, and {rows['has_image'].sum()} "
                    f"particles of {sample!r} have an image. Run: cytoprocess "
                    f"extract_images '{folder}'"
                )
            images += [None] * len(rows)
            continue
        files: dict[int, str] = {}
        for file in sorted(images_folder.iterdir()):
            if not file.stem.isdecimal() or file.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            first = files.setdefault(int(file.stem), str(file))
            if first != str(file):
                problems.add(
                    f"{file}: a second image of the same particle as {first}, which is "
                    "kept.",
                    "second image of one particle",
                    advice=HOW_TO_SKIP,
                )
        images += [files.pop(particle, None) for particle in rows["particle_id"]]
        for file in files.values():
            problems.add(
                f"{file}: the JSON file has no particle of this number; the image is "
                "left out.",
                "image file without a particle",
                advice=HOW_TO_SKIP,
            )
    table["image"] = pd.Series(images, dtype=object)
    problems.report(str(folder))


def _rows_by_sample(table: pd.DataFrame, samples: list[str]) -> Any:
    """The rows of each sample, in the order of `samples`."""
    groups = dict(iter(table.groupby("sample_id", sort=False)))
    empty = table.iloc[:0]
    return [(sample, groups.get(sample, empty)) for sample in samples]


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())[:10]
