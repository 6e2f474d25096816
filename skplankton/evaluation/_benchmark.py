"""The cross-modal benchmark: nine set-ups, several gallery sizes, repeated draws."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from skplankton._gallery.classifier import present_views
from skplankton._utils.labels import draw_per_class
from skplankton.evaluation._inputs import (
    UNNAMED,
    Labels,
    benchmark_labels,
    named_models,
)
from skplankton.evaluation._nested_galleries import BLOCKS, NestedGalleries, Questions
from skplankton.model_selection import draw_seeds

_VIEWS = ("image", "profile", "both")
_NINE_SETUPS = tuple((gallery, query) for gallery in _VIEWS for query in _VIEWS)
_ONE_EMBEDDING = (("embedding", "embedding"),)

_QUESTION_COLUMNS = ("gallery", "query", "gallery_size", "n_neighbors")
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

    Every repeat draws galleries of a few labeled particles a class, each part of the
    next larger one, and classifies the queries by the votes of their nearest entries,
    with images, profiles or both in the gallery and in the queries: the nine set-ups of
    [1]_. The votes are summed as they are there: the predicted labels are those of
    :class:`~skplankton.GalleryKNNClassifier` with ``scale_views=False``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), DataFrame or dict
        Without `embedder`, embeddings of the form [image | profile], as
        ``CrossModalEmbedder(output="concat")`` makes them: a half that is all NaN is a
        missing view. With `embedder`, what it transforms. A dict of embeddings compares
        several models, each under its key.
    y : array-like of shape (n_samples,)
        The labels, with None, NaN or `unlabeled` for unlabeled rows, which are left
        out.
    embedder : fitted transformer or dict of them, default=None
        Embeds the labeled rows of X, and of `X_gallery`, once. Unless
        ``setups=None``, one with a parameter `output` is asked for ``"concat"``; the
        embedder itself stays what it is. A dict compares several, each under its key.
    X_gallery : array-like, DataFrame or dict, default=None
        Where the galleries are drawn from, in the form of `X`; all labeled rows of X
        are then queries. None draws them from X; the other labeled rows are queries.
    y_gallery : array-like of shape (n_gallery_samples,), default=None
        The labels of `X_gallery`.
    gallery_sizes : int or sequence of int, default=(1, 2, 4, 8, 16)
        Numbers of gallery rows for each class. A class with fewer gives all it has.
    n_neighbors : int or sequence of int, default=(3,)
        Numbers of neighbors that vote for each view of a query.
    n_repeats : int, default=5
        Number of draws.
    setups : "all", iterable of (str, str) or None, default="all"
        Pairs of the gallery's and the query's views, each "image", "profile" or "both".
        "all" is all nine. None takes the columns for one embedding, for example of
        images alone; gallery and query are then called "embedding".
    weights : {"distance", "uniform"}, default="distance"
        As in :class:`~skplankton.GalleryKNNClassifier`.
    metric : {"cosine", "euclidean"}, default="cosine"
        As in :class:`~skplankton.GalleryKNNClassifier`.
    unlabeled : scalar, default=None
        A value in `y` and `y_gallery` that means "not labeled", besides the missing
        values.
    random_state : int, RandomState instance or None, default=None
        Draws the galleries. With an int, repeat r draws the rows that
        ``GallerySplit(gallery_size, random_state=...)`` yields as its r-th training
        set. All models get the same galleries.
    n_jobs : int, default=None
        Number of threads that work on models and repeats; None is 1 unless in a joblib
        context.
    verbose : int, default=0
        1 or more shows a progress bar.

    Returns
    -------
    DataFrame
        A row a model, set-up, gallery size, number of neighbors and repeat, with the
        columns

        - `model`: the key, if `X` or `embedder` is a dict;
        - `gallery`, `query`: their views;
        - `gallery_size`, `n_neighbors`, `repeat` (from 0);
        - `n_queries`, `n_gallery`: number of rows that asked, and that were entered;
        - `accuracy`; `precision`, `recall`, `f1`: unweighted means over the classes
          that are true or predicted for some query. NaN if nobody asked or nothing was
          entered.

    Raises
    ------
    ValueError
        If a parameter is out of its range, if no row is labeled, if a view is partly
        NaN or infinite, or if the galleries take all labeled rows.
    TypeError
        If the labels of `y` and `y_gallery` are of different kinds.

    See Also
    --------
    benchmark_table : Sums the result up.
    skplankton.model_selection.GallerySplit : The same draws for scikit-learn's tools.

    Notes
    -----
    Where views are missing, nothing is filled in:

    - Galleries are drawn without regard to views, so that all set-ups share them. A row
      without the set-up's gallery view is not entered; with "both", a row is entered
      with the views it has. `n_gallery` counts the rows that are, and a class of
      which none is cannot be predicted.
    - A query without the set-up's query view is left out of that set-up; with "both", a
      query asks with the views it has. `n_queries` counts those that ask. Scores of two
      set-ups are for the same particles only if it is the same number.

    Without `X_gallery`, fewer rows are queries of a larger gallery, and a class with no
    more than `gallery_size` labeled rows is not tested at all.

    For cross-validation, call this once a fold with ``X_gallery=X[train]`` and
    ``X=X[test]``, add a column `fold` to each result and join them by
    ``pandas.concat``. `benchmark_table` takes it from there.

    Each view of a query is compared with each view of the largest gallery once for all
    set-ups, sizes and numbers of neighbors, by the classifier's own search. The
    predicted labels are the classifier's, but where entries tie that are not all
    neighbors: which of them are is not specified. Memory does not grow with the number
    of queries times the gallery's size.

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
    >>> len(results)  # 9 set-ups, 2 sizes, 5 repeats
    90
    >>> both = results.query("gallery == 'both' and query == 'both'")
    >>> print(benchmark_table(both))
    | gallery | query |          1 |          4 |
    | :------ | :---- | ---------: | ---------: |
    | both    | both  | 91.2 ± 3.7 | 91.2 ± 4.4 |
    """
    sizes = _ascending_ints("gallery_sizes", gallery_sizes)
    numbers = _ascending_ints("n_neighbors", n_neighbors)
    n_repeats = _ascending_ints("n_repeats", n_repeats)[0]
    _check_choice("weights", weights, _WEIGHTS)
    _check_choice("metric", metric, _METRICS)
    pairs = _checked_setups(setups)
    n_modalities = 1 if setups is None else 2
    models = named_models(X, X_gallery, embedder)
    labels = benchmark_labels(y, X_gallery is not None, y_gallery, unlabeled)
    questions = Questions(
        pairs, numbers, weights, metric, len(labels.classes), len(sizes)
    )
    seeds = draw_seeds(n_repeats, random_state)
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    n_runs = len(models) * n_repeats
    frames = []
    with tqdm(total=n_runs, disable=not verbose, unit="repeat") as progress:
        for name, model in models.items():
            queries, particles = model.views(labels, n_modalities)
            runs = parallel(
                delayed(_one_repeat)(queries, particles, labels, sizes, questions, seed)
                for seed in seeds
            )
            for repeat, frame in enumerate(runs):
                frame.insert(len(_QUESTION_COLUMNS), "repeat", repeat)
                if name is not UNNAMED:
                    frame.insert(0, "model", name)
                frames.append(frame)
                progress.update()
    return pd.concat(frames, ignore_index=True)


