"""Winograd's transforms, vectorised over channels.

F(m x m, 3 x 3) computes an m x m tile of output from an (m+2) x (m+2) tile of input ``d`` as

    y = A^T [ (G g G^T) * (B^T d B) ] A          (Lavin & Gray 2016, Fast Algorithms for CNNs)

with one product per element of the transformed tile, summed over channels: (m+2)^2 products instead
of 9 m^2. The sums over channels are matrix products, one per element ("frequency"). With a stride,
each pair of a phase of rows and a phase of columns is transformed on its own. The sums of a
frequency are over the channels of all phases that have the frequency (``winograd_matrices``).

A transform reads elements of the ``source`` type, computes in the ``accumulator`` type and writes
the ``result`` type of its ``types``. Short elements are converted in registers. Bytes are
transformed in whole numbers of 16 and 32 bits, exactly (``winograd_tables``).
"""

from __future__ import annotations

import functools
import itertools
import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.ends import end, pointers
from convprof.codegen.kernels.winograd_matrices import Axes, Matrix, Phase, quotient
from convprof.codegen.kernels.winograd_tables import algorithm
from convprof.codegen.writer import Writer, everywhere, over_channels
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue

if TYPE_CHECKING:
    from convprof.codegen.kernels.elements import Elements
    from convprof.dtypes import DType


@dataclass(frozen=True)
class Transform(Kernel):
    """A transform of one tile, for all channels."""

    m: tuple[int, int]
    """Outputs of the tile down and across."""
    row: int
    """Elements from one row of the image to the next."""
    pixel: int
    """Elements from one pixel to the next: the channels of the image."""
    channels: int
    frequency: int
    """Elements from one frequency to the next."""
    filters: tuple[int, int] = field(default=(3, 3), kw_only=True)
    """Taps of the filter down and across."""
    stride: tuple[int, int] = field(default=(1, 1), kw_only=True)
    whole: int | None = field(default=None, kw_only=True)
    """Outputs, in each direction, of whole tiles: narrower tiles use their frequencies."""

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    @functools.cached_property
    def axes(self) -> Axes:
        """The algorithms down and across."""
        each = zip(self.m, self.filters, self.stride, strict=True)
        kind, whole = self.types.accumulator, self.whole
        down, across = (algorithm(m, kind, r, step, whole) for m, r, step in each)
        return down, across

    def _at(self, elements: Elements, pointer: str, place: tuple[int, int], more: int = 0) -> str:
        """Write the position of frequency ``i, j`` of the tile, plus ``more`` elements."""
        down, across = self.axes
        number = down.places[place[0]] * across.frequencies + across.places[place[1]]
        return elements.at(pointer, number * self.frequency + more)

    def _code(self, w: Writer) -> str:
        return over_channels(w, self.channels, self._body)

    @abstractmethod
    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        """Write the transform of one vector of channels."""


