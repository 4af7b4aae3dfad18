"""How hostile things are made: bytes that are changed, JSON that is edited, odd numbers."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 7, 255, 256, 65535, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, -(2**63), 10**30]
) | st.integers(-3, 70)
SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | NUMBERS
    | st.floats()
    | st.sampled_from(["", "x", "f32", "\x1b[2J", "a\nb", "9" * 500, "\ud800", "nan", "1e999"])
    | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)
DEEP = st.integers(1, 60_000).map(lambda depth: b"[" * depth)


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes], tokens: tuple[bytes, ...] = ()) -> bytes:
    """Draw one of the seeds with up to six places changed."""
    data = bytearray(draw(st.sampled_from(seeds)))
    pieces = st.binary(max_size=8) | st.sampled_from(
        [b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x08", b"\n", *tokens]
    )
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 6, 0]))):
        at = draw(st.integers(0, len(data)))
        # The first bytes decide what a file is, and how large it says it is.
        at = at % 64 if draw(st.booleans()) else at
        length = draw(st.sampled_from([1, 1, 2, 4, 8, 0, 0, 10_000]))
        piece = draw(pieces)
        # As a disk changes bytes, or as a program changes sizes.
        data[at : at + length] = piece[:length] if draw(st.booleans()) else piece
    if draw(st.integers(0, 9)) == 9:
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@st.composite
def edited_json(draw: st.DrawFn, document: Any) -> bytes:
    """Draw the document with up to three values replaced, removed or added; seldom broken text."""
    changed = json.loads(json.dumps(document))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 0]))):
        place = changed
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
                place[key] = draw(VALUES)
                break
            place = inner
    return json.dumps(changed).encode("utf-8", "surrogatepass")


def documents(document: Any) -> st.SearchStrategy[bytes]:
    """Return JSON documents like this one, most of them still JSON."""
    whole = json.dumps(document).encode()
    tokens = (b"NaN", b"Infinity", b"-0", b"1e999", b'"', b"{", b"null", b"9" * 5000)
    broken = (
        mutated([whole], tokens)
        | VALUES.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
        | DEEP
    )
    return st.integers(0, 3).flatmap(lambda kind: broken if kind == 3 else edited_json(document))
