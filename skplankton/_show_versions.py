"""What skplankton runs on, for the report of a bug."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Iterable

# As in pyproject.toml, which a test compares with this.
DEPENDENCIES = (
    "scikit-learn",
    "torch",
    "skorch",
    "numpy",
    "scipy",
    "joblib",
    "pandas",
    "pillow",
    "filelock",
    "tqdm",
    "skops",
)
EXTRAS = {
    "completion": "shtab",
    "dask": "dask",
    "dino": "lightly",
    "ifcb": "h5py",
    "plot": "matplotlib",
    "remote": "fsspec",
    "report": "jinja2",
    "size": "scikit-image",
    "timm": "timm",
}


def show_versions() -> None:
    """Print the system and versions, for a bug report.

    These are the system, the versions of skplankton, of its dependencies and of its
    extras, the device that PyTorch computes on, and the thread pools of linear algebra.
    It contains no paths, except in the error of a PyTorch that cannot be imported.

    Examples
    --------
    >>> from skplankton import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    System
        Python: 3...
    """
    python = sys.version.replace("\n", " ")
    _print("System", [("Python", python), ("machine", platform.platform())])
    names = ("skplankton", *DEPENDENCIES)
    _print("\nVersions", [(name, version_of(name)) for name in names])
    extras = [(f"{extra} ({name})", version_of(name)) for extra, name in EXTRAS.items()]
    _print("\nExtras", extras)
    _print("\nPyTorch", _torch().items())
    _print("\nThread pools", _thread_pools())


def version_of(name: str) -> str:
    """The version of an installed package, by the name that pip knows it by."""
    if name == "skplankton":
        from skplankton import __version__

        return __version__
    if name == "torch":
        return _torch()["version"]
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _torch() -> dict[str, str]:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: one of its libraries is missing
        return {"version": f"cannot be imported ({error})"}

    from skplankton._training.devices import choose_device

    device = choose_device("auto")
    if device == "cuda":
        device += f" ({torch.cuda.get_device_name()})"
    return {
        # Unlike the metadata, it names the build: 2.14.1+cu130.
        "version": str(torch.__version__),
        "device": device,
        "threads": str(torch.get_num_threads()),
    }


def _thread_pools() -> list[tuple[str, str]]:
    """Several may be of one kind: numpy and scipy each bring one of theirs."""
    from threadpoolctl import threadpool_info  # scikit-learn needs it

    return [
        (
            f"{pool['internal_api']} {pool['version'] or ''}".rstrip(),
            f"{pool['num_threads']} threads {pool.get('architecture', '')}".rstrip(),
        )
        for pool in threadpool_info()
    ]


def _print(title: str, values: Iterable[tuple[str, str]]) -> None:
    print(title)
    for name, value in values:
        print(f"    {name}: {value}")