def _one_repeat(
    queries: np.ndarray,
    particles: np.ndarray,
    labels: Labels,
    sizes: Sequence[int],
    questions: Questions,
    seed: int,
) -> pd.DataFrame:
    """Draw the galleries once, and score every set-up."""
    if labels.codes_gallery is None:
        codes = labels.codes
        first_size = _first_sizes(codes, sizes, seed)
        # A row of a gallery does not ask that gallery.
        asked = np.arange(len(sizes))[:, None] < first_size
        _check_some_ask(asked, sizes)
    else:
        codes = labels.codes_gallery
        first_size = _first_sizes(codes, sizes, seed)
        asked = np.ones((len(sizes), len(labels.codes)), dtype=bool)
    rows = np.flatnonzero(first_size < len(sizes))
    galleries = NestedGalleries(
        particles[rows], codes[rows], first_size[rows], questions
    )
    return _scored(galleries, queries, labels.codes, asked, sizes)


def _scored(
    galleries: NestedGalleries,
    queries: np.ndarray,
    codes: np.ndarray,
    asked: np.ndarray,
    sizes: Sequence[int],
) -> pd.DataFrame:
    """A row for each gallery size, set-up and number of neighbors."""
    questions = galleries.questions
    labels = galleries.predict(queries, asked)
    present = present_views(queries)
    records = []
    for size, setup, number in np.ndindex(labels.shape[:3]):
        gallery, query = questions.setups[setup]
        asking = asked[size] & present[:, BLOCKS[query]].any(axis=1)
        n_gallery = galleries.n_rows(size, gallery)
        question = (gallery, query, sizes[size], questions.n_neighbors[number])
        counts = (int(asking.sum()), n_gallery)
        scores = (np.nan,) * len(_SCORE_COLUMNS)
        if all(counts):
            predicted = labels[size, setup, number, asking]
            scores = _scores(codes[asking], predicted, questions.n_classes)
        records.append((*question, *counts, *scores))
    columns = [*_QUESTION_COLUMNS, *_COUNT_COLUMNS, *_SCORE_COLUMNS]
    return pd.DataFrame.from_records(records, columns=columns)


def _first_sizes(codes: np.ndarray, sizes: Sequence[int], seed: int) -> np.ndarray:
    """The smallest gallery that each row is drawn for, and len(sizes) for none."""
    first = np.full(len(codes), len(sizes))
    for position in reversed(range(len(sizes))):
        first[draw_per_class(codes, sizes[position], seed)] = position
    return first


def _scores(true: np.ndarray, predicted: np.ndarray, n_classes: int) -> tuple:
    """Accuracy and, as scikit-learn's ``average="macro"``, precision, recall and F1."""
    right = np.bincount(true[true == predicted], minlength=n_classes)
    n_true = np.bincount(true, minlength=n_classes)
    n_predicted = np.bincount(predicted, minlength=n_classes)
    there = n_true + n_predicted > 0
    right, n_true, n_predicted = right[there], n_true[there], n_predicted[there]
    precision = right / np.maximum(n_predicted, 1)  # zero_division=0
    recall = right / np.maximum(n_true, 1)
    f1 = 2 * right / (n_true + n_predicted)
    return right.sum() / len(true), precision.mean(), recall.mean(), f1.mean()


def _checked_setups(setups: Any) -> tuple[tuple[str, str], ...]:
    if setups is None:
        return _ONE_EMBEDDING
    if isinstance(setups, str) and setups == "all":
        return _NINE_SETUPS
    pairs = () if isinstance(setups, str) else tuple(map(tuple, setups))
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


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(
            f"{name}={value!r}; expected {' or '.join(map(repr, choices))}."
        )


def _check_some_ask(asked: np.ndarray, sizes: Sequence[int]) -> None:
    for size, asking in zip(sizes, asked, strict=True):
        if not asking.any():
            raise ValueError(
                f"A gallery of gallery_size={size} takes all {len(asking)} labeled "
                "rows, which leaves none to name. Use smaller gallery_sizes, label "
                "more particles, or draw the galleries from X_gallery."
            )
