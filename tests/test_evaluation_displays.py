"""The displays: their attributes, figures and errors."""

import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix

from skplankton import GalleryKNNClassifier
from skplankton.datasets import (
    load_cyz_json,
    load_particles,
    make_particles,
    write_cyz_json,
    write_particles,
)
from skplankton.evaluation import (
    EmbeddingDisplay,
    FamiliarityDisplay,
    GallerySizeDisplay,
    NeighborsDisplay,
    ParticlesDisplay,
    SetupConfusionDisplay,
    cross_modal_benchmark,
)
from skplankton.evaluation._displays.scale_bar import round_length

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import to_hex  # noqa: E402

BLUE, VERMILION = "#0072b2", "#d55e00"
SPECIES = ["ciliate", "diatom", "flagellate"]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def two_views():
    """Embeddings of the form [image | profile]; two rows lack a view."""
    rng = np.random.default_rng(0)
    y = np.repeat(SPECIES, 10)
    X = np.repeat(rng.normal(size=(3, 8)), 10, axis=0) + rng.normal(size=(30, 8))
    X[0, :4] = np.nan
    X[11, 4:] = np.nan
    return X, y


@pytest.fixture(scope="module")
def results(two_views):
    return cross_modal_benchmark(*two_views, gallery_sizes=(4, 1), random_state=0)


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def assert_nothing_is_clipped(figure):
    """All artists, titles and legends included, are within the figure."""
    figure.canvas.draw()
    drawn, whole = figure.get_tightbbox(), figure.get_size_inches()  # inches
    assert (drawn.min >= -0.01).all()
    assert (drawn.max <= whole + 0.01).all()


# GallerySizeDisplay


def test_gallery_sizes_means_and_deviations_by_hand():
    frame = pd.DataFrame(
        {
            "gallery": ["image"] * 4 + ["both"] * 2,
            "query": ["image"] * 4 + ["both"] * 2,
            "gallery_size": [8, 8, 1, 1, 8, 8],
            "f1": [0.9, 0.7, 0.4, 0.4, 1.0, np.nan],
        }
    )
    display = GallerySizeDisplay.from_results(frame, metric="f1")
    assert display.gallery_sizes.tolist() == [1, 8]
    np.testing.assert_allclose(display.means, [[0.4, 0.8], [np.nan, np.nan]])
    np.testing.assert_allclose(display.stds, [[0.0, 0.1], [np.nan, np.nan]], atol=1e-12)
    assert display.names == ["gallery I, query I", "gallery I+P, query I+P"]
    np.testing.assert_allclose(display.lines_[0].get_ydata(), [40, 80])
    band = display.ax_.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(40)
    assert band[:, 1].max() == pytest.approx(90)
    assert display.ax_.get_ylabel() == "macro F1 (%)"
    assert display.ax_.get_xlabel() == "labeled particles per species"
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["1", "8"]


def test_gallery_sizes_nine_setups(results):
    display = GallerySizeDisplay.from_results(results)
    assert len(display.lines_) == 9
    looks = {(line.get_color(), line.get_marker()) for line in display.lines_}
    assert len(looks) == 9
    assert len({line.get_color() for line in display.lines_}) == 3  # the gallery's
    assert texts(display.figure_.legends[0]) == list(display.names)
    assert_nothing_is_clipped(display.figure_)


@pytest.mark.parametrize(
    ("column", "values", "names"),
    [
        ("model", ["CLIP", "DINO"], ["CLIP", "DINO"]),
        ("n_neighbors", [1, 3], ["n_neighbors 1", "n_neighbors 3"]),
        ("query", ["image", "both"], ["query image", "query both"]),
    ],
)
def test_gallery_sizes_lines_of_columns_that_differ(column, values, names):
    frame = pd.DataFrame({"model": "A", "gallery": "both", "gallery_size": [1, 2] * 2})
    frame = frame.assign(
        accuracy=[0.1, 0.2, 0.3, 0.4], **{column: np.repeat(values, 2)}
    )
    display = GallerySizeDisplay.from_results(frame)
    assert display.names == names
    assert len({line.get_color() for line in display.lines_}) == 2
    assert len({line.get_marker() for line in display.lines_}) == 2


def test_gallery_sizes_one_line_has_no_legend(results):
    part = results.query("gallery == 'both' and query == 'image'")
    display = GallerySizeDisplay.from_results(part, band=False)
    assert len(display.lines_) == 1
    assert not display.figure_.legends
    assert display.ax_.get_legend() is None
    assert not display.ax_.collections


