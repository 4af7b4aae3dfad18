"""What is done with the lanes of a vector: joined to one number, filled from one, left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.simd.writer import Writer


def across_lanes(w: Writer, vector: str, join: Callable[[str, str], str]) -> str:
    """Write the join of all lanes of a vector; every lane of the result has it."""
    distance = w.lanes // 2
    while distance:
        picks = ", ".join(f"i32 {lane ^ distance}" for lane in range(w.lanes))
        v = w.vector
        turned = w.add(f"shufflevector {v} {vector}, {v} poison, <{w.lanes} x i32> <{picks}>")
        vector = join(vector, turned)
        distance //= 2
    return vector


def alive(w: Writer, vector: str, mask: str | None, dead: str) -> str:
    """Write the vector with the lanes of ``dead`` outside the mask."""
    if mask is None:
        return vector
    return w.add(f"select {mask}, {w.vector} {vector}, {w.vector} {dead}")


def summed(w: Writer, sums: Sequence[str]) -> str:
    """Write the sum of all lanes of some vectors, in every lane."""
    total = sums[0]
    for other in sums[1:]:
        total = w.add(f"fadd {w.vector} {total}, {other}")
    return across_lanes(w, total, lambda a, b: w.add(f"fadd {w.vector} {a}, {b}"))


def first_lane(w: Writer, vector: str) -> str:
    """Write the first lane of a vector: what is the same in all is divided once, not 16 times."""
    return w.add(f"extractelement {w.vector} {vector}, i64 0")


def everywhere(w: Writer, number: str) -> str:
    """Write a vector of one number."""
    v, zeros = w.vector, f"<{w.lanes} x i32> zeroinitializer"
    one = w.add(f"insertelement {v} poison, {w.element} {number}, i64 0")
    return w.add(f"shufflevector {v} {one}, {v} poison, {zeros}")
