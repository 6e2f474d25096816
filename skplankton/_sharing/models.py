"""Save and load models: the public functions."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from skplankton._sharing.archive import ModelArchive, archive_bytes, is_archive
from skplankton._sharing.card import as_markdown, make_card
from skplankton._sharing.plain import Refused, from_plain, to_plain
from skplankton._sharing.trusted import TYPES, refused
from skplankton._utils.files import write_whole

PICKLES = (".joblib", ".pkl", ".pickle")  # suffixes of files that run code


def save_model(
    model: BaseEstimator,
    path: str | os.PathLike,
    *,
    description: str | None = None,
    authors: str | None = None,
    license: str | None = None,
    trusted: Sequence[str] = (),
) -> None:
    """Save a model in a file that runs no code when it is opened.

    The file contains numbers, texts and the names of a few known types, in the format
    of `skops <https://skops.readthedocs.io>`__, and a model card: what the model was
    trained on, its labels per species, and how well these recognize one another. The
    loaded model gives the same results, bit for bit. :func:`load_model` opens the file.

    Parameters
    ----------
    model : estimator
        An embedder, a classifier or a pipeline of both.
    path : path-like
        The file to write, usually ``.skops``; an existing one is replaced when the new
        one is complete.
    description : str, default=None
        A text for the card: what the model is for, where its particles come from.
    authors : str, default=None
        Who made it, for the card.
    license : str, default=None
        Under which terms others may use it, for the card, such as ``"CC-BY-4.0"``.
    trusted : sequence of str, default=()
        Names of further types that the model may contain, such as
        ``"sklearn.decomposition._pca.PCA"``. They must also be passed to
        :func:`load_model`.

    Raises
    ------
    TypeError
        If the model contains code (an encoder or optimizer given as a class, a
        function) or objects of other types. The message names what and where.
    ValueError
        If the name of the file is that of a joblib file or pickle.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : Opens the file.
    model_card : Reads its card.

    Notes
    -----
    The embedders, the classifier, and ``Pipeline`` and ``FrozenEstimator`` of
    scikit-learn can be saved without `trusted`. Their networks are stored as parameters
    and weights, and are built again before the file is written: an encoder of your own
    that keeps anything else raises. `checkpoint` of an embedder and `memory` of a
    pipeline, which are folders of this machine, are saved as None.

    For the card, each labeled particle of a gallery is classified once, without its own
    label (:meth:`GalleryKNNClassifier.leave_one_out`).

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton import GalleryKNNClassifier, load_model, save_model
    >>> gallery = GalleryKNNClassifier(n_neighbors=1)
    >>> gallery = gallery.fit([[3.0, 0.1], [0.2, 4.0]], ["diatom", "ciliate"])
    >>> with TemporaryDirectory() as folder:
    ...     save_model(gallery, f"{folder}/model.skops", license="CC0-1.0")
    ...     load_model(f"{folder}/model.skops").predict([[0.1, 2.0]]).tolist()
    ['ciliate']
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder. Expected the name of a file, such as "
            f"{path / 'model.skops'}"
        )
    if path.suffix.lower() in PICKLES:
        raise ValueError(
            f"{path} has the name of a file that runs code when it is opened. Expected "
            f"a name such as {path.stem}.skops; or use joblib.dump"
        )
    given = {"description": description, "authors": authors, "license": license}
    card = make_card(check_model(model), given)
    content = to_bytes(model, card, path.name, trusted=_names(trusted))
    write_whole(path, content)


def load_model(
    path: str | os.PathLike, *, trusted: Sequence[str] | bool = ()
) -> BaseEstimator:
    """Load a model that `save_model` or the command ``fit`` has saved.

    The file is checked before anything in it is used: only types that this package
    knows are built, and nothing is imported or run because the file says so.

    Parameters
    ----------
    path : path-like
        The file.
    trusted : sequence of str or True, default=()
        Names of what the file may use besides: types, such as
        ``"sklearn.decomposition._pca.PCA"``, and encoders that are imported, such as
        ``"package.module:name"``. The error message for a file lists what it needs.
        ``True`` is for joblib files and pickles, which can run any program when they
        are opened: pass it only if you made the file, or trust who did.

    Returns
    -------
    estimator
        The model. Of a file written by the command ``fit``, the pipeline.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file contains types that are not trusted, or an encoder that has to be
        imported; was written in a newer format, is damaged or is of another kind; or if
        it is a joblib file, unless `trusted` is True. The message has what was refused.
    ImportError
        If an encoder of the model needs a package that is not installed.

    See Also
    --------
    save_model : Saves a model.
    model_card : What the file says of the model, without loading it.

    Notes
    -----
    The weights are loaded to the CPU; an embedder moves them to its `device` when it is
    used.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton import GalleryKNNClassifier, load_model, save_model
    >>> with TemporaryDirectory() as folder:
    ...     save_model(GalleryKNNClassifier(n_neighbors=1), f"{folder}/model.skops")
    ...     load_model(f"{folder}/model.skops")
    GalleryKNNClassifier(n_neighbors=1)
    """
    content = read_bytes(path)
    if is_archive(content):
        if trusted is True:
            raise ValueError(
                f"trusted=True is for joblib files, and {path} is none. Pass the names "
                "of what it may use besides; try without first."
            )
        names = _names(() if isinstance(trusted, bool) else trusted)
        return from_archive(ModelArchive(content, path), names)
    if trusted is not True:
        raise ValueError(
            f"{path} is not a file of save_model. A joblib file or pickle can run any "
            "program when it is opened: if it is one that you have made, or that comes "
            "from people you trust, pass trusted=True."
        )
    value = unpickled(content, path)
    # `fit` on the command line stores its model with other things.
    model = value.get("pipeline") if isinstance(value, dict) else value
    if not isinstance(model, BaseEstimator):
        raise ValueError(
            f"{path} contains no model, but {type(value).__name__}. Expected a file of "
            "joblib.dump(model, path), or written by: python -m skplankton fit"
        )
    return model