def test_gallery_sizes_by(results):
    renamed = results.assign(fold=results["repeat"] % 2)
    part = renamed.query("gallery == 'both' and query == 'both'")
    display = GallerySizeDisplay.from_results(part, by=["fold"])
    assert display.names == ["fold 0", "fold 1"]
    with pytest.raises(ValueError, match="would mix results of several gallery, query"):
        GallerySizeDisplay.from_results(results, by=["n_neighbors"])
    with pytest.raises(ValueError, match="'gallery_size' is the x-axis"):
        GallerySizeDisplay.from_results(part, by=["gallery_size"])


def test_gallery_sizes_errors(results):
    with pytest.raises(ValueError, match="metric='auc'; expected one of 'accuracy'"):
        GallerySizeDisplay.from_results(results, metric="auc")
    with pytest.raises(ValueError, match=r"no column 'gallery_size'.* Pass the result"):
        GallerySizeDisplay.from_results(results.drop(columns="gallery_size"))
    with pytest.raises(TypeError, match="results is a ndarray; expected the DataFr"):
        GallerySizeDisplay.from_results(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="results has no rows"):
        GallerySizeDisplay.from_results(results.iloc[:0])


# EmbeddingDisplay


def test_embedding_positions_are_a_projection(two_views):
    X, y = two_views[0][12:, :4], two_views[1][12:]
    display = EmbeddingDisplay.from_embeddings(X, y)
    assert display.positions.shape == (18, 1, 2)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    _, scales, axes = np.linalg.svd(unit - unit.mean(axis=0))
    expected = (unit - unit.mean(axis=0)) @ axes[:2].T
    np.testing.assert_allclose(np.abs(display.positions[:, 0]), np.abs(expected))
    share = 100 * scales[0] ** 2 / (scales**2).sum()
    label = f"component 1 ({share:.0f} % of variance)"
    assert display.ax_.get_xlabel() == label
    assert display.labels.tolist() == y.tolist()


def test_embedding_legend_and_markers(two_views):
    X, y = two_views[0][12:, :4], two_views[1][12:].astype(object)
    y[::4] = None
    display = EmbeddingDisplay.from_embeddings(X, y, unlabeled="flagellate")
    assert texts(display.figure_.legends[0]) == ["unlabeled", "diatom"]
    gray, colored = display.ax_.collections
    assert len(gray.get_offsets()) == np.sum((y == "flagellate") | (y == None))  # noqa: E711
    assert len(colored.get_offsets()) == np.sum(y == "diatom")
    assert to_hex(gray.get_facecolor()[0]) != to_hex(colored.get_facecolor()[0])
    assert_nothing_is_clipped(display.figure_)


def test_embedding_species_differ_in_color_and_marker():
    y = [f"species {n:02}" for n in range(12)]
    display = EmbeddingDisplay.from_embeddings(np.eye(12), y)
    looks = {
        (to_hex(dots.get_facecolor()[0]), len(dots.get_paths()[0].vertices))
        for dots in display.ax_.collections
    }
    assert len(looks) == 12


def test_embedding_two_views_are_joined(two_views):
    X, y = two_views
    display = EmbeddingDisplay.from_embeddings(X, y, n_modalities=2)
    assert display.positions.shape == (30, 2, 2)
    missing = np.isnan(display.positions).all(axis=2)
    assert np.argwhere(missing).tolist() == [[0, 0], [11, 1]]
    (line,) = display.ax_.lines
    joined = line.get_xydata().reshape(30, 3, 2)
    np.testing.assert_array_equal(joined[:, :2], display.positions)
    assert np.isnan(joined[:, 2]).all()  # one particle is not joined to the next
    assert texts(display.figure_.legends[0])[-2:] == [
        "filled: image",
        "hollow: profile",
    ]


def test_embedding_tsne_is_reproducible(two_views):
    X = two_views[0][12:, :4]
    first, second = (
        EmbeddingDisplay.from_embeddings(X, method="tsne", random_state=0)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.positions, second.positions)
    assert first.ax_.get_xlabel() == "t-SNE 1"
    assert set(first.labels) == {None}


