"""The two loops around the steps of a sum: over its segments, and over the steps of a segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.codegen.writer import Writer


class Moved(NamedTuple):
    """A pointer that each iteration advances: ``%NAME_now`` in the iteration."""

    name: str
    distance: int
    """Elements from one iteration to the next."""
    element: str = "i8"
    """The type of an element in LLVM."""
    first: str = ""
    """The pointer before the first segment, if later segments go on where the one before ended."""


@dataclass(frozen=True)
class SegmentLoops:
    """The loops; an iteration computes ``unroll`` of the ``run`` steps of a segment."""

    segments: Sequence[tuple[int, int]]
    """Where each segment begins: offsets from ``%a`` and ``%b``, in elements of these pointers."""
    operands: tuple[Moved, Moved]
    """The pointers of ``a`` and ``b``, which begin anew in each segment."""
    others: tuple[Moved, ...]
    """Pointers that go on from segment to segment."""
    run: int
    unroll: int = 1

    def text(self, w: Writer, head: str, step: str, tail: str, sums: tuple[str, str]) -> str:
        """Return the function's body: ``head``, the loops around ``step``, ``tail``.

        ``sums``: the values that the loop over segments carries, and the loop over steps carries,
        as phis from the blocks ``entry`` and ``segment_end``, ``segment`` and ``step``.
        """
        count = len(self.segments)
        offsets = ", ".join(f"i64 {a}, i64 {b}" for a, b in self.segments)
        w.constants += f"@tile_segments = private constant [{2 * count} x i64] [{offsets}]\n"
        moved = (*self.operands, *self.others)
        advances = [
            f"  %{each.name}_next = getelementptr {each.element}, ptr %{each.name}_now, "
            f"i64 {each.distance}"
            for each in moved
        ]
        return f"""entry:
{head}
  br label %segment
segment:
  %g = phi i64 [ 0, %entry ], [ %g_next, %segment_end ]
{_lines(_phi(each, "segment", each.first, "entry", "segment_end") for each in self.others)}
{sums[0]}
  %a_where = getelementptr [2 x i64], ptr @tile_segments, i64 %g
  %b_where = getelementptr i64, ptr %a_where, i64 1
  %a_offset = load i64, ptr %a_where
  %b_offset = load i64, ptr %b_where
{_lines(_segment_start(each) for each in self.operands)}
  br label %step
step:
  %t = phi i64 [ 0, %segment ], [ %t_next, %step ]
{_lines(_phi(each, "now", f"%{each.name}_segment", "segment", "step") for each in moved)}
{sums[1]}
{step}
{_lines(advances)}
  %t_next = add i64 %t, {self.unroll}
  %t_more = icmp ult i64 %t_next, {self.run}
  br i1 %t_more, label %step, label %segment_end
segment_end:
  %g_next = add i64 %g, 1
  %g_more = icmp ult i64 %g_next, {count}
  br i1 %g_more, label %segment, label %done
done:
{tail}
"""


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _phi(each: Moved, at: str, first: str, before: str, after: str) -> str:
    """Return the pointer where a block begins: from the block before it, or from its end."""
    return f"  %{each.name}_{at} = phi ptr [ {first}, %{before} ], [ %{each.name}_next, %{after} ]"


def _segment_start(each: Moved) -> str:
    name = each.name
    return f"  %{name}_segment = getelementptr {each.element}, ptr %{name}, i64 %{name}_offset"
