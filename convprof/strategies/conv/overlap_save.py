"""Overlap-save: the cheapest cut of an image into overlapping tiles for Fourier transforms.

The product of two transforms of N points is a *circular* convolution: of a tile and a filter of
``span`` points, only ``N - span + 1`` outputs have not wrapped around. So tiles overlap by
``span - 1`` pixels, and larger tiles waste less but take more per pixel to transform.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.integers import ceil_div

if TYPE_CHECKING:
    from convprof.problems import Conv2d

LONGEST = 512
"""Points of the longest transform tried, unless the filter is longer than half of that."""

# Costs in units of one FLOP of the product. Measured on one AVX-512 core, f32, NumPy 2.4: the
# product runs at 90 GFLOP/s, a transform takes 5 to 10 ns and then 0.11 ns per nominal FLOP
# (8 to 256 points), and a weight's spectrum arrives at 10 GB/s.
TRANSFORM_FLOP = 10
TRANSFORM_START = 600
SPECTRUM_READ = 72


@dataclass(frozen=True, slots=True)
class Cut:
    """How one axis is cut: ``count`` tiles of ``points``, each giving ``outputs`` outputs."""

    points: int
    outputs: int
    count: int


def fft_flops(points: int, *, real: bool = False) -> float:
    """Return the nominal FLOPs of a transform: ``5 N log2 N``; half for real data.

    This is the convention of benchFFT (Frigo & Johnson 2005, *The Design and Implementation of
    FFTW3*): the count of radix 2, a little more than higher radices execute.
    """
    return (2.5 if real else 5) * points * math.log2(points)


def smooth_sizes(least: int, most: int) -> list[int]:
    """Return the numbers ``2^a 3^b 5^c`` between ``least`` and ``most``: fast sizes for an FFT."""
    powers = [[base**e for e in range(most.bit_length())] for base in (2, 3, 5)]
    products = (math.prod(three) for three in itertools.product(*powers))
    return sorted(number for number in products if least <= number <= most)


def cuts(outputs: int, span: int, stride: int) -> list[Cut]:
    """Return the candidates: for each number of tiles, the shortest sufficient transform."""
    whole = (outputs - 1) * stride + span
    most = max(2 * span, min(2 * whole, LONGEST))
    candidates: list[Cut] = []
    for points in smooth_sizes(span, most):
        each = min(outputs, (points - span) // stride + 1)
        count = ceil_div(outputs, each)
        if not candidates or count < candidates[-1].count:
            candidates.append(Cut(points, each, count))
    return candidates


@dataclass(frozen=True, slots=True)
class Tiling:
    """A convolution's tiles: rows and columns of the image cut apart."""

    p: Conv2d
    rows: Cut
    columns: Cut

    @classmethod
    def choose(cls, p: Conv2d) -> Tiling:
        """Return the tiling of least estimated cost, transforms and products together."""
        span_h, span_w = spans(p)
        pairs = itertools.product(cuts(p.p, span_h, p.stride[0]), cuts(p.q, span_w, p.stride[1]))
        return min((cls(p, rows, columns) for rows, columns in pairs), key=cls.cost)

    @property
    def tiles(self) -> int:
        """Tiles of the whole batch."""
        return self.p.n * self.rows.count * self.columns.count

    @property
    def half(self) -> int:
        """Frequencies along a row; the others are conjugates, since the image is real."""
        return self.columns.points // 2 + 1

    @property
    def frequencies(self) -> int:
        """Frequencies of a tile."""
        return self.rows.points * self.half

    def transforms(self) -> list[tuple[int, int, bool]]:
        """Return ``(number, points, whether real)`` for each pass, forward and inverse.

        The inverse transforms only the rows that hold outputs. One point needs no transform.
        """
        inputs, outputs = self.p.c * self.tiles, self.p.k * self.tiles
        high, wide = self.rows.points, self.columns.points
        columns = [(inputs * self.half, high, False), (outputs * self.half, high, False)]
        rows = [(inputs * high, wide, True), (outputs * self.rows.outputs, wide, True)]
        return rows if high == 1 else rows + columns

    def flops(self) -> int:
        """Return the FLOPs of transforms and products; a complex multiply-add has 8.

        With one input channel per group a complex product has 6, because there is no sum.
        """
        p = self.p
        transforms = sum(number * fft_flops(n, real=real) for number, n, real in self.transforms())
        products = self.frequencies * self.tiles * p.k * p.cg
        return round(transforms) + (6 if p.cg == 1 else 8) * products

    def cost(self) -> float:
        """Return the estimated cost, in FLOPs of the product."""
        p = self.p
        transforms = sum(
            number * (TRANSFORM_START + TRANSFORM_FLOP * fft_flops(n, real=real))
            for number, n, real in self.transforms()
        )
        return transforms + self.frequencies * p.k * p.cg * (8 * self.tiles + SPECTRUM_READ)


def spans(p: Conv2d) -> tuple[int, int]:
    """Return the rows and columns that a filter reaches over, its dilation filled with zeros."""
    return (p.r - 1) * p.dilation[0] + 1, (p.s - 1) * p.dilation[1] + 1
