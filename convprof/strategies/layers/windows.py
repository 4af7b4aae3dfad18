"""The windows of a pooling: the part of the image that each result reads, and its divisor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from convprof.integers import ceil_div
from convprof.strategies.layers.stages import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.codegen.kernels.pooling import Which
    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.strategies.layers.stages import KernelContext


class Span(NamedTuple):
    """Results of one axis whose windows read and count the same number of elements."""

    first: int
    last: int
    low: int
    """The first tap inside the image."""
    high: int
    """The tap after the last tap inside the image."""
    counted: int
    """The divisor of an average, in elements."""


@dataclass(frozen=True)
class Axis:
    """One axis of a pooled image."""

    size: int
    out: int
    window: int
    stride: int
    before: int
    after: int

    def spans(self, *, count_padding: bool) -> list[Span]:
        """Return all results of the axis as runs with equal windows."""
        runs: list[Span] = []
        for o in range(self.out):
            start = o * self.stride - self.before
            low, high = max(0, -start), min(self.window, self.size - start)
            seen = min(self.window, self.size + self.after - start) if count_padding else high - low
            if runs and runs[-1][2:] == (low, high, seen):
                runs[-1] = runs[-1]._replace(last=o + 1)
            else:
                runs.append(Span(o, o + 1, low, high, seen))
        return runs


@dataclass(frozen=True)
class Pooled:
    """The integers of a pooling problem."""

    n: int
    c: int
    rows: Axis
    columns: Axis
    which: Which
    count_padding: bool

    @classmethod
    def of(cls, op: ops.Pool2d, problem: Operation) -> Pooled:
        """Return the integers of a pooling."""
        ((n, c, h, w),) = problem.inputs
        _, _, p, q = problem.output
        top, left, bottom, right = op.pads
        rows = Axis(h, p, op.r, op.stride[0], top, bottom)
        columns = Axis(w, q, op.s, op.stride[1], left, right)
        return cls(n, c, rows, columns, op.which, op.count_padding)

    @property
    def taps(self) -> int:
        """Elements of a window."""
        return self.rows.window * self.columns.window

    def regions(self) -> Iterator[tuple[Span, list[Span]]]:
        """Yield the runs of rows, each with the runs of columns."""
        across = self.columns.spans(count_padding=self.count_padding)
        for down in self.rows.spans(count_padding=self.count_padding):
            yield down, across

    def windows(self) -> list[Window]:
        """Return the windows of all results of a plane."""
        return [
            Window(
                i,
                j,
                i * self.rows.stride - self.rows.before + down.low,
                j * self.columns.stride - self.columns.before + span.low,
                down.high - down.low,
                span.high - span.low,
                self.factor(down, span),
            )
            for down, across in self.regions()
            for i in range(down.first, down.last)
            for span in across
            for j in range(span.first, span.last)
        ]

    def factor(self, down: Span, across: Span) -> float:
        """Return the factor of a sum."""
        return 1.0 if self.which == "max" else 1.0 / (down.counted * across.counted)


class Window(NamedTuple):
    """The part of the image that one result reads."""

    i: int
    j: int
    row: int
    column: int
    height: int
    width: int
    factor: float


def channel_parts(rows: int, channels: int, context: KernelContext) -> list[tuple[int, int]]:
    """Return parts of the channels, so that every thread has a part where rows are few."""
    tasks = ceil_div(4 * context.setting.threads, rows)
    vectors = ceil_div(channels, context.lanes)
    return parts(channels, ceil_div(vectors, tasks) * context.lanes)