def test_embedding_leaves_the_global_random_state():
    X = np.random.default_rng(0).normal(size=(520, 60))  # PCA draws at this size
    before = np.random.get_state()[1:3]  # noqa: NPY002
    EmbeddingDisplay.from_embeddings(X)
    after = np.random.get_state()[1:3]  # noqa: NPY002
    np.testing.assert_array_equal(after[0], before[0])
    assert after[1] == before[1]


def test_embedding_errors(two_views):
    X, y = two_views
    with pytest.raises(ValueError, match="method='umap'; expected 'pca' or 'tsne'"):
        EmbeddingDisplay.from_embeddings(X, y, method="umap")
    with pytest.raises(ValueError, match="n_modalities=3; expected 1 or 2"):
        EmbeddingDisplay.from_embeddings(X, y, n_modalities=3)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        EmbeddingDisplay.from_embeddings(X, y[1:])
    with pytest.raises(ValueError, match="partly NaN in rows 0, 11"):
        EmbeddingDisplay.from_embeddings(X, y)
    with pytest.raises(ValueError, match=r"3 points of 8 columns.* at least 4 points"):
        EmbeddingDisplay.from_embeddings(X[1:4], y[1:4])


# NeighborsDisplay


@pytest.fixture(scope="module")
def particles():
    """Twelve particles of three species and their embeddings, two views each."""
    X, y = make_particles(12, n_species=3, missing=0.1, random_state=0, return_X_y=True)
    codes = np.unique(y, return_inverse=True)[1]
    rng = np.random.default_rng(0)
    Z = np.tile(np.eye(3)[codes], 2) + 0.1 * rng.normal(size=(12, 6))
    Z[X["image"].isna(), :3] = np.nan
    Z[X["profile"].isna(), 3:] = np.nan
    return X, y, Z


@pytest.fixture(scope="module")
def gallery(particles):
    _, y, Z = particles
    classifier = GalleryKNNClassifier(gallery_size=2, n_modalities=2, random_state=0)
    return classifier.fit(Z, y)


def test_neighbors_are_the_nearest_particles(particles, gallery):
    X, y, Z = particles
    truth = y.astype(object).copy()
    truth[0], truth[1] = None, "another"
    display = NeighborsDisplay.from_estimator(
        gallery, Z[:4], X[:4], X, truth[:4], n_neighbors=3
    )
    both = Z.copy().reshape(12, 2, 3)
    both /= np.linalg.norm(both, axis=2, keepdims=True)
    rows = gallery.gallery_indices_
    for query in range(4):
        cosines = np.einsum("ic,gjc->gij", both[query], both[rows])
        best = np.nanmax(cosines, axis=(1, 2))
        expected = np.argsort(-best)[:3]
        assert display.indices[query].tolist() == expected.tolist()
        np.testing.assert_allclose(display.similarities[query], best[expected])
    assert display.gallery.index.tolist() == rows.tolist()
    assert display.predicted.tolist() == gallery.predict(Z[:4]).tolist()
    assert display.y_true[:2].tolist() == [None, "another"]


def test_neighbors_of_a_classifier_that_knows_column_names(particles):
    X, y, Z = particles
    Z = pd.DataFrame(Z[:, :3], columns=list("abc"))[3:]
    classifier = GalleryKNNClassifier().fit(Z, y[3:])
    display = NeighborsDisplay.from_estimator(classifier, Z[:1], X[3:4], X[3:])
    assert display.predicted.tolist() == [y[3]]


def test_neighbors_correct_and_wrong_labels(particles, gallery):
    X, y, Z = particles
    truth = y.astype(object).copy()
    truth[0], truth[1] = None, "another"
    display = NeighborsDisplay.from_estimator(
        gallery, Z[:3], X[:3], X, truth[:3], n_neighbors=2, channel_names="ABCDEF"
    )
    assert display.axes_.shape == (6, 3)
    unknown, wrong, right = (ax.title for ax in display.axes_[::2, 0])
    assert to_hex(unknown.get_color()) == "#000000"
    assert not unknown.get_text().startswith(("✓", "✗"))
    assert to_hex(wrong.get_color()) == VERMILION
    assert wrong.get_text().startswith("✗")
    assert "is another" in wrong.get_text()
    assert to_hex(right.get_color()) == BLUE
    assert right.get_text().startswith("✓")
    assert "cos 1.00" in display.axes_[0, 1].get_title()
    assert texts(display.figure_.legends[0]) == list("ABCDEF")
    assert display.axes_[1, 0].get_ylabel() == "mV"
    assert display.axes_[-1, 0].get_xlabel() == "time (samples)"
    assert_nothing_is_clipped(display.figure_)


