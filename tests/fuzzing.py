"""Shared by the fuzz tests: the number of examples, and how a file is damaged.

A test run tries a few, always the same; SKPLANKTON_FUZZ_EXAMPLES=1000000 tries that
many, at random.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

VARIABLE = "SKPLANKTON_FUZZ_EXAMPLES"


def examples(default: int) -> settings:
    """Settings of a fuzz test that tries `default` examples unless VARIABLE is set."""
    requested = os.environ.get(VARIABLE)
    return settings(
        max_examples=int(requested or default),
        deadline=None,
        derandomize=not requested,
        database=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            # All examples share one folder: each overwrites the file of the last.
            HealthCheck.function_scoped_fixture,
        ],
    )


@st.composite
def mutated(draw, content: bytes) -> bytes:
    """The bytes of a file after one to five kinds of damage."""
    for damage in draw(st.lists(st.sampled_from(_DAMAGES), min_size=1, max_size=5)):
        # Headers determine how the rest is read: half of the damage is done there.
        last = len(content) if draw(st.booleans()) else min(64, len(content))
        content = damage(draw, content, draw(st.integers(0, last)))
    return content


def _flip(draw, content: bytes, at: int) -> bytes:
    mask = draw(st.integers(1, 255))
    return (
        content[:at]
        + bytes(byte ^ mask for byte in content[at : at + 1])
        + (content[at + 1 :])
    )


def _overwrite(draw, content: bytes, at: int) -> bytes:
    # Also the largest and smallest numbers, with which sizes and offsets overflow.
    new = draw(st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\x7f" + b"\xff" * 3]))
    new = draw(st.binary(min_size=1, max_size=4) | st.just(new))
    return content[:at] + new + content[at + len(new) :]


def _insert(draw, content: bytes, at: int) -> bytes:
    return content[:at] + draw(st.binary(min_size=1, max_size=8)) + content[at:]


def _delete(draw, content: bytes, at: int) -> bytes:
    return content[:at] + content[at + draw(st.integers(1, 32)) :]


def _truncate(draw, content: bytes, at: int) -> bytes:
    return content[:at]


def _splice(draw, content: bytes, at: int) -> bytes:
    """A part of the file, repeated somewhere else."""
    start = draw(st.integers(0, len(content)))
    part = content[start : start + draw(st.integers(1, 64))]
    return content[:at] + part + content[at:]


_DAMAGES = (_flip, _overwrite, _insert, _delete, _truncate, _splice)
