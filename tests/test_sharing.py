"""Models in files that run no code: what comes back, what cannot be saved, the card."""

import json
import subprocess
import sys
import threading
import zipfile

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skplankton
from skplankton import (
    CrossModalEmbedder,
    GalleryKNNClassifier,
    load_model,
    model_card,
    save_model,
)
from skplankton._nn.encoders import ImageCNN
from skplankton._sharing.archive import FORMAT
from skplankton.baselines import DINOEmbedder

from .helpers import quick

VIT = {"image_encoder": "vit_tiny_patch16_224"}
VIT["image_encoder_params"] = {"depth": 1, "embed_dim": 24, "num_heads": 2}
VIT["image_encoder_params"]["patch_size"] = 8
CONVNEXT = {"image_encoder": "convnext_atto"}
CONVNEXT["image_encoder_params"] = {"depths": (1, 1, 1, 1), "dims": (8, 8, 8, 8)}
SMALL = {"width": 8}


class OwnEncoder(ImageCNN):
    """One that learns something that is no weight."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * self.calls


def small_pipe(embedder=None, **gallery):
    embedder = quick(max_epochs=1) if embedder is None else embedder
    return Pipeline([("embed", embedder), ("gallery", GalleryKNNClassifier(**gallery))])


def mostly_unlabeled(y):
    y = y.astype(object)
    y[::3] = None
    return y


MODELS = {
    "default": lambda: small_pipe(CrossModalEmbedder(max_epochs=1)),
    "unlabeled": lambda: small_pipe(
        use_unlabeled=True, outlier_label="unknown", random_state=0
    ),
    "two views": lambda: small_pipe(
        quick(max_epochs=1, output="concat"), n_modalities=2
    ),
    "convnext": lambda: small_pipe(quick(max_epochs=1, image_size=32, **CONVNEXT)),
    "vit": lambda: small_pipe(quick(max_epochs=1, **VIT)),
    "lstm": lambda: small_pipe(
        quick(max_epochs=1, profile_encoder="lstm", profile_encoder_params=SMALL)
    ),
    "transformer": lambda: small_pipe(
        quick(
            max_epochs=1,
            profile_encoder="transformer",
            profile_encoder_params={"width": 8, "n_layers": 1, "n_heads": 2},
        )
    ),
    "siglip": lambda: small_pipe(
        quick(max_epochs=1, loss="siglip", learn_temperature=True, optimizer="sgd")
    ),
    "dino": lambda: small_pipe(
        DINOEmbedder(
            max_epochs=1, image_size=16, image_encoder_params=SMALL, random_state=0
        )
    ),
    "random state": lambda: small_pipe(
        quick(max_epochs=1, random_state=np.random.RandomState(3)),
        random_state=np.random.RandomState(4),
        gallery_size=4,
    ),
    "frozen": lambda: make_pipeline(
        FrozenEstimator(quick(max_epochs=1)), GalleryKNNClassifier()
    ),
}


def fitted(name, X, y):
    model = MODELS[name]()
    if name == "frozen":
        model[0].estimator.fit(X)
    return model.fit(X, mostly_unlabeled(y) if name == "unlabeled" else y)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_bits(name, X_missing, y, tmp_path):
    if name in ("convnext", "vit"):
        pytest.importorskip("timm")
    if name == "dino":
        pytest.importorskip("lightly")
    model = fitted(name, X_missing, y)
    with np.errstate(all="ignore"), joblib.parallel_config(n_jobs=1):
        X = X_missing[X_missing["image"].notna()] if name == "dino" else X_missing
        expected = model[:-1].transform(X), model.predict_proba(X)
        scores = model[-1].score_samples(expected[0])
    save_model(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    assert_array_equal(loaded[:-1].transform(X), expected[0])
    assert_array_equal(loaded.predict_proba(X), expected[1])
    assert_array_equal(loaded[-1].score_samples(expected[0]), scores)
    if name != "random state":
        assert repr(loaded) == repr(model)
    assert_array_equal(loaded[-1].leave_one_out()[0], model[-1].leave_one_out()[0])
    # And again: what was loaded is as complete as what was saved.
    save_model(loaded, tmp_path / "again.skops")
    again = load_model(tmp_path / "again.skops")
    assert_array_equal(again.predict_proba(X), expected[1])


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b", None],
        [1, 2, np.nan],
        [True, False, None],
        [0.0, 1.0, np.nan],
        pd.Series(["a", "b", pd.NA], dtype="string"),
        pd.Categorical(["a", "b", None]),
    ],
    ids=["str", "int", "bool", "float", "string", "categorical"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_of_every_kind(labels, dtype, tmp_path):
    X = np.random.RandomState(0).standard_normal((12, 4)).astype(dtype)
    y = pd.Series(labels)[[0, 1, 2] * 4]
    model = GalleryKNNClassifier(use_unlabeled=True).fit(X, y)
    save_model(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    predicted, expected = loaded.predict(X), model.predict(X)
    assert_array_equal(predicted, expected)
    assert predicted.dtype == expected.dtype
    no_view = np.full((1, 4), np.nan)
    with pytest.warns(UserWarning, match="without a view"):
        assert loaded.predict(no_view) == model.missing_label_


def test_arrays_and_measurements(X, y, tmp_path):
    arrays = np.random.RandomState(0).standard_normal((40, 10))
    vectors = X.assign(profile=[p[:2, :3].ravel() for p in X["profile"]])
    path = tmp_path / "model.skops"
    for data in (arrays, vectors):
        model = CrossModalEmbedder(
            max_epochs=1,
            image_encoder_params=None if data is arrays else SMALL,
            profile_encoder_params=SMALL,
            random_state=0,
        ).fit(data)
        save_model(model, path)
        assert_array_equal(load_model(path).transform(data), model.transform(data))


def test_best_estimator_of_a_search(X, y, tmp_path):
    search = GridSearchCV(small_pipe(), {"gallery__n_neighbors": [1, 3]}, cv=2)
    search.fit(X, y)
    with pytest.raises(
        TypeError, match=r"GridSearchCV is not on.*Save its best_estimator_"
    ):
        save_model(search, tmp_path / "model.skops")
    save_model(search.best_estimator_, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    assert_array_equal(loaded.predict(X), search.predict(X))


def test_fit_score_and_warm_start_after_loading(X, tmp_path):
    model = quick(warm_start=True).fit(X)
    save_model(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    assert loaded.score(X) == model.score(X)
    assert loaded.history_ == model.history_
    assert_array_equal(loaded.fit(X).transform(X), model.fit(X).transform(X))


def test_random_states_are_not_touched(X, y, tmp_path):
    model = small_pipe().fit(X, y)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    save_model(model, tmp_path / "model.skops")
    load_model(tmp_path / "model.skops")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_what_was_set_after_the_fit_does_not_change_the_network(X, tmp_path):
    model = quick(max_epochs=1).fit(X)
    expected = model.transform(X)
    model.set_params(image_encoder="mlp", image_encoder_params=None, n_components=3)
    save_model(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    assert_array_equal(loaded.transform(X), expected)
    assert loaded.get_params() == model.get_params()


def test_the_model_itself_is_left_alone(X, y, tmp_path):
    model = small_pipe().set_params(memory=str(tmp_path / "memory")).fit(X, y)
    net = model["embed"].net_
    save_model(model, tmp_path / "model.skops")
    assert model["embed"].net_ is net
    assert model.memory == str(tmp_path / "memory")
    assert load_model(tmp_path / "model.skops").memory is None


def test_checkpoint_is_not_saved(X, tmp_path):
    model = quick(max_epochs=1, checkpoint=tmp_path / "folder").fit(X)
    save_model(model, tmp_path / "model.skops")
    assert load_model(tmp_path / "model.skops").checkpoint is None


def test_unfitted_models_can_be_saved(tmp_path):
    model = small_pipe(quick(profile_encoder="package.module:name"))
    save_model(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops", trusted=["package.module:name"])
    assert repr(loaded) == repr(model)


def test_card_says_which_encoders_loading_imports(X, tmp_path):
    path = tmp_path / "model.skops"
    own = f"{ImageCNN.__module__}:ImageCNN"
    save_model(quick(max_epochs=1, image_encoder=own).fit(X), path)
    line = f"model = load_model('model.skops', trusted=[{own!r}])"
    assert line in model_card(path)
    assert load_model(path, trusted=[own]).image_encoder == own
    save_model(quick(max_epochs=1).fit(X), path)
    assert "model = load_model('model.skops')" in model_card(path)


def test_a_class_fitted_before_its_import_path_was_set_says_to_fit_again(X, tmp_path):
    model = quick(max_epochs=1, image_encoder=ImageCNN, image_encoder_params=None)
    model.fit(X).set_params(image_encoder=f"{ImageCNN.__module__}:ImageCNN")
    with pytest.raises(TypeError, match=r"built from it in fit: fit again with image"):
        save_model(model, tmp_path / "model.skops")


def test_pretrained_weights_are_those_of_the_file(X, tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    model = quick(max_epochs=1, image_size=32, **CONVNEXT)
    model.image_encoder_params["pretrained"] = True
    build = timm.create_model

    def create_model(name, *, pretrained=False, **params):
        assert not (pretrained and is_saved), "would download the weights"
        return build(name, **params)

    monkeypatch.setattr(timm, "create_model", create_model)
    is_saved = False
    expected = model.fit(X).transform(X)
    is_saved = True
    save_model(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    assert_array_equal(loaded.transform(X), expected)
    assert loaded.image_encoder_params["pretrained"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            {"optimizer": torch.optim.Adagrad},
            r"optimizer is the class torch.optim.adagrad.Adagrad.*optimizer='adamw'",
        ),
        (
            {"image_encoder": ImageCNN},
            r"image_encoder is the class skplankton\._nn\.\w+\.ImageCNN.*module:name'",
        ),
        (
            {"profile_encoder": lambda shape: torch.nn.Flatten()},
            r"profile_encoder is the function .*<lambda>.*joblib.dump",
        ),
        (
            {"image_encoder": f"{__name__}:OwnEncoder"},
            r"cannot be built again .*\(it computes other features\)",
        ),
    ],
    ids=["optimizer", "class", "lambda", "other features"],
)
def test_code_cannot_be_saved(params, words, X, tmp_path):
    kept = {"image_encoder_params": None} if "image_encoder" in params else {}
    kept |= {"profile_encoder_params": None} if "profile_encoder" in params else {}
    model = quick(max_epochs=1, **params, **kept).fit(X)
    with pytest.raises(TypeError, match=words):
        save_model(small_pipe(model), tmp_path / "model.skops")
    assert not list(tmp_path.iterdir())


def test_weights_of_others_cannot_be_named(tmp_path):
    model = quick(**{**CONVNEXT, "image_encoder_params": {"checkpoint_path": "x"}})
    with pytest.raises(TypeError, match="image_encoder_params has 'checkpoint_path'"):
        save_model(model, tmp_path / "model.skops")


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (make_pipeline(PCA(2)), "sklearn.decomposition._pca.PCA"),
        (make_pipeline(FunctionTransformer(np.log1p)), r"_function_transformer.Func"),
    ],
    ids=["PCA", "function"],
)
def test_other_types_need_permission(model, named, tmp_path):
    model.fit([[1.0, 2.0, 3.0], [2.0, 1.0, 0.0], [0.0, 1.0, 4.0]])
    with pytest.raises(TypeError, match=named):
        save_model(model, tmp_path / "model.skops")
    names = [
        "sklearn.decomposition._pca.PCA",
        "sklearn.preprocessing._function_transformer.FunctionTransformer",
        "numpy.log1p",
        "numpy.ufunc",
    ]
    if isinstance(model[-1], FunctionTransformer):
        return
    save_model(model, tmp_path / "model.skops", trusted=names)
    with pytest.raises(ValueError, match=named):
        load_model(tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops", trusted=names)
    X = [[1.0, 2.0, 2.0]]
    assert_array_equal(loaded.transform(X), model.transform(X))


@pytest.mark.parametrize("trusted", ["numpy.log1p", [PCA]])
def test_trusted_are_names(trusted, tmp_path):
    with pytest.raises(TypeError, match="expected a list of names"):
        save_model(GalleryKNNClassifier(), tmp_path / "m.skops", trusted=trusted)


def test_other_arguments_that_are_wrong(tmp_path):
    with pytest.raises(TypeError, match="expected an estimator"):
        save_model({"a": 1}, tmp_path / "model.skops")
    with pytest.raises(TypeError, match="expected an estimator"):
        save_model(GalleryKNNClassifier, tmp_path / "model.skops")
    with pytest.raises(ValueError, match=r"such as model.skops; or use joblib.dump"):
        save_model(GalleryKNNClassifier(), tmp_path / "model.joblib")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.skops"
    save_model(GalleryKNNClassifier().fit(np.eye(4), list("abab")), path)
    return path


def test_files_missing(tmp_path):
    for function in (load_model, model_card):
        with pytest.raises(FileNotFoundError, match=r"is not a file. Expected a mo"):
            function(tmp_path / "none.skops")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_files_truncated(share, path):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    for function in (load_model, model_card):
        with pytest.raises(ValueError, match=r"is incomplete or damaged.*again"):
            function(path)


def test_each_damaged_byte_is_an_error_or_harmless(path):
    content = path.read_bytes()
    expected = load_model(path).predict_proba(np.eye(4))
    errors = []
    for at in range(0, len(content), len(content) // 200):
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        try:
            found = load_model(path).predict_proba(np.eye(4))
        except ValueError as error:
            errors.append(str(error))
        else:
            assert_array_equal(found, expected)
    assert len(errors) > 100
    assert all(str(path) in error for error in errors)


def test_each_damaged_byte_of_the_directory(path):
    """With 0xFF, some ask for a version of zip that Python does not have."""
    content = path.read_bytes()
    errors = []
    for at in range(content.index(b"PK\x01\x02"), len(content)):
        path.write_bytes(content[:at] + b"\xff" + content[at + 1 :])
        try:
            model_card(path)
        except ValueError as error:
            errors.append(str(error))
    assert len(errors) > 100
    assert all(str(path) in error for error in errors)


def test_files_of_other_values_and_of_nothing(path):
    joblib.dump({"a": 1}, path)
    with pytest.raises(ValueError, match="contains no model, but dict"):
        load_model(path, trusted=True)
    path.write_bytes(b"")
    for read in (load_model, model_card):
        with pytest.raises(ValueError, match="is empty"):
            read(path)


@pytest.mark.parametrize("content", [b"junk", b"\x80\x04junk", b"{}"])
def test_files_other_kinds(content, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a file of save_model"):
        load_model(path)
    with pytest.raises(ValueError, match="cannot be opened as a model"):
        load_model(path, trusted=True)
    with pytest.raises(ValueError, match="has no model card"):
        model_card(path)


def test_files_another_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "x")
    with pytest.raises(ValueError, match=r"no model.*contains 'word/document.xml'"):
        load_model(path)


def with_card(path, **changed):
    with zipfile.ZipFile(path) as archive:
        content = {n: archive.read(n) for n in archive.namelist()}
    card = json.loads(content["card.json"]) | changed
    content["card.json"] = json.dumps(card).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in content.items():
            archive.writestr(name, value)


def test_files_newer_format(path):
    with_card(path, format=FORMAT + 1, versions={"skplankton": "7.1"})
    for function in (load_model, model_card):
        with pytest.raises(ValueError, match="pip install --upgrade") as error:
            function(path)
        assert f"format {FORMAT + 1}, written by skplankton 7.1" in str(error.value)
        assert f"This is skplankton {skplankton.__version__}" in str(error.value)
        assert f"formats up to {FORMAT}" in str(error.value)


@pytest.mark.parametrize("number", [0, -1, True, "1", None])
def test_files_no_format(number, path):
    with_card(path, format=number)
    with pytest.raises(ValueError, match=f"has the format {number!r}"):
        load_model(path)


def test_joblib_files(path):
    model = GalleryKNNClassifier().fit(np.eye(4), list("abab"))
    old = path.with_name("model.joblib")
    joblib.dump(model, old)
    with pytest.raises(ValueError, match=r"can run any program.*trusted=True"):
        load_model(old)
    loaded = load_model(old, trusted=True)
    assert_array_equal(loaded.predict(np.eye(4)), model.predict(np.eye(4)))
    with pytest.raises(ValueError, match="trusted=True is for joblib files"):
        load_model(path, trusted=True)


def test_a_failed_save_replaces_nothing(path):
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_model(make_pipeline(PCA()), path)
    assert path.read_bytes() == before


def test_readers_see_the_old_file_or_the_new_one(path):
    model = GalleryKNNClassifier().fit(np.eye(4), list("abab"))
    stop = threading.Event()

    def save_again():
        while not stop.is_set():
            save_model(model, path)

    thread = threading.Thread(target=save_again)
    thread.start()
    try:
        for _ in range(20):
            load_model(path)
    finally:
        stop.set()
        thread.join()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.fixture(scope="module")
def coast_model(_particles):
    X, y = _particles
    return small_pipe().fit(X, y)


@pytest.fixture(scope="module")
def coast(coast_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("card") / "coast.skops"
    texts = {"description": "Of <b>one</b> coast.", "authors": "A | B"}
    save_model(coast_model, path, license="CC-BY-4.0", **texts)
    return path


def test_facts_of_the_card(coast, coast_model, X, y):
    with zipfile.ZipFile(coast) as archive:
        card = json.loads(archive.read("card.json"))
    assert card["license"] == "CC-BY-4.0"
    assert card["description"] == "Of <b>one</b> coast."
    assert card["training"]["n_trained"] == len(X)
    assert card["training"]["n_epochs"] == 1
    assert card["training"]["image_size"] == 16
    assert card["training"]["n_channels"] == X["profile"][0].shape[1]
    counts = pd.Series(y).value_counts()
    species = {row["label"]: row for row in card["gallery"]["species"]}
    assert {name: row["n_labels"] for name, row in species.items()} == dict(counts)
    is_right = coast_model[-1].leave_one_out()[0] == y
    for name, row in species.items():
        assert row["n_recognized"] == is_right[y == name].sum()
    assert card["versions"]["skplankton"] == skplankton.__version__
    found, expected = card["versions"]["torch"], str(torch.__version__)
    assert found.partition("+")[0] == expected.partition("+")[0]


def test_text_of_the_card(coast, coast_model, y):
    text = model_card(coast)
    is_right = coast_model[-1].leave_one_out()[0] == y
    assert text.startswith("# coast.skops\n\nOf \\<b\\>one\\</b\\> coast.\n")
    assert "| Authors | A \\| B |" in text
    assert "| License | CC-BY-4.0 |" in text
    assert f"| Leave-one-out accuracy | {is_right.mean():.3f} of {len(y)}" in text
    for name in set(y):
        row = f"{(y == name).sum()} | {is_right[y == name].sum()} |"
        assert f"| {name} | {row}".replace("_", "\\_") in text
    with zipfile.ZipFile(coast) as archive:
        assert archive.read("README.md").decode() == text


def test_a_fresh_process(coast, coast_model, X, tmp_path):
    """It reads the card without the model, and the model gives the same bits."""
    script = (
        "import sys, joblib, skplankton; skplankton.model_card(sys.argv[1]); "
        "print({'torch', 'skops', 'skorch'} & set(sys.modules)); "
        "import torch, skorch; known = set(sys.modules); "
        "model = skplankton.load_model(sys.argv[1]); "
        "print({'torch._dynamo'} & (set(sys.modules) - known)); "
        "joblib.dump(model.predict_proba(joblib.load(sys.argv[2])), sys.argv[3])"
    )
    joblib.dump(X, tmp_path / "X.joblib")
    paths = [str(coast), str(tmp_path / "X.joblib"), str(tmp_path / "found.joblib")]
    run = subprocess.run(
        [sys.executable, "-c", script, *paths],
        check=True,
        capture_output=True,
        text=True,
    )
    # Neither does it load what torch's optimizers need, which takes seconds.
    assert run.stdout == 2 * "set()\n"
    assert_array_equal(joblib.load(paths[-1]), coast_model.predict_proba(X))


def test_texts_of_the_card_stay_on_one_line(tmp_path):
    path = tmp_path / "model.skops"
    odd = "a\nb\x1b[2J\u202e"
    save_model(GalleryKNNClassifier(), path, authors=odd)
    assert "| Authors | a b \\[2J  |" in model_card(path)
