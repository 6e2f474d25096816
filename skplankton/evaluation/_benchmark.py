"""The cross-modal benchmark: nine setups, several gallery sizes, repeated draws."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike

from skplankton._gallery.views import present_views
from skplankton._utils.jobs import local_jobs
from skplankton._utils.labels import draw_per_class
from skplankton._utils.parameters import check_choice, check_int
from skplankton._utils.progress import progress
from skplankton._utils.random import draw_seeds
from skplankton.evaluation._inputs import (
    SINGLE_MODEL,
    Labels,
    benchmark_labels,
    models_by_key,
)
from skplankton.evaluation._nested_galleries import BLOCKS, NestedGalleries, Queries

_VIEWS = ("image", "profile", "both")
_NINE_SETUPS = tuple((gallery, query) for gallery in _VIEWS for query in _VIEWS)
_ONE_EMBEDDING = (("embedding", "embedding"),)

_KEY_COLUMNS = ("gallery", "query", "gallery_size", "n_neighbors")
_COUNT_COLUMNS = ("n_queries", "n_gallery")
_SCORE_COLUMNS = ("accuracy", "precision", "recall", "f1")

_METRICS = ("cosine", "euclidean")
_WEIGHTS = ("distance", "uniform")


def cross_modal_benchmark(
    X: Any,
    y: ArrayLike,
    *,
    embedder: Any = None,
    X_gallery: Any = None,
    y_gallery: ArrayLike | None = None,
    gallery_sizes: int | Sequence[int] = (1, 2, 4, 8, 16),
    n_neighbors: int | Sequence[int] = (3,),
    n_repeats: int = 5,
    setups: str | Iterable[tuple[str, str]] | None = "all",
    weights: str = "distance",
    metric: str = "cosine",
    unlabeled: Any = None,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Score the classification for all combinations of gallery and query views.

    Each repeat draws galleries of a few labeled particles per class, each a subset of
    the next larger one, and classifies the queries by the votes of their nearest
    entries, with images, profiles or both in the gallery and in the queries: the nine
    setups of [1]_. As in [1]_, votes are summed without scaling: the predicted labels
    are those of :class:`~skplankton.GalleryKNNClassifier` with ``scale_views=False``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), DataFrame or dict
        Without `embedder`, embeddings of the form [image | profile], as
        ``CrossModalEmbedder(output="concat")`` returns them: a half that is all NaN is
        a missing view. With `embedder`, the input of its `transform`. A dict of
        embeddings compares several models, each under its key.
    y : array-like of shape (n_samples,)
        The labels, with None, NaN or `unlabeled` for unlabeled rows, which are
        ignored.
    embedder : fitted transformer or dict of them, default=None
        Embeds the labeled rows of X, and of `X_gallery`, once. Unless
        ``setups=None``, an embedder with a parameter `output` is used with
        ``"concat"``, but not modified. A dict compares several, each under its key.
    X_gallery : array-like, DataFrame or dict, default=None
        Data from which the galleries are drawn, in the form of `X`; all labeled rows of
        X are then queries. None draws them from X; the other labeled rows are queries.
    y_gallery : array-like of shape (n_gallery_samples,), default=None
        The labels of `X_gallery`.
    gallery_sizes : int or sequence of int, default=(1, 2, 4, 8, 16)
        Numbers of gallery rows per class. A class with fewer contributes all of them.
    n_neighbors : int or sequence of int, default=(3,)
        Numbers of neighbors that vote for each view of a query.
    n_repeats : int, default=5
        Number of draws.
    setups : "all", iterable of (str, str) or None, default="all"
        Pairs of the gallery's and the query's views, each "image", "profile" or "both".
        "all" is all nine. None treats the columns as one embedding, for example of
        images only; gallery and query are then called "embedding".
    weights : {"distance", "uniform"}, default="distance"
        As in :class:`~skplankton.GalleryKNNClassifier`.
    metric : {"cosine", "euclidean"}, default="cosine"
        As in :class:`~skplankton.GalleryKNNClassifier`.
    unlabeled : scalar, default=None
        A value in `y` and `y_gallery` that means "not labeled", besides the missing
        values.
    random_state : int, RandomState instance or None, default=None
        Seed for drawing the galleries. With an int, repeat r draws the rows that
        ``GallerySplit(gallery_size, random_state=...)`` yields as its r-th training
        set. All models get the same galleries.
    n_jobs : int, default=None
        Number of threads for models and repeats; None is 1 unless in a joblib
        context. Nothing is sent to a cluster.
    verbose : int, default=0
        1 or more shows a progress bar.

    Returns
    -------
    DataFrame
        One row per model, setup, gallery size, number of neighbors and repeat, with
        the columns

        - `model`: the key, if `X` or `embedder` is a dict;
        - `gallery`, `query`: their views;
        - `gallery_size`, `n_neighbors`, `repeat` (from 0);
        - `n_queries`, `n_gallery`: number of queries and of gallery rows;
        - `accuracy`; `precision`, `recall`, `f1`: unweighted means over the classes
          that are true or predicted for some query. NaN without queries or gallery
          rows.

    Raises
    ------
    ValueError
        If a parameter is out of its range, if no row is labeled, if a view is partly
        NaN or infinite, or if the galleries take all labeled rows.
    TypeError
        If the labels of `y` and `y_gallery` are of different kinds.

    See Also
    --------
    benchmark_table : Summarizes the result.
    skplankton.model_selection.GallerySplit : The same draws as a scikit-learn splitter.

    Notes
    -----
    Missing views are not imputed:

    - Galleries are drawn without regard to views, so that all setups share them. A row
      without the setup's gallery view is left out of that setup's gallery; with
      "both", a row is entered with the views it has. `n_gallery` counts the remaining
      rows. A class without any cannot be predicted.
    - A query without the setup's query view is left out of that setup; with "both",
      the views of the query that are present are used. `n_queries` counts the remaining
      queries. Scores of two setups are for the same particles only if it is equal.

    Without `X_gallery`, fewer rows are queries of a larger gallery, and a class with no
    more than `gallery_size` labeled rows is not tested at all.

    For cross-validation, call this once per fold with ``X_gallery=X[train]`` and
    ``X=X[test]``, add a column `fold` to each result, join them by
    ``pandas.concat`` and pass them to `benchmark_table`.

    Each view of a query is compared with each view of the largest gallery once for all
    setups, sizes and numbers of neighbors, by the classifier's own search. The
    predicted labels are the classifier's, except where entries tie and not all of
    them are neighbors: it is not specified which are. Memory does not grow with the
    number of queries times the gallery's size.

    References
    ----------
    .. [1] Kareinen, J. et al., "Cross-modal learning for plankton recognition", 2026,
       arXiv:2603.16427.

    Examples
    --------
    >>> import numpy as np
    >>> from skplankton.evaluation import benchmark_table, cross_modal_benchmark
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["ciliate", "diatom", "flagellate"], 20)
    >>> X = 2 * np.repeat(rng.normal(size=(3, 8)), 20, axis=0)  # [image | profile]
    >>> X += rng.normal(size=X.shape)
    >>> results = cross_modal_benchmark(X, y, gallery_sizes=(1, 4), random_state=0)
    >>> len(results)  # 9 setups, 2 sizes, 5 repeats
    90
    >>> both = results.query("gallery == 'both' and query == 'both'")
    >>> print(benchmark_table(both))
    | gallery | query |          1 |          4 |
    | :------ | :---- | ---------: | ---------: |
    | both    | both  | 91.2 ± 3.7 | 91.2 ± 4.4 |
    """
    sizes = _ascending_ints("gallery_sizes", gallery_sizes)
    numbers = _ascending_ints("n_neighbors", n_neighbors)
    check_int("n_repeats", n_repeats, at_least=1)
    check_choice("weights", weights, _WEIGHTS)
    check_choice("metric", metric, _METRICS)
    pairs = checked_setups(setups)
    n_modalities = 1 if setups is None else 2
    models = models_by_key(X, X_gallery, embedder)
    labels = benchmark_labels(y, X_gallery is not None, y_gallery, unlabeled)
    parameters = Queries(
        pairs, numbers, weights, metric, len(labels.classes), len(sizes)
    )
    seeds = draw_seeds(n_repeats, random_state)
    n_threads, backend = local_jobs(n_jobs, threads=True)
    parallel = Parallel(n_threads, backend=backend, return_as="generator")
    n_runs = len(models) * n_repeats
    frames = []
    with progress(
        total=n_runs, desc="scoring", unit="repeats", disable=not verbose
    ) as bar:
        for key, model in models.items():
            queries, particles = model.views(labels, n_modalities)
            runs = parallel(
                delayed(_one_repeat)(
                    queries, particles, labels, sizes, parameters, seed
                )
                for seed in seeds
            )
            for repeat, frame in enumerate(runs):
                frame.insert(len(_KEY_COLUMNS), "repeat", repeat)
                if key is not SINGLE_MODEL:
                    frame.insert(0, "model", key)
                frames.append(frame)
                bar.update()
    return pd.concat(frames, ignore_index=True)


