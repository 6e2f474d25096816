import io
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skplankton.datasets import _json_stream
from skplankton.datasets._json_stream import BrokenJSON, JSONStream

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def read_all(text, **params):
    stream = JSONStream(io.StringIO(text), **params)
    members = [
        (name, value if not hasattr(value, "__next__") else list(value))
        for name, value in stream.members()
    ]
    stream.expect_end()
    return members


@pytest.fixture(params=[1, 7, 64], autouse=True)
def piece(request, monkeypatch):
    """Small pieces, so that every token is cut somewhere."""
    monkeypatch.setattr(_json_stream, "PIECE", request.param)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), json_values), st.sampled_from([None, 0, 40]))
def test_it_reads_what_the_standard_library_reads(value, indent):
    text = json.dumps(value, indent=indent)
    for size in (1, 5, 2**20):
        _json_stream.PIECE = size  # monkeypatch, which puts it back, is set up once
        assert read_all(text) == list(json.loads(text).items())


def test_wide_indentation_does_not_hide_where_a_piece_was_cut():
    text = json.dumps({"a": [{"b": [1, -2.5e-3, True, None, 'é\\"']}]}, indent=60)
    assert read_all(text) == list(json.loads(text).items())


DOCUMENT = (
    '{"a": [{"b": 12.5, "c": "x\\u00e9\\n"}, -3, true], "d": {"e": null}, "f": 1}'
)


@pytest.mark.parametrize("n", range(len(DOCUMENT)))
def test_a_text_that_ends_early_says_so(n):
    with pytest.raises(BrokenJSON, match=r"the file ends too early, at character \d+"):
        read_all(DOCUMENT[:n])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}]', r"no JSON \(expected {\) at character 0"),
        (
            '{"a": [1 2], "b": "' + 100 * "x" + '"}',
            r"expected a comma or \]\) at .* 9$",
        ),
        ('{"a": {"b" 1}, "c": "' + 100 * "x" + '"}', "no JSON .* at character 11"),
        ('{"a": 1, 2: 3, "c": "' + 100 * "x" + '"}', r"\(expected a name\)"),
        ('{"a": 1} {}', "expected the end of the file"),
        ('{"a": [' + 100 * "\0" + "]}", "no JSON .* at character 7"),
        ('{"a": ' + 10**5 * "[" + 10**5 * "]" + "}", "too deeply nested"),
    ],
)
def test_text_that_is_no_json_is_told_from_a_cut_one(text, message):
    with pytest.raises(BrokenJSON, match=message):
        read_all(text)


def test_items_that_are_not_taken_are_skipped():
    stream = JSONStream(io.StringIO('{"a": [1, 2, 3], "b": [4], "c": 5}'))
    taken = [next(v) if name != "c" else v for name, v in stream.members()]
    assert taken == [1, 4, 5]


def test_progress_adds_up_to_the_length():
    lengths = []
    read_all(DOCUMENT, progress=lengths.append)
    assert sum(lengths) == len(DOCUMENT)


def test_other_encodings_are_named():
    file = io.TextIOWrapper(io.BytesIO('{"a": "é"}'.encode("latin-1")), "utf-8")
    with pytest.raises(BrokenJSON, match="no utf-8 at character 0"):
        list(JSONStream(file).members())


def test_no_more_is_held_than_an_item(monkeypatch):
    monkeypatch.setattr(_json_stream, "PIECE", 100)
    stream = JSONStream(io.StringIO(json.dumps({"a": ["x" * 50] * 1000})))
    for _, items in stream.members():
        held = [len(stream._text) for _ in items]
    assert max(held) < 400


def test_a_long_item_is_begun_a_few_times_only(monkeypatch):
    """Each time with twice as much text: else reading would take quadratic time."""
    monkeypatch.setattr(_json_stream, "PIECE", 10)
    file = io.StringIO(json.dumps({"a": ["x" * 10_000]}))
    lengths = []
    list(JSONStream(file, lengths.append).members())
    long_pieces = [n for n in lengths if n > 10]
    assert len(long_pieces) < 12
    assert all(second == 2 * first for first, second in pairwise(long_pieces[:-1]))
