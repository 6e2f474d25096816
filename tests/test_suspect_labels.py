import numpy as np
import pytest

from skplankton import GalleryKNNClassifier
from skplankton.evaluation import suspect_labels

CLASSES = np.array(["a", "b", "c"])


def blobs(n=20, seed=0):
    rng = np.random.RandomState(seed)
    y = np.repeat(CLASSES, n)
    centers = np.eye(3)
    return centers[np.repeat(np.arange(3), n)] + 0.1 * rng.randn(3 * n, 3), y


def test_wrong_labels_of_a_gallery_are_found():
    X, y = blobs()
    wrong = y.copy()
    wrong[[3, 25, 50]] = ["b", "c", "a"]
    gallery = GalleryKNNClassifier(n_neighbors=5).fit(X, wrong)
    _, shares = gallery.leave_one_out()
    found = suspect_labels(gallery.gallery_labels_, shares, gallery.classes_)
    assert set(gallery.gallery_indices_[found]) == {3, 25, 50}


def test_no_label_is_suspected_without_a_reason():
    X, y = blobs()
    gallery = GalleryKNNClassifier(n_neighbors=5).fit(X, y)
    _, shares = gallery.leave_one_out()
    found = suspect_labels(gallery.gallery_labels_, shares, gallery.classes_)
    assert len(found) == 0


def test_a_class_that_is_recognized_less_well_is_not_suspected_for_it():
    # Rows labeled "a" have a share of 0.4 on average: 0.4 of "b" is less than usual.
    labels = np.array(["a", "a", "b", "b"])
    shares = np.array([[0.4, 0.6], [0.4, 0.6], [0.1, 0.9], [0.1, 0.9]])
    assert len(suspect_labels(labels, shares, ["a", "b"])) == 0


def test_the_least_likely_label_comes_first():
    labels = np.array(["a", "a", "a", "b", "b"])
    shares = np.array([[0.3, 0.7], [0.1, 0.9], [0.9, 0.1], [0.3, 0.7], [0.4, 0.6]])
    assert suspect_labels(labels, shares, ["a", "b"]).tolist() == [1, 0]


def test_a_class_without_labels_is_never_the_reason():
    labels = np.array(["a", "b"])
    shares = np.array([[0.2, 0.1, 0.7], [0.0, 0.3, 0.7]])
    assert len(suspect_labels(labels, shares, CLASSES)) == 0


@pytest.mark.parametrize(
    ("labels", "shares", "message"),
    [
        (["a"], [[1, 0]], r"shape \(1, 2\); expected 1 rows with one column for each"),
        (["a"], [[1, 0, 0], [0, 1, 0]], "inconsistent numbers of samples"),
        (["a"], [[np.nan, 0, 0]], "shares is NaN in row 0"),
        (["a", "x"], [[1, 0, 0], [1, 0, 0]], "The label .*'x'.* of row 1 is not amon"),
    ],
)
def test_mistakes(labels, shares, message):
    with pytest.raises(ValueError, match=message):
        suspect_labels(labels, shares, CLASSES)