@dataclass(frozen=True)
class InputTransform(Transform):
    """``void tile(a, b, c)``: ``B^T d B`` of one tile, all channels.

    ``a`` is the position of the tile's first pixel, which may be outside the image: pixels outside
    the image are not read. They are zero, or the first number of ``b``. ``c`` receives element
    ``f`` of the transformed tile at ``f * frequency``, of one phase after the other.
    """

    rows: tuple[int, int]
    """First and last + 1 of the tile's rows inside the image."""
    columns: tuple[int, int]
    phase: int = 0
    """Elements from one phase of a frequency to the next."""
    reads_padding: bool = False
    """Whether pixels outside the image are the first number of ``b``."""

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        padding = self._padding(w)
        down, across = self.axes
        for phases in itertools.product(down.phases, across.phases):
            self._transform(w, channel, mask, phases, padding)

    def _transform(
        self,
        w: Writer,
        channel: str,
        mask: str | None,
        phases: tuple[Phase, Phase],
        padding: str | None,
    ) -> None:
        """Write the transform of a phase of rows and a phase of columns."""
        source, result = self._memory(w, "source"), self._memory(w, "result")
        a, c = source.at("%a", channel), result.at("%c", channel)
        down, across = phases
        inside_rows, inside_columns = range(*self.rows), range(*self.columns)
        columns: list[list[str | None]] = []
        for j in self._inputs(1, across):
            pixels: list[str | None] = [
                source.load(source.at(a, i * self.row + j * self.pixel), mask)
                if i in inside_rows and j in inside_columns
                else padding
                for i in self._inputs(0, down)
            ]
            columns.append(through(w, down.steps, pixels))
        of_columns = self.axes[1].phases_at
        for i in range(down.size):
            done = through(w, across.steps, [column[i] for column in columns])
            for j, value in enumerate(done):
                number = down.first * of_columns[j] + across.first
                at = self._at(result, c, (i, j), number * self.phase)
                result.store(value or "zeroinitializer", at, mask)

    def _inputs(self, axis: int, phase: Phase) -> range:
        """Return the rows or columns of a tile in a phase."""
        step = self.stride[axis]
        return range(phase.first, phase.first + step * phase.inputs, step)

    def _padding(self, w: Writer) -> str | None:
        """Write a vector of pixels outside the image; None for zeros, and where none is outside."""
        whole = [(0, each.inputs) for each in self.axes]
        if not self.reads_padding or [self.rows, self.columns] == whole:
            return None
        number = self.types.weights.llvm
        outside = w.add(f"load {number}, ptr %b")
        return everywhere(w, w.add(f"trunc {number} {outside} to {w.element}"))


@dataclass(frozen=True)
class OutputTransform(Transform):
    """``void tile(a, b, c)``: ``A^T m A`` of one tile, all channels.

    ``a`` holds element ``f`` of the products at ``f * frequency``; ``c`` is the tile's first output
    pixel. Outputs beyond ``rows`` and ``columns`` do not exist and are not written. With an
    epilogue it takes the pointers of ``codegen.kernels.ends``.
    """

    rows: int
    columns: int
    epilogue: Epilogue = NO_EPILOGUE
    """The operations after the transform: a bias per channel, a residual as ``c``, a function."""

    @property
    def parameters(self) -> Pointers:
        """Three pointers, or more for what follows the transform."""
        return pointers(self.epilogue, self.types)

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        down, across = self.axes
        source, result = self._memory(w, "source"), self._memory(w, "result")
        a, c = source.at("%a", channel), result.at("%c", channel)
        finish = end(w, self.epilogue, self.types)
        residual = finish.residual(channel)
        columns = []
        pixels = [
            i * self.row + j * self.pixel for i in range(self.rows) for j in range(self.columns)
        ]
        places = [result.at(c, pixel) for pixel in pixels]
        # residuals come from memory; L2 can wait for more lines at once than L1
        for place in places:
            w.prefetch(place, level=2)
        for pixel in pixels:
            finish.fetch((residual, pixel), level=2)
        for j in range(across.size):
            products: list[str | None] = [
                source.load(self._at(source, a, (i, j)), mask) for i in range(down.size)
            ]
            columns.append(transform(w, down.at, products))
        bias = finish.bias(channel, mask)
        for i in range(self.rows):
            done = transform(w, across.at, [column[i] for column in columns])
            for j in range(self.columns):
                at = i * self.columns + j
                total = self._quotient(w, done[j] or "zeroinitializer")
                total = finish.apply(total, bias, (residual, pixels[at]), mask)
                result.store(total, places[at], mask)

    def _quotient(self, w: Writer, total: str) -> str:
        """Write results without the factors of the matrices."""
        factor = math.prod(each.factor for each in self.axes)
        if factor == 1:
            return total
        inverse, shift = quotient(factor)
        return w.add(f"ashr {w.vector} {w.times(total, w.splat(inverse))}, {w.splat(shift)}")