def _one_repeat(
    queries: np.ndarray,
    particles: np.ndarray,
    labels: Labels,
    sizes: Sequence[int],
    parameters: Queries,
    seed: int,
) -> pd.DataFrame:
    """Draw the galleries once, and score every setup."""
    if labels.codes_gallery is None:
        codes = labels.codes
        first_size = _first_sizes(codes, sizes, seed)
        # A row in a gallery is not a query of that gallery.
        is_query = np.arange(len(sizes))[:, None] < first_size
        _check_any_queries(is_query, sizes)
    else:
        codes = labels.codes_gallery
        first_size = _first_sizes(codes, sizes, seed)
        is_query = np.ones((len(sizes), len(labels.codes)), dtype=bool)
    rows = np.flatnonzero(first_size < len(sizes))
    galleries = NestedGalleries(
        particles[rows], codes[rows], first_size[rows], parameters
    )
    return _scored(galleries, queries, labels.codes, is_query, sizes)


def _scored(
    galleries: NestedGalleries,
    queries: np.ndarray,
    codes: np.ndarray,
    is_query: np.ndarray,
    sizes: Sequence[int],
) -> pd.DataFrame:
    """One row per gallery size, setup and number of neighbors."""
    parameters = galleries.parameters
    labels = galleries.predict(queries, is_query)
    present = present_views(queries)
    records = []
    for size, setup, number in np.ndindex(labels.shape[:3]):
        gallery, query = parameters.setups[setup]
        queried = is_query[size] & present[:, BLOCKS[query]].any(axis=1)
        n_gallery = galleries.n_rows(size, gallery)
        key = (gallery, query, sizes[size], parameters.n_neighbors[number])
        counts = (int(queried.sum()), n_gallery)
        scores = (np.nan,) * len(_SCORE_COLUMNS)
        if all(counts):
            predicted = labels[size, setup, number, queried]
            scores = _scores(codes[queried], predicted, parameters.n_classes)
        records.append((*key, *counts, *scores))
    columns = [*_KEY_COLUMNS, *_COUNT_COLUMNS, *_SCORE_COLUMNS]
    return pd.DataFrame.from_records(records, columns=columns)


