"""Parallel work that stays on this machine, also in the joblib context of a cluster."""

from __future__ import annotations

from numbers import Integral

from joblib import effective_n_jobs, parallel_config
from joblib.parallel import BACKENDS, get_active_backend

# joblib's own, all of which run here. Others are registered by Dask, Ray and the like.
_LOCAL = ("loky", "multiprocessing", "sequential", "threading")


def local_jobs(n_jobs: int | None, *, threads: bool = False) -> tuple[int, str]:
    """The number of jobs and the name of a backend, for `joblib.Parallel`.

    The backend is named, since a thread does not see the context of its caller. In a
    context of joblib's own both are those of the context, as for any `n_jobs`. In that
    of a cluster, None is 1, and other numbers are of processes here: to send images
    there would take longer than to decode them. With `threads`, jobs are threads.
    """
    is_int = isinstance(n_jobs, Integral) and not isinstance(n_jobs, bool)
    if n_jobs is not None and not (is_int and n_jobs):
        raise ValueError(
            f"n_jobs={n_jobs!r}; expected a number of processes, -1 for one per core, "
            "or None."
        )
    backend, _ = get_active_backend()
    # Not isinstance: Ray's backend is a subclass of joblib's.
    names = [name for name in _LOCAL if type(backend) is BACKENDS.get(name)]
    if names:
        n, name = effective_n_jobs(n_jobs), names[0]
    else:
        name = "loky"
        with parallel_config(backend=name, n_jobs=1):
            n = effective_n_jobs(n_jobs)
    return max(1, n), "threading" if threads else name