def through(w: Writer, matrices: tuple[Matrix, ...], values: list[str | None]) -> list[str | None]:
    """Write the product of some vectors with one matrix after the other."""
    for matrix in matrices:
        values = transform(w, matrix, values)
    return values


def transform(w: Writer, matrix: Matrix, values: list[str | None]) -> list[str | None]:
    """Write the product of a constant matrix with some vectors; None is a zero vector.

    If two columns differ in signs only, as for the points p and -p, the sum and the difference of
    their inputs are computed once; if two rows differ in signs only, their even and odd parts.
    """
    columns = list(zip(*matrix, strict=True))
    pairs = _pairs(columns)
    if len(matrix) < len(columns) and pairs:  # A^T: wide
        return _by_columns(w, matrix, values, pairs)
    return _by_rows(w, matrix, values)


def _by_columns(
    w: Writer, matrix: Matrix, values: list[str | None], pairs: list[tuple[int, int]]
) -> list[str | None]:
    """Write the product; of the inputs of a pair of columns, the sum and the difference first."""
    terms: dict[tuple[int, int], str | None] = {}
    for i, j in pairs:
        terms[i, 1] = _combine(w, [(1.0, values[i]), (1.0, values[j])])
        terms[i, -1] = _combine(w, [(1.0, values[i]), (-1.0, values[j])])
    seconds = {j for _, j in pairs}
    firsts = dict(pairs)
    return [
        _combine(
            w,
            [
                (row[i], terms[i, 1 if row[firsts[i]] == row[i] else -1])
                if i in firsts
                else (row[i], values[i])
                for i in range(len(row))
                if i not in seconds
            ],
        )
        for row in matrix
    ]


def _by_rows(w: Writer, matrix: Matrix, values: list[str | None]) -> list[str | None]:
    """Write the product; of a pair of rows, the even and the odd part first."""
    done: list[str | None] = [None] * len(matrix)
    paired = _pairs(list(matrix))
    for i, j in paired:
        even = _combine(w, _terms(matrix[i], matrix[j], values, 1))
        odd = _combine(w, _terms(matrix[i], matrix[j], values, -1))
        done[i] = _combine(w, [(1.0, even), (1.0, odd)])
        done[j] = _combine(w, [(1.0, even), (-1.0, odd)])
    for i in set(range(len(matrix))) - {k for pair in paired for k in pair}:
        done[i] = _combine(w, list(zip(matrix[i], values, strict=True)))
    return done


def _terms(
    a: tuple[float, ...], b: tuple[float, ...], values: list[str | None], sign: int
) -> list[tuple[float, str | None]]:
    """Return the terms that two rows share with equal (1) or with opposite signs (-1)."""
    return [(x, v) for x, y, v in zip(a, b, values, strict=True) if x and x == sign * y]


def _pairs(vectors: list[tuple[float, ...]]) -> list[tuple[int, int]]:
    """Return pairs of neighbours that differ in signs only."""
    pairs: list[tuple[int, int]] = []
    for i, j in zip(range(len(vectors)), range(1, len(vectors)), strict=False):
        a, b = vectors[i], vectors[j]
        alike = all(abs(x) == abs(y) for x, y in zip(a, b, strict=True))
        free = not any(i in pair for pair in pairs)
        if alike and free and a != b:
            pairs.append((i, j))
    return pairs


def _combine(w: Writer, terms: list[tuple[float, str | None]]) -> str | None:
    """Write a sum of multiples; the terms with factor 1 come first, so that the rest are FMAs."""
    alive = [(factor, value) for factor, value in terms if factor and value is not None]
    total: str | None = None
    for factor, value in sorted(alive, key=lambda term: abs(abs(term[0]) - 1)):
        if total is None:
            total = value if factor == 1 else w.times(value, w.splat(factor))
        elif factor == 1:
            total = w.plus(total, value)
        elif factor == -1:
            total = w.minus(total, value)
        else:
            total = w.fma(value, w.splat(factor), total)
    return total