def test_neighbors_missing_views_and_fewer_neighbors(particles, gallery):
    X, _, Z = particles
    no_image = np.flatnonzero(X["image"].isna())
    display = NeighborsDisplay.from_estimator(
        gallery, Z[no_image], X.iloc[no_image], X, n_neighbors=8
    )
    assert (display.indices[:, :6] >= 0).all()  # the whole gallery, each row once
    assert len(set(display.indices[0, :6])) == 6
    assert (display.indices[:, 6:] == -1).all()
    assert not display.axes_[0, 7].axison
    assert display.axes_[0, 0].texts[0].get_text() == "no image"


def test_neighbors_of_files(tmp_path, particles):
    X, y, _ = particles
    names = make_particles(12, n_species=3, random_state=0).channel_names
    path = write_particles(X, y, tmp_path / "LAB")
    files, labels = load_particles(path, return_X_y=True)
    one = GalleryKNNClassifier(metric="euclidean").fit(np.eye(12), labels)
    display = NeighborsDisplay.from_estimator(
        one, np.eye(12)[2:4], files[2:4], files, n_neighbors=1
    )
    assert display.indices[:, 0].tolist() == [2, 3]
    assert "distance 0.00" in display.axes_[0, 1].get_title()
    assert texts(display.figure_.legends[0]) == names
    has_image = files["image"].notna()[2]
    assert len(display.axes_[0, 0].images) == has_image


def test_neighbors_of_instrument_files(tmp_path):
    """Images cut out of the camera's frame, and the names of the file's channels."""
    X = make_particles(3, n_species=2, random_state=0, return_X_y=True)[0]
    path = write_cyz_json(X, tmp_path / "a.json", frame_shape=(200, 200))
    stored = load_cyz_json(path)
    assert stored["image"][0].crop is not None
    gallery = GalleryKNNClassifier().fit(np.eye(3), ["a", "b", "c"])
    display = NeighborsDisplay.from_estimator(
        gallery,
        np.eye(3)[:1],
        stored[:1],
        stored,
        n_neighbors=1,
        channel_names="ABCDEF",
    )
    shown = display.axes_[0, 0].images[0].get_array()
    np.testing.assert_array_equal(shown, X["image"][0])
    assert texts(display.figure_.legends[0]) == list(stored["profile"][0].channels)
    line = display.axes_[1, 0].lines[0].get_ydata()
    np.testing.assert_array_equal(line, np.maximum(X["profile"][0][:, 0], 1))


def test_neighbors_show_images_as_they_are_decoded(tmp_path):
    deep = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.new("LA", (4, 3)).save(tmp_path / "transparent.png")
    images = [tmp_path / "deep.png", str(tmp_path / "transparent.png")]
    table = pd.DataFrame({"image": images, "profile": [None, None]})
    gallery = GalleryKNNClassifier().fit(np.eye(2), ["a", "b"])
    display = NeighborsDisplay.from_estimator(
        gallery, np.eye(2), table, table, n_neighbors=1
    )
    shown = [ax.images[0].get_array() for ax in display.axes_[::2, 0]]
    np.testing.assert_allclose(shown[0], deep / 65535, rtol=1e-6)
    np.testing.assert_array_equal(shown[1], np.full((3, 4), 255))


@pytest.fixture
def vectors():
    """Twelve particles with vectors, two of them with a missing view."""
    return make_particles(
        12, n_species=3, profile="measurements", missing=0.1, random_state=0
    )


def bars(ax):
    return [bar.get_width() for bar in ax.patches]


def labels_of(ax):
    return [label.get_text() for label in ax.get_yticklabels() if label.get_visible()]


def test_neighbors_with_nested_lists_have_lines(X, y):
    for row, profile in enumerate(X["profile"]):
        parts = np.empty(len(profile), dtype=object)
        parts[:] = list(profile)
        X.at[row, "profile"] = parts
    gallery = GalleryKNNClassifier().fit(np.eye(60), y)
    display = NeighborsDisplay.from_estimator(
        gallery, np.eye(60)[:1], X[:1], X, n_neighbors=1
    )
    ax = display.axes_[1, 0]
    assert len(ax.get_lines()) == 6
    assert len(ax.patches) == 0


