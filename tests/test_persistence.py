import os
import pickle
import subprocess
import sys

import joblib
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from skplankton import CrossModalEmbedder

from .helpers import quick
from .test_scikit_learn import make_pipe


@pytest.mark.parametrize("what", ["embedder", "pipeline", "search"])
def test_a_fresh_process_gives_the_same_bits(what, X_missing, y, tmp_path):
    model = {
        "embedder": quick(random_state=0),
        "pipeline": make_pipe(),
        "search": GridSearchCV(make_pipe(), {"gallery__n_neighbors": [1, 3]}, cv=2),
    }[what].fit(X_missing, y)
    use = "transform" if what == "embedder" else "predict"
    expected = getattr(model, use)(X_missing)
    paths = [tmp_path / name for name in ("model.joblib", "X.joblib", "out.joblib")]
    joblib.dump(model, paths[0])
    joblib.dump(X_missing, paths[1])
    script = (
        "import sys, joblib; model = joblib.load(sys.argv[1]); "
        f"joblib.dump(model.{use}(joblib.load(sys.argv[2])), sys.argv[3])"
    )
    subprocess.run([sys.executable, "-c", script, *map(str, paths)], check=True)
    assert_array_equal(joblib.load(paths[2]), expected)
    if what == "pipeline":
        gallery = pickle.loads(pickle.dumps(model[-1]))
        assert_array_equal(
            gallery.predict_proba(model[0].transform(X_missing)),
            model.predict_proba(X_missing),
        )


def test_pickle_keeps_the_bits_and_the_file_is_little_more_than_the_weights(
    X, tmp_path
):
    embedder = CrossModalEmbedder(image_size=16, max_epochs=1, random_state=0).fit(X)
    expected = embedder.transform(X)
    pickled = pickle.dumps(embedder)
    assert_array_equal(pickle.loads(pickled).transform(X), expected)
    weights = embedder.net_.module_.state_dict().values()
    n_bytes = sum(w.numel() * w.element_size() for w in weights)
    path = tmp_path / "embedder.joblib"
    joblib.dump(embedder, path)
    assert len(pickled) < 1.1 * n_bytes
    assert os.path.getsize(path) < 1.1 * n_bytes


def test_fit_and_score_work_after_loading(X):
    embedder = pickle.loads(pickle.dumps(quick(warm_start=True).fit(X)))
    expected = quick(warm_start=True).fit(X).fit(X).transform(X)
    assert_array_equal(embedder.fit(X).transform(X), expected)
    assert 0 <= embedder.score(X) <= 1


def test_what_a_gpu_trained_loads_without_one(X, tmp_path, monkeypatch):
    embedder = quick().fit(X)
    expected = embedder.transform(X)
    path = tmp_path / "model.joblib"
    with monkeypatch.context() as patch:
        # Write the file as a machine would whose weights are on its first GPU.
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        joblib.dump(embedder, path)
    assert b"cuda:0" in path.read_bytes()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = joblib.load(path)
    assert loaded.net_.module_.device.type == "cpu"
    assert_array_equal(loaded.transform(X), expected)