def _first_sizes(codes: np.ndarray, sizes: Sequence[int], seed: int) -> np.ndarray:
    """The smallest gallery that contains each row, or len(sizes) if none does."""
    first = np.full(len(codes), len(sizes))
    for position in reversed(range(len(sizes))):
        first[draw_per_class(codes, sizes[position], seed)] = position
    return first


def _scores(true: np.ndarray, predicted: np.ndarray, n_classes: int) -> tuple:
    """Accuracy and, as scikit-learn's ``average="macro"``, precision, recall and F1."""
    correct = np.bincount(true[true == predicted], minlength=n_classes)
    n_true = np.bincount(true, minlength=n_classes)
    n_predicted = np.bincount(predicted, minlength=n_classes)
    occurs = n_true + n_predicted > 0
    correct, n_true, n_predicted = correct[occurs], n_true[occurs], n_predicted[occurs]
    precision = correct / np.maximum(n_predicted, 1)  # zero_division=0
    recall = correct / np.maximum(n_true, 1)
    f1 = 2 * correct / (n_true + n_predicted)
    return correct.sum() / len(true), precision.mean(), recall.mean(), f1.mean()


def checked_setups(setups: Any) -> tuple[tuple[str, str], ...]:
    if setups is None:
        return _ONE_EMBEDDING
    if isinstance(setups, str) and setups == "all":
        return _NINE_SETUPS
    is_list = isinstance(setups, Iterable) and not isinstance(setups, str)
    pairs = tuple(map(tuple, setups)) if is_list else ()
    if not pairs or len(set(pairs)) < len(pairs) or not set(pairs) <= set(_NINE_SETUPS):
        raise ValueError(
            f"setups={setups!r}; expected 'all', None, or different pairs (gallery, "
            f"query), each one of {', '.join(map(repr, _VIEWS))}, such as "
            "[('image', 'profile')]."
        )
    return pairs


def _ascending_ints(name: str, values: int | Iterable[int]) -> list[int]:
    listed = list(values) if isinstance(values, Iterable) else [values]
    are_ints = all(
        isinstance(value, Integral) and not isinstance(value, bool) for value in listed
    )
    numbers = sorted({int(value) for value in listed}) if are_ints else []
    if not numbers or numbers[0] < 1 or len(numbers) < len(listed):
        raise ValueError(f"{name}={values!r}; expected different ints of 1 or more.")
    return numbers


def _check_any_queries(is_query: np.ndarray, sizes: Sequence[int]) -> None:
    for size, queried in zip(sizes, is_query, strict=True):
        if not queried.any():
            raise ValueError(
                f"A gallery of gallery_size={size} takes all {len(queried)} labeled "
                "rows, which leaves no queries. Use smaller gallery_sizes, label more "
                "particles, or draw the galleries from X_gallery."
            )