def test_neighbors_with_vectors_have_bars(vectors):
    X, names = vectors.data, vectors.channel_names
    (no_vector,) = np.flatnonzero(X["profile"].isna())
    X.at[3, "profile"] = np.append(X.at[3, "profile"][:13], np.nan)
    gallery = GalleryKNNClassifier().fit(np.eye(12), vectors.target)
    queries = [3, no_vector]
    display = NeighborsDisplay.from_estimator(
        gallery,
        np.eye(12)[queries],
        X.iloc[queries],
        X,
        n_neighbors=2,
        channel_names=names,
    )
    ax = display.axes_[1, 0]
    shown = [*X["profile"].iloc[queries], *X["profile"]]  # queries and gallery
    known = np.stack([vector for vector in shown if vector is not None])
    for place, width in enumerate(bars(ax)[:13]):
        lower = known[:, place] < X.at[3, "profile"][place]
        equal = known[:, place] == X.at[3, "profile"][place]
        assert width == pytest.approx(100 * (lower.mean() + equal.mean() / 2))
    assert bars(ax)[13] == 0
    assert [text.get_text() for text in ax.texts] == ["missing"]
    assert ax.texts[0].get_position()[1] == 13
    assert ax.yaxis_inverted()
    # The names once in each row: beside the first vector.
    assert labels_of(ax) == names
    assert not any(map(labels_of, display.axes_[1, 1:]))
    assert display.axes_[3, 0].texts[0].get_text() == "no profile"
    has_bars = [bool(ax.patches) for ax in display.axes_[3]]
    assert labels_of(display.axes_[3, has_bars.index(True)]) == names
    assert display.axes_[-1, 0].get_xlabel() == "percentile"
    assert display.axes_[1, 0].get_ylabel() == ""
    assert not display.figure_.legends
    assert_nothing_is_clipped(display.figure_)


def test_names_of_measurements(vectors):
    X = vectors.data
    gallery = GalleryKNNClassifier().fit(np.eye(12), vectors.target)
    query = np.flatnonzero(X["profile"].notna())[:1]

    def drawn(table, names=None):
        display = NeighborsDisplay.from_estimator(
            *(gallery, np.eye(12)[query], table.iloc[query], table),
            n_neighbors=1,
            channel_names=names,
        )
        return labels_of(display.axes_[1, 0])

    assert drawn(X) == [str(n) for n in range(14)]
    with pytest.raises(ValueError, match=r"channel_names has 2 names, .* expected 14"):
        drawn(X, ["a", "b"])
    named = [
        None if v is None else pd.Series(v, vectors.channel_names) for v in X["profile"]
    ]
    named = X.assign(profile=pd.Series(named, dtype=object))
    assert drawn(named, list("ABCDEFGHIJKLMN")) == vectors.channel_names


def test_neighbors_errors(particles, gallery):
    X, y, Z = particles
    from_estimator = NeighborsDisplay.from_estimator
    with pytest.raises(ValueError, match=r"^particles has no column 'profile'"):
        from_estimator(gallery, Z[:2], X[:2].drop(columns="profile"), X)
    with pytest.raises(ValueError, match=r"^gallery_particles has no column 'image'"):
        from_estimator(gallery, Z[:2], X[:2], X.drop(columns="image"))
    with pytest.raises(ValueError, match="X has 2 rows, particles 3 and y_true 2"):
        from_estimator(gallery, Z[:2], X[:3], X)
    with pytest.raises(ValueError, match="particles 2 and y_true 12"):
        from_estimator(gallery, Z[:2], X[:2], X, y)
    with pytest.raises(ValueError, match="has 3 rows, and the gallery contains row"):
        from_estimator(gallery, Z[:2], X[:2], X[:3])
    with pytest.raises(TypeError, match="X is a table of particles"):
        from_estimator(gallery, X[:2], X[:2], X)
    with pytest.raises(TypeError, match=r"classifier is a list; expected a Gallery"):
        from_estimator([], Z[:2], X[:2], X)
    with pytest.raises(TypeError, match="particles is a ndarray; expected a table"):
        from_estimator(gallery, Z[:2], Z[:2], X)


