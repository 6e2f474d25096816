import io
import json
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skplankton.datasets._cyz import json_stream
from skplankton.datasets._cyz.json_stream import BrokenJSON, JSONStream

from .fuzzing import mutated

pytestmark = pytest.mark.once

PIECES = (1, 7, 64, 2**20)  # small ones split every token somewhere
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
DOCUMENT = (
    '{"a": [{"b": 12.5, "c": "x\\u00e9\\n"}, -3, true], "d": {"e": null}, "f": 1}'
)


def read_all(text, piece=2**20, **params):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "PIECE", piece)
        stream = JSONStream(io.StringIO(text), **params)
        members = [
            (name, list(value) if hasattr(value, "__next__") else value)
            for name, value in stream.members()
        ]
        stream.expect_end()
        return members


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text(), json_values),
    st.sampled_from([None, 0, 60]),
    st.sampled_from(PIECES),
)
@example({"a": [{"b": [1, -2.5e-3, True, None, 'é\\"']}]}, 60, 7)
def test_it_reads_what_the_standard_library_reads(value, indent, piece):
    text = json.dumps(value, indent=indent)
    assert read_all(text, piece) == list(value.items())


@settings(max_examples=150, deadline=None)
@given(mutated(DOCUMENT.encode()), st.sampled_from(PIECES))
def test_it_refuses_what_the_standard_library_refuses(content, piece):
    text = content.decode("utf-8", "replace")
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    if isinstance(expected, dict):
        assert dict(read_all(text, piece)) == expected
    else:
        with pytest.raises(BrokenJSON):
            read_all(text, piece)


@pytest.mark.parametrize("piece", PIECES)
def test_a_text_that_ends_early(piece):
    for n in range(len(DOCUMENT)):
        message = rf"the file ends too early, at character {n}$"
        with pytest.raises(BrokenJSON, match=message):
            read_all(DOCUMENT[:n], piece)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}]', r"not JSON \(expected {\) at character 0$"),
        ('{"a": [1 2], "b": "' + 100 * "x" + '"}', r"a comma or \]\) at character 9$"),
        ('{"a": {"b" 1}, "c": "' + 100 * "x" + '"}', r"delimiter\) at character 11$"),
        ('{"a": 1, 2: 3, "c": "' + 100 * "x" + '"}', r"a name\) at character 10$"),
        ('{"a" 1}', r"\(expected :\) at character 5$"),
        ('{"a": 1} {}', r"\(expected the end of the file\) at character 9$"),
        ('{"a": [' + 100 * "\0" + "]}", r"\(Expecting value\) at character 7$"),
        ('{"a": ' + 10**5 * "[" + 10**5 * "]" + "}", r"too deeply nested\) at char"),
    ],
)
def test_invalid_json_is_distinguished_from_a_truncated_one(text, message):
    for piece in PIECES[:3]:
        with pytest.raises(BrokenJSON, match=message):
            read_all(text, piece)


@pytest.mark.parametrize("piece", PIECES)
def test_whole_numbers_longer_than_python_reads_are_infinite(piece):
    digits = "1" + 5000 * "0"
    read = read_all(f'{{"a": [1, {digits}, -{digits}], "b": 2}}', piece)
    assert read == [("a", [1, float("inf"), -float("inf")]), ("b", 2)]


def test_items_that_are_not_read_are_skipped():
    stream = JSONStream(io.StringIO('{"a": [1, 2, 3], "b": [4], "c": 5}'))
    read = [next(v) if name != "c" else v for name, v in stream.members()]
    assert read == [1, 4, 5]


def test_progress_adds_up_to_the_length():
    lengths = []
    read_all(DOCUMENT, 7, progress=lengths.append)
    assert sum(lengths) == len(DOCUMENT)


def test_other_encodings_are_reported():
    file = io.TextIOWrapper(io.BytesIO('{"a": "é"}'.encode("latin-1")), "utf-8")
    with pytest.raises(BrokenJSON, match="not utf-8 at character 0"):
        list(JSONStream(file).members())


def test_memory_is_that_of_one_item(monkeypatch):
    monkeypatch.setattr(json_stream, "PIECE", 100)
    stream = JSONStream(io.StringIO(json.dumps({"a": ["x" * 50] * 1000})))
    for _, items in stream.members():
        held = [len(stream._text) for _ in items]
    assert max(held) < 400


def test_a_long_item_is_begun_a_few_times_only():
    """Each time with twice as much text: otherwise the time would be quadratic."""
    lengths = []
    read_all(json.dumps({"a": ["x" * 10_000]}), 10, progress=lengths.append)
    long_pieces = [n for n in lengths if n > 10]
    assert len(long_pieces) < 12
    assert all(second == 2 * first for first, second in pairwise(long_pieces[:-1]))
