"""Images and profiles that cannot be read, from files to predicted labels."""

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import load_particles, make_particles, write_particles

SMALL = {"max_epochs": 1, "image_size": 16, "profile_length": 16, "random_state": 0}
NO_IMAGE, NO_PROFILE, NEITHER = 3, 5, 8


@pytest.fixture
def files(tmp_path):
    X, y = make_particles(40, n_species=2, random_state=0, return_X_y=True)
    return load_particles(write_particles(X, y, tmp_path), return_X_y=True)


@pytest.fixture
def broken(files):
    """The same particles, four of their files unreadable."""
    X, y = files
    for row in (NO_IMAGE, NEITHER):
        Path(X["image"][row]).write_bytes(b"no image")
    for row in (NO_PROFILE, NEITHER):
        Path(X["profile"][row]).write_text("FWS,SWS\n1,x\n")
    return X, y


def test_raise_reports_the_first(broken):
    words = r"row 3: the image '.*000003.png' could not .*errors='warn' or 'coerce', an"
    with pytest.raises(ValueError, match=words):
        CrossModalEmbedder(**SMALL).fit(broken[0])


def test_unreadable_entries_are_missing_and_reported_once(files, broken):
    X, _ = broken
    embedder = CrossModalEmbedder(**SMALL, errors="warn")
    # Once an entry of a row cannot be read, the rest of the row is skipped.
    with pytest.warns(
        UserWarning, match="3 times, an entry that cannot be read"
    ) as caught:
        embedder.fit(X)
    assert len(caught) == 1
    with pytest.warns(
        UserWarning, match="4 times, an entry that cannot be read"
    ) as caught:
        embedded = embedder.transform(X)
    assert len(caught) == 1
    assert "row 3: the image" in str(caught[0].message)
    assert "… and 1 more" in str(caught[0].message)
    assert_array_equal(np.flatnonzero(np.isnan(embedded).any(axis=1)), [NEITHER])

    # The same bits as with these entries missing from the start.
    entries = X.drop(index=NEITHER).copy()
    entries.loc[NO_IMAGE, "image"] = None
    entries.loc[NO_PROFILE, "profile"] = None
    expected = CrossModalEmbedder(**SMALL).fit(entries)
    others = [*range(NEITHER), *range(NEITHER + 1, len(X))]
    assert_array_equal(expected.transform(entries), embedded[others])


def test_a_row_with_neither_modality_left_counts_as_an_error(broken, caplog):
    X, y = broken
    pipe = make_pipeline(
        CrossModalEmbedder(**SMALL, errors="coerce"), GalleryKNNClassifier()
    )
    with caplog.at_level(logging.WARNING, logger="skplankton"):
        pipe.fit(X, y)
        with pytest.warns(UserWarning, match="all NaN in row 8"):
            labels = pipe.predict(X)
    assert labels[NEITHER] == pipe[-1].missing_label_ == ""
    assert set(np.delete(labels, NEITHER)) == set(y)
    assert sum("read with problems" in r.message for r in caplog.records) == 3
    with pytest.warns(UserWarning, match="all NaN in row 8"):
        assert pipe.score(X, y) == np.mean(labels == y) < 1
    with pytest.warns(UserWarning, match="all NaN"):
        scores = cross_val_score(
            pipe, X, y, cv=2, scoring="f1_macro", error_score="raise"
        )
    assert np.isfinite(scores).all()


def test_rows_with_neither_modality(files, caplog):
    X, _ = files
    embedder = CrossModalEmbedder(**SMALL).fit(X)
    X.loc[[2, 7], ["image", "profile"]] = None
    with pytest.raises(ValueError, match=r"row 2 has neither .* and 1 more rows"):
        embedder.transform(X)
    embedded = embedder.set_params(errors="coerce").transform(X)
    assert_array_equal(np.flatnonzero(np.isnan(embedded[:, 0])), [2, 7])
    assert (
        "2 times, a row with neither image nor profile gets no embedding" in caplog.text
    )


def test_matching_score_leaves_out_unreadable_rows(broken):
    X, _ = broken
    embedder = CrossModalEmbedder(**SMALL, errors="warn")
    with pytest.warns(UserWarning, match="read with problems"):
        embedder.fit(X)
    with pytest.warns(UserWarning, match="read with problems"):
        score = embedder.score(X)
    bad = [NO_IMAGE, NO_PROFILE, NEITHER]
    assert score == embedder.score(X.drop(index=bad))


def test_no_readable_image(files):
    X, _ = files
    X["image"] = __file__
    with pytest.raises(ValueError, match=r"0 of 40 pairs .* could be read"):
        CrossModalEmbedder(**SMALL, errors="coerce").fit(X)


def test_load_particles_without_some_files(files, tmp_path):
    Path(files[0]["image"][4]).unlink()
    Path(files[0]["image"][6]).unlink()
    with pytest.raises(FileNotFoundError, match=r"row 4 .* 2 of 40 image files"):
        load_particles(tmp_path)
    with pytest.warns(UserWarning, match="2 times, the image is missing"):
        X = load_particles(tmp_path, errors="warn").data
    assert_array_equal(np.flatnonzero(X["image"].isna()), [4, 6])
    with pytest.raises(ValueError, match=r"errors='ignore'; expected one of \['raise'"):
        load_particles(tmp_path, errors="ignore")