@pytest.mark.parametrize(
    ("pixel_size", "unit"), [(None, "pixels"), (0.7, "µm"), (2.5, "µm")]
)
def test_scale_bars_have_the_length_they_say(particles, gallery, pixel_size, unit):
    X, _, Z = particles
    with_image = np.flatnonzero(X["image"].notna())[:2]
    display = NeighborsDisplay.from_estimator(
        gallery, Z[with_image], X.iloc[with_image], X, pixel_size=pixel_size
    )
    for ax in display.axes_[::2].ravel():
        if not ax.images:
            assert not ax.lines
            continue
        (bar,), (text,) = ax.lines, ax.texts
        length, written_unit = text.get_text().split()
        assert written_unit == unit
        left, right = bar.get_xdata()
        assert (right - left) * (pixel_size or 1) == pytest.approx(float(length))
        width = ax.images[0].get_array().shape[1]
        assert ax.get_xlim() == (-0.5, width - 0.5)
        assert 0.15 * width < right - left <= 0.45 * width
    assert_nothing_is_clipped(display.figure_)
    for image, profile in zip(display.axes_[0], display.axes_[1], strict=True):
        for text in image.texts[: len(image.images)]:
            assert profile.get_window_extent().y1 < text.get_window_extent().y0
            assert text.get_window_extent().y1 < image.get_window_extent().y0 + 1


@pytest.mark.parametrize(
    ("longest", "length"),
    [(0.7, 0.5), (1, 1), (1.99, 1), (2, 2), (49, 20), (50, 50), (99, 50), (370, 200)],
)
def test_lengths_of_scale_bars_are_round(longest, length):
    assert round_length(longest) == pytest.approx(length)


# ParticlesDisplay


def test_particles_with_labels(particles):
    X, y, _ = particles
    truth = y[:5].astype(object)
    truth[0], truth[1] = None, "another"
    display = ParticlesDisplay.from_particles(
        X[:5], y[:5], truth, n_columns=3, channel_names="ABCDEF"
    )
    assert display.axes_.shape == (4, 3)
    unknown, wrong, right = (ax.title for ax in display.axes_[0])
    assert to_hex(unknown.get_color()) == "#000000"
    assert to_hex(wrong.get_color()) == VERMILION
    assert wrong.get_text().endswith("is another")
    assert to_hex(right.get_color()) == BLUE
    assert right.get_text().replace("\n", "") == f"✓ {y[2]}"
    assert not display.axes_[2, 2].axison
    assert not display.axes_[3, 2].axison
    assert texts(display.figure_.legends[0]) == list("ABCDEF")
    # Below the lowest particle of each column.
    lowest = [display.axes_[3, 0], display.axes_[3, 1], display.axes_[1, 2]]
    assert [ax.get_xlabel() for ax in lowest] == ["time (samples)"] * 3
    assert display.axes_[1, 0].get_xlabel() == ""
    assert_nothing_is_clipped(display.figure_)


def test_particles_without_labels(particles, vectors):
    X = particles[0]
    display = ParticlesDisplay.from_particles(X[:2])
    assert display.axes_.shape == (2, 2)
    assert not any(ax.get_title() for ax in display.axes_.flat)
    display = ParticlesDisplay.from_particles(
        X[:2], ["a", "b"], ["a", ""], unlabeled=""
    )
    assert [ax.get_title() for ax in display.axes_[0]] == ["✓ a", "b"]
    bars_of = ParticlesDisplay.from_particles(vectors.data[:3], vectors.target[:3])
    assert bars_of.axes_[1, 0].get_xlabel() == "percentile"
    assert_nothing_is_clipped(bars_of.figure_)


def test_particles_errors(particles):
    X, y, _ = particles
    from_particles = ParticlesDisplay.from_particles
    with pytest.raises(ValueError, match=r"^particles has no column 'profile'"):
        from_particles(X[["image"]])
    with pytest.raises(ValueError, match="labels has 3 values, and particles 2 rows"):
        from_particles(X[:2], y[:3])
    with pytest.raises(ValueError, match="y_true has 1 values, and particles 2 rows"):
        from_particles(X[:2], y[:2], y[:1])
    with pytest.raises(ValueError, match="particles has no rows"):
        from_particles(X[:0])
    with pytest.raises(ValueError, match="n_columns=0; expected at least 1"):
        from_particles(X[:2], n_columns=0)
    with pytest.raises(ValueError, match="pixel_size=-1: expected µm per pixel"):
        from_particles(X[:2], pixel_size=-1)


# SetupConfusionDisplay


