import os
import pickle
import subprocess
import sys

import joblib
import torch
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from skplankton import CrossModalEmbedder

from .helpers import quick
from .test_scikit_learn import make_pipe


def test_a_fresh_process_gives_the_same_bits(X_missing, y, tmp_path):
    models = [
        quick(random_state=0),
        make_pipe(),
        GridSearchCV(make_pipe(), {"gallery__n_neighbors": [1, 3]}, cv=2),
    ]
    uses = ["transform", "predict", "predict"]
    expected = [
        getattr(model.fit(X_missing, y), use)(X_missing)
        for model, use in zip(models, uses, strict=True)
    ]
    before, after = tmp_path / "before.joblib", tmp_path / "after.joblib"
    joblib.dump((models, uses, X_missing), before)
    script = (
        "import sys, joblib; models, uses, X = joblib.load(sys.argv[1]); "
        "found = [getattr(model, use)(X) for model, use in zip(models, uses)]; "
        "joblib.dump(found, sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", script, str(before), str(after)], check=True)
    for values, bits in zip(joblib.load(after), expected, strict=True):
        assert_array_equal(values, bits)


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
