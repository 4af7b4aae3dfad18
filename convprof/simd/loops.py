"""Loops in a writer: over a count, and over the vectors of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.simd.writer import Writer

UNROLL = 4
"""Vectors of a row in one turn: a sum waits four cycles for the one before, so four sums."""


def counted(
    w: Writer,
    count: int,
    body: Callable[[str, list[str]], list[str]],
    carried: Sequence[str] = (),
) -> list[str]:
    """Write ``count`` turns of ``body(index, vectors)``, which returns the vectors for the next.

    Return those after the last turn. ``carried`` are what the first turn gets.
    """
    vectors = list(carried)
    if count <= 1:
        return body("0", vectors) if count else vectors
    mark = len(w.lines)  # no other loop of the function starts at this line
    index, following = f"%i{mark}", f"%i{mark}_next"
    w.lines += [f"  br label %before{mark}", f"before{mark}:", f"  br label %turn{mark}"]
    w.lines.append(f"turn{mark}:")
    names = [f"%v{mark}_{i}" for i in range(len(vectors))]
    place = len(w.lines)
    made = body(index, names)
    phis = [f"  {index} = phi i64 [ 0, %before{mark} ], [ {following}, %end{mark} ]"]
    phis += [
        f"  {name} = phi {w.vector} [ {first}, %before{mark} ], [ {last}, %end{mark} ]"
        for name, first, last in zip(names, vectors, made, strict=True)
    ]
    w.lines[place:place] = phis
    w.lines += [
        f"  br label %end{mark}",
        f"end{mark}:",
        f"  {following} = add i64 {index}, 1",
        f"  %more{mark} = icmp ult i64 {following}, {count}",
        f"  br i1 %more{mark}, label %turn{mark}, label %done{mark}",
        f"done{mark}:",
    ]
    return made


def sweep(
    w: Writer,
    length: int,
    body: Callable[[str, str | None, str], str],
    carried: Sequence[str] = (),
    across: int = UNROLL,
) -> list[str]:
    """Write ``body(offset, mask, vector)`` for every vector of a row of ``length`` elements.

    A turn has as many vectors as are ``carried``, and the body returns what the next one of the
    same place gets; if there are none, ``across``, and what it returns is not used. The last vector
    of the row has a mask where the row does not fill it. Rows of less than a turn are one piece,
    whose offsets are numbers.
    """
    lanes, state = w.lanes, list(carried)
    across = len(state) or across
    whole, rest = divmod(length, lanes)
    turns = whole // across

    def at(place: int, offset: str, mask: str | None) -> None:
        made = body(offset, mask, state[place] if carried else "")
        if carried:
            state[place] = made

    def turn(index: str, vectors: list[str]) -> list[str]:
        state[:] = vectors
        start = w.add(f"mul i64 {index}, {across * lanes}")
        for place in range(across):
            at(place, w.add(f"add i64 {start}, {place * lanes}"), None)
        return list(state)

    state[:] = counted(w, turns, turn, state)
    for number in range(turns * across, whole):
        at(number % across, str(number * lanes), None)
    if rest:
        at(whole % across, str(whole * lanes), w.mask(rest))
    return state


def function(w: Writer, name: str, parameters: Sequence[str]) -> str:
    """Return ``void name(ptr ...)`` whose body is what was written; takes the lines."""
    arguments = ", ".join(f"ptr {parameter}" for parameter in parameters)
    body = w.taken()
    return f"{w.declarations()}\ndefine void @{name}({arguments}) {{\n{body}\n  ret void\n}}\n"