def test_confusions_of_setups_are_the_classifiers(two_views):
    X, y = two_views
    drawn = GalleryKNNClassifier(gallery_size=3, n_modalities=2, random_state=0)
    drawn.fit(X, y)
    setups = [("image", "profile"), ("both", "both")]
    display = SetupConfusionDisplay.from_estimator(drawn, X, y, setups=setups)
    assert display.names == ["gallery I, query P", "gallery I+P, query I+P"]
    assert display.labels.tolist() == SPECIES
    views = {"gallery_modalities": "image", "query_modalities": "profile"}
    other = GalleryKNNClassifier(n_modalities=2, **views)
    other.fit(drawn.gallery_, drawn.gallery_labels_)
    queried = ~np.isnan(X[:, 4])
    expected = confusion_matrix(y[queried], other.predict(X[queried]), labels=SPECIES)
    np.testing.assert_array_equal(display.confusion_matrices[0], expected)
    assert display.confusion_matrices[1].sum() == 30
    shown = display.axes_[0].images[0].get_array()
    np.testing.assert_allclose(shown.sum(axis=1), 100)
    accuracy = 100 * np.trace(expected) / expected.sum()
    assert display.axes_[0].get_title() == f"gallery I, query P: {accuracy:.0f} %"
    assert drawn.gallery_modalities == "all"


def test_confusions_with_both_views_are_those_of_predict():
    rng = np.random.default_rng(0)
    y = np.repeat(SPECIES, 20)
    X = np.repeat(rng.normal(size=(3, 8)), 20, axis=0) + rng.normal(size=(60, 8))
    X[:, 4:] *= 20 * rng.random((60, 1)) ** 3  # scales differ between gallery and all
    classifier = GalleryKNNClassifier(
        gallery_size=2, n_modalities=2, metric="euclidean", random_state=0
    ).fit(pd.DataFrame(X, columns=list("abcdefgh")), y)
    display = SetupConfusionDisplay.from_estimator(
        classifier, X, y, setups=[("both", "both")]
    )
    predicted = classifier.predict(pd.DataFrame(X, columns=list("abcdefgh")))
    expected = confusion_matrix(y, predicted, labels=SPECIES)
    np.testing.assert_array_equal(display.confusion_matrices[0], expected)


def test_confusions_all_setups_and_unlabeled_rows(two_views):
    X, y = two_views
    y = y.astype(object).copy()
    y[::3] = None
    drawn = GalleryKNNClassifier(n_modalities=2).fit(X, y)
    display = SetupConfusionDisplay.from_estimator(drawn, X, y)
    assert len(display.axes_) == 9
    assert display.confusion_matrices[-1].sum() == 20
    assert_nothing_is_clipped(display.figure_)


@pytest.mark.parametrize("n_panels", [1, 2, 4])
def test_confusions_of_predictions(n_panels):
    true = ["a_long_species_name", "b", None, "b"]
    predictions = {f"model {n}": ["b", "b", "b", "c"] for n in range(n_panels)}
    display = SetupConfusionDisplay.from_predictions(true, predictions)
    assert display.labels.tolist() == ["a_long_species_name", "b", "c"]
    expected = [[0, 1, 0], [0, 1, 1], [0, 0, 0]]
    np.testing.assert_array_equal(display.confusion_matrices, [expected] * n_panels)
    shown = display.axes_[0].images[0].get_array()
    np.testing.assert_allclose(shown, [[0, 100, 0], [0, 50, 50], [0, 0, 0]])
    rows = [label.get_text() for label in display.axes_[0].get_yticklabels()]
    assert rows == ["a_long_species_name  1", "b  2", "c  3"]
    assert len(display.axes_) == n_panels
    assert_nothing_is_clipped(display.figure_)


def test_confusions_errors(two_views):
    X, y = two_views
    one = GalleryKNNClassifier().fit(X[12:], y[12:])
    with pytest.raises(ValueError, match=r"has n_modalities=1 and .* Fit one with"):
        SetupConfusionDisplay.from_estimator(one, X, y)
    two = GalleryKNNClassifier(n_modalities=2).fit(X, y)
    with pytest.raises(ValueError, match="expected 'all', None, or different pairs"):
        SetupConfusionDisplay.from_estimator(two, X, y, setups=["image"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SetupConfusionDisplay.from_estimator(two, X, y[1:])
    with pytest.raises(ValueError, match="No labeled query has the view of 'gall"):
        SetupConfusionDisplay.from_estimator(two, X[:1], y[:1])
    with pytest.raises(ValueError, match="no panel to draw"):
        SetupConfusionDisplay.from_predictions(y, {})
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SetupConfusionDisplay.from_predictions(y, {"a": y[1:]})
    with pytest.raises(TypeError, match="predictions is a list; expected a dict"):
        SetupConfusionDisplay.from_predictions(y, list(y))
    with pytest.raises(ValueError, match="nothing to compare"):
        SetupConfusionDisplay.from_predictions([None], {"a": ["b"]})


# All displays


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_passed_axis_is_drawn_on(two_views, results, layout):
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4), layout=layout)
    first = GallerySizeDisplay.from_results(results, ax=left)
    second = EmbeddingDisplay.from_embeddings(*two_views, n_modalities=2, ax=right)
    for display, ax in ((first, left), (second, right)):
        assert display.ax_ is ax
        assert display.figure_ is figure
        assert ax.get_legend() is not None
    assert not figure.legends
    assert plt.get_fignums() == [figure.number]
    if layout == "constrained":
        assert_nothing_is_clipped(figure)


