"""Model files that try to run code, to import, to reach other files or to fill memory.

Each of them is refused by an error that names what was refused, and nothing runs: what
the code would have written is not there.
"""

import importlib
import io
import json
import os
import pickle
import sys
import zipfile
from functools import partial

import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skplankton import GalleryKNNClassifier, load_model, save_model

from .helpers import quick

GALLERY = GalleryKNNClassifier(n_neighbors=1)


@pytest.fixture
def marker(tmp_path):
    """A file that the attacks write."""
    return tmp_path / "it ran"


@pytest.fixture
def ours(tmp_path):
    """A model file to tamper with."""
    path = tmp_path / "model.skops"
    save_model(GALLERY.fit([[1.0, 0.0], [0.0, 1.0]], ["a", "b"]), path)
    return path


@pytest.fixture(scope="module")
def embedder(_particles):
    return quick(max_epochs=1).fit(_particles[0])


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path, compression=zipfile.ZIP_STORED, **changed):
    """The file with other members; dots in their names are written as "__"."""
    content = members(path) | {n.replace("__", "."): v for n, v in changed.items()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return path


def with_object(path, value):
    """The file with another object in the place of the model."""
    inner = io.BytesIO(skops.io.dumps(value))
    return rewritten(path, **members(inner))


def with_node(path, node):
    """The file with a node in the place of a parameter of the model."""
    schema = json.loads(members(path)["schema.json"])
    schema["content"]["content"]["n_neighbors"] = node
    return rewritten(path, schema__json=json.dumps(schema))


class Shell:
    """A pickle of it runs a command."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {str(self.marker)!r}",)


def dangerous(path, marker):
    """A pickle as a model."""
    joblib.dump(Shell(marker), path)
    return path


def member_that_is_a_pickle(path, marker):
    return rewritten(path, model__pkl=pickle.dumps(Shell(marker)))


def weights_with_a_pickle(path, marker):
    torch.save({"weight": Shell(marker)}, path)
    return path


def array_of_objects(path, marker):
    content = members(path)
    name = next(name for name in content if name.endswith(".npy"))
    buffer = io.BytesIO()
    np.save(buffer, np.array([Shell(marker)], dtype=object), allow_pickle=True)
    return rewritten(path, **{name: buffer.getvalue()})


def function_node(path, marker):
    node = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}
    return with_node(path, node | {"__id__": 1})


def constructor(path, marker):
    """A node that calls a class with arguments."""
    argument = {
        "__class__": "tuple",
        "__module__": "builtins",
        "__loader__": "TupleNode",
        "content": [
            {
                "__class__": "str",
                "__module__": "builtins",
                "__loader__": "JsonNode",
                "content": json.dumps(f"touch {str(marker)!r}"),
            }
        ],
    }
    node = {
        "__class__": "Popen",
        "__module__": "subprocess",
        "__loader__": "ConstructorFromReduceNode",
        "content": argument,
    }
    return with_node(path, node)


def another_type(path, marker):
    """An object of a type that skops trusts by default, and we do not."""
    return with_object(path, make_pipeline(FunctionTransformer()))


def type_in_a_safe_loader(path, marker):
    """A function where the kind of node says that it is a dict."""
    node = {"__class__": "system", "__module__": "os", "__loader__": "DictNode"}
    return with_node(path, node | {"content": {}, "key_types": {}})


def method_caller(path, marker):
    import operator

    return with_object(path, operator.methodcaller("unlink"))


def bound_method(path, marker):
    return with_object(path, GALLERY.fit)


def partial_function(path, marker):
    return with_object(path, partial(os.system, f"touch {str(marker)!r}"))


def function_in_a_transformer(path, marker):
    return with_object(path, FunctionTransformer(os.system))


def path_traversal(path, marker):
    return rewritten(path, **{"../escaped.npy": b"x"})


def zip_bomb(path, marker):
    zeros = io.BytesIO()
    np.save(zeros, np.zeros(10**7))
    return rewritten(path, zipfile.ZIP_DEFLATED, zeros__npy=zeros.getvalue())


def overlapping_members(path, marker):
    """Every member claims to be larger than the file."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    while (at := content.find(b"PK\x01\x02", start)) >= 0:
        content[at + 20 : at + 28] = (2**31 - 1).to_bytes(4, "little") * 2
        start = at + 4
    path.write_bytes(content)
    return path


def member_twice(path, marker):
    content = members(path)["schema.json"]
    with (
        zipfile.ZipFile(path, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("schema.json", content)
    return path


REFUSED = [
    (dangerous, "can run any program when it is opened"),
    (member_that_is_a_pickle, "contains 'model.pkl'"),
    (weights_with_a_pickle, r"no model of skplankton.*contains '\w+/data.pkl'"),
    (array_of_objects, "Object arrays cannot be loaded when allow_pickle=False"),
    (function_node, r"os\.system \(FunctionNode\)"),
    (constructor, r"subprocess\.Popen \(ConstructorFromReduceNode\)"),
    (another_type, r"sklearn\.preprocessing\._function_transformer\.FunctionTransf"),
    (type_in_a_safe_loader, r"os\.system \(DictNode\)"),
    (method_caller, r"operator\.methodcaller \(OperatorFuncNode\)"),
    (bound_method, r"GalleryKNNClassifier\.fit \(MethodNode\)"),
    (partial_function, r"functools\.partial \(PartialNode\)"),
    (function_in_a_transformer, r"\w+\.system \(TypeNode\)"),
    (path_traversal, r"contains '\.\./escaped\.npy'"),
    (zip_bomb, r"members claim 80,[\d,]+ bytes, in a file of \d"),
    (overlapping_members, "members claim"),
    (member_twice, "contains 'schema.json' more than once"),
]


@pytest.mark.parametrize(
    ("attack", "named"), REFUSED, ids=[attack.__name__ for attack, _ in REFUSED]
)
def test_nothing_runs(attack, named, ours, marker, tmp_path):
    path = attack(ours, marker)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=named):
        load_model(path)
    assert sorted(tmp_path.rglob("*")) == before
    assert not marker.exists()


def test_the_pickle_of_these_tests_would_run(marker, tmp_path):
    """They could not fail otherwise."""
    path = dangerous(tmp_path / "model.joblib", marker)
    with pytest.raises(ValueError, match="contains no model"):
        load_model(path, trusted=True)
    assert marker.exists()


@pytest.mark.parametrize("attack", [method_caller, bound_method, partial_function])
def test_what_calls_others_is_never_opened(attack, ours, marker):
    path = attack(ours, marker)
    names = ["operator.methodcaller", "functools.partial", "posix.system"]
    names += ["skplankton._gallery.classifier.GalleryKNNClassifier"]
    names += ["skplankton._gallery.classifier.GalleryKNNClassifier.fit"]
    with pytest.raises(ValueError, match="Node"):
        load_model(path, trusted=names)


class TestImports:
    """Encoders that are named by an import path."""

    SPEC = "harmful_encoders:build"

    @pytest.fixture
    def package(self, tmp_path, marker, monkeypatch):
        """A package that a file could name; importing it leaves the marker."""
        folder = tmp_path / "installed"
        folder.mkdir()
        (folder / "harmful_encoders.py").write_text(
            f"open({str(marker)!r}, 'w').close()\n"
            "from skplankton._nn.encoders import ImageCNN\n"
            "def build(shape, **params):\n    return ImageCNN(shape, **params)\n"
        )
        monkeypatch.syspath_prepend(folder)
        yield
        sys.modules.pop("harmful_encoders", None)
        importlib.invalidate_caches()

    @pytest.mark.parametrize("is_fitted", [False, True])
    def test_are_not_imported_without_permission(
        self, is_fitted, package, marker, X, tmp_path
    ):
        model = quick(image_encoder=self.SPEC, max_epochs=1)
        path = tmp_path / "model.skops"
        expected = model.fit(X).transform(X) if is_fitted else None
        save_model(model, path)
        del model
        sys.modules.pop("harmful_encoders", None)
        marker.unlink(missing_ok=True)
        with pytest.raises(ValueError, match="import and run 'harmful_encoders:build'"):
            load_model(path)
        assert not marker.exists()
        loaded = load_model(path, trusted=[self.SPEC])
        assert marker.exists() == is_fitted
        if is_fitted:
            np.testing.assert_array_equal(loaded.transform(X), expected)

    @pytest.mark.parametrize(
        "place",
        [
            ("image_encoder",),
            ("profile_encoder",),
            ("_network_parts", "net_", "module", "image", "encoder"),
            ("_network_parts", "net_", "module", "profile", "encoder"),
        ],
        ids=".".join,
    )
    def test_wherever_they_are_named(
        self, place, package, embedder, marker, tmp_path, ours
    ):
        save_model(embedder, ours)
        schema = json.loads(members(ours)["schema.json"])
        node = schema
        for key in place:
            node = node["content"]
            node = node["content"][key] if node.get("__loader__") else node[key]
        # Of nodes with one id, only the first counts.
        node.update(content=json.dumps(self.SPEC), __id__=1)
        rewritten(ours, schema__json=json.dumps(schema))
        with pytest.raises(ValueError, match="import and run 'harmful_encoders:build'"):
            load_model(ours)
        assert not marker.exists()


def tampered(embedder, path, **attributes):
    """The file of an embedder, written by another program than ours."""
    save_model(embedder, path)
    schema = json.loads(members(path)["schema.json"])
    for name, value in attributes.items():
        written = json.loads(members(io.BytesIO(skops.io.dumps(value)))["schema.json"])
        written["__id__"] = hash(name)
        schema["content"]["content"][name] = written
    return rewritten(path, schema__json=json.dumps(schema))


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"checkpoint": "/tmp/pickles"}, "checkpoint='/tmp/pickles'"),
        (
            {
                "image_encoder": "convnext_femto",
                "image_encoder_params": {"checkpoint_path": "/tmp/weights.pt"},
            },
            "image_encoder_params has 'checkpoint_path'",
        ),
    ],
)
def test_files_that_a_later_fit_would_read(attributes, named, embedder, ours):
    path = tampered(embedder, ours, **attributes)
    with pytest.raises(ValueError, match=named):
        load_model(path)


def test_options_of_the_net_that_are_not_ours(embedder, ours, marker):
    """skorch takes many more, some of which name modules, callbacks and files."""
    parts = {
        "module": {},
        "options": {"module__image": {"encoder": "harmful_encoders:build"}},
        "weights": {},
    }
    path = tampered(embedder, ours, _network_parts={"net_": parts})
    with pytest.raises(ValueError, match="is damaged, or its model does not fit"):
        load_model(path)
    assert not marker.exists()