def model_card(path: str | os.PathLike) -> str:
    """Read the card of a model file, without loading the model.

    Parameters
    ----------
    path : path-like
        A file that `save_model` or the command ``fit`` has written.

    Returns
    -------
    str
        The card, in Markdown: description, authors and license as far as given; what
        the model was trained on; the labels per species and their leave-one-out
        accuracy; versions and date. All of it is what the file claims.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a file of `save_model`, is damaged, or has a newer format.

    See Also
    --------
    save_model : Writes the card.

    Notes
    -----
    The file is a zip archive: the same text is its member ``README.md``, and the facts
    are in ``card.json``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton import GalleryKNNClassifier, model_card, save_model
    >>> with TemporaryDirectory() as folder:
    ...     path = f"{folder}/coast.skops"
    ...     save_model(GalleryKNNClassifier(), path, license="CC0-1.0")
    ...     card = model_card(path)
    >>> print(card[:46])
    # coast.skops
    <BLANKLINE>
    |  |  |
    | --- | --- |
    | License
    """
    content = read_bytes(path)
    if not is_archive(content):
        raise ValueError(
            f"{path} has no model card: it is not a file of save_model. Load the "
            "model, and save it with save_model."
        )
    return ModelArchive(content, path).readme


def to_bytes(
    model: BaseEstimator,
    card: Mapping[str, Any],
    name: str,
    *,
    trusted: Collection[str] = (),
    station: Mapping[str, Any] | None = None,
) -> bytes:
    """The content of a model file with that name."""
    import skops.io

    written = skops.io.dumps(to_plain(model, trusted))
    return archive_bytes(written, card, as_markdown(card, name), station)


def from_archive(archive: ModelArchive, trusted: Collection[str] = ()) -> BaseEstimator:
    """The model of a file, whose schema is checked first."""
    path = archive.path
    names = refused(archive.schema, trusted)
    if names:
        raise ValueError(
            f"{path} contains what load_model does not open without asking: "
            f"{', '.join(names)}. Nothing of it was run. If you know these, and trust "
            "them with this file, pass the names in trusted=[...]; functions that call "
            "others are never opened."
        )
    import skops.io

    try:
        with warnings.catch_warnings():
            # It concerns attributes that pipelines do not have.
            warnings.filterwarnings(
                "ignore",
                "Trying to unpickle estimator (Pipeline|FrozenEstimator) ",
                InconsistentVersionWarning,
            )
            types = [*TYPES, *(name for name in trusted if ":" not in name)]
            model = skops.io.loads(archive.content, trusted=types)
    except Exception as error:  # of a file that anybody may have written
        raise ValueError(_unreadable(path, error)) from error
    try:
        from_plain(model, trusted)
    except ImportError:  # of the encoder's package
        raise
    except Refused as error:
        raise ValueError(f"{path} was not opened: {error}.") from None
    except Exception as error:
        raise ValueError(_unreadable(path, error)) from error
    return model


def _unreadable(path: str, error: Exception) -> str:
    return (
        f"{path} is damaged, or its model does not fit the installed versions "
        f"({type(error).__name__}: {error}). model_card({path!r}) shows the versions "
        "that it was saved with."
    )


def read_bytes(path: str | os.PathLike) -> bytes:
    """The content of a file."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{os.fspath(path)} is not a file. Expected a model, written by "
            "skplankton.save_model or: python -m skplankton fit"
        )
    content = Path(path).read_bytes()
    if not content:
        raise ValueError(f"{os.fspath(path)} is empty. Copy or download it again.")
    return content


def unpickled(content: bytes, path: str | os.PathLike) -> Any:
    """The value in a joblib file. It may run code."""
    try:
        return joblib.load(io.BytesIO(content))
    except Exception as error:  # an invalid pickle may raise anything
        raise ValueError(
            f"{os.fspath(path)} cannot be opened as a model "
            f"({type(error).__name__}: {error}). Expected a file written by "
            "skplankton.save_model or: python -m skplankton fit; a joblib file needs "
            "the versions of skplankton, scikit-learn and torch that it was made with."
        ) from error


def check_model(model: Any) -> Any:
    """Raise unless it is an estimator, and not a class of one."""
    if not isinstance(model, BaseEstimator):
        raise TypeError(
            f"model is {model!r:.200}; expected an estimator, such as a fitted "
            "pipeline."
        )
    return model


def _names(trusted: Any) -> frozenset[str]:
    is_list = isinstance(trusted, Collection) and not isinstance(trusted, str)
    if not is_list or not all(isinstance(name, str) for name in trusted):
        raise TypeError(
            f"trusted={trusted!r}; expected a list of names, such as "
            "['sklearn.decomposition._pca.PCA']."
        )
    return frozenset(trusted)