DISPLAYS = {
    "GallerySizeDisplay": lambda: GallerySizeDisplay(
        [1, 2], means=[[0.1, 0.2]], stds=[[0, 0]], names=["a"]
    ),
    "EmbeddingDisplay": lambda: EmbeddingDisplay([[[0, 1]]], labels=["a"]),
    "NeighborsDisplay": lambda: NeighborsDisplay(
        pd.DataFrame(),
        gallery=pd.DataFrame(),
        gallery_labels=[],
        indices=np.empty((0, 1)),
        similarities=np.empty((0, 1)),
        predicted=[],
    ),
    "ParticlesDisplay": lambda: ParticlesDisplay(
        pd.DataFrame({"image": [None], "profile": [None]})
    ),
    "SetupConfusionDisplay": lambda: SetupConfusionDisplay(
        [[[1, 0], [0, 1]]], labels=["a", "b"], names=["c"]
    ),
}


@pytest.mark.parametrize("name", DISPLAYS)
def test_without_matplotlib(name, monkeypatch):
    display = DISPLAYS[name]()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # cannot be imported
    with pytest.raises(ImportError, match=rf"{name}\.plot.*'skplankton\[plot\]'"):
        display.plot()


@pytest.mark.parametrize("name", ["GallerySizeDisplay", "EmbeddingDisplay"])
def test_plot_returns_the_display_and_can_be_repeated(name):
    display = DISPLAYS[name]()
    assert display.plot() is display
    first = display.figure_
    assert display.plot().figure_ is not first


# Familiarity


def test_familiarity_display(two_views):
    X, y = two_views
    X = X[:, :4].copy()
    X[0], X[-1] = 1.0, np.nan
    y = y.astype(object)
    known = np.where(y == "flagellate", None, y)
    classifier = GalleryKNNClassifier(use_unlabeled=True).fit(X, known)
    y[[1, 2]] = None
    with pytest.warns(UserWarning, match="all NaN"):
        display = FamiliarityDisplay.from_estimator(classifier, X, y)
    assert len(display.scores) == 29
    assert display.is_known.tolist() == [True, None, None] + [True] * 17 + [False] * 9
    assert display.offset == classifier.offset_
    np.testing.assert_array_equal(display.scores, classifier.score_samples(X[:-1]))
    below = 100 * np.mean(display.scores[20:] < display.offset)
    legend = texts(display.figure_.legends[0])
    assert legend[1] == f"other species ({below:.0f} % below the offset)"
    assert [text.partition(" (")[0] for text in legend] == [
        "species in the gallery",
        "other species",
        "unlabeled",
    ]
    # Bars are shares of their group.
    heights = [patch.get_xy()[:, 1].max() for patch in display.ax_.patches]
    assert max(heights) <= 100
    assert display.ax_.lines[0].get_xdata()[0] == display.offset


def test_familiarity_display_without_labels_or_offset(two_views):
    X, y = two_views
    classifier = GalleryKNNClassifier(gallery_size=1).fit(
        X[:, 4:][:10], SPECIES[:1] * 5 + SPECIES[1:2] * 5
    )
    _, ax = plt.subplots()
    display = FamiliarityDisplay.from_estimator(classifier, X[:10, 4:], ax=ax)
    assert display.ax_ is ax
    assert display.is_known.tolist() == [None] * 10
    assert display.offset == -np.inf
    assert not ax.lines
    with pytest.raises(ValueError, match="inconsistent"):
        FamiliarityDisplay.from_estimator(classifier, X[:10, 4:], y[:3])
