"""Register tiles of a depthwise convolution: pixels in registers, vectors along the channels.

    c[i, ch]  =  sum over taps t of  a[pixels[i] + a_t + ch] * b[b_t, ch]

A tap's weights are loaded once for all pixels of the tile, and an input once for all pixels and
taps that read it, as long as there are free registers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import Elements
from convprof.codegen.kernels.ends import end, pointers
from convprof.codegen.writer import Writer, over_channels
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue

if TYPE_CHECKING:
    from convprof.dtypes import DType


@dataclass(frozen=True)
class DepthwiseTile(Kernel):
    """One kernel: ``void tile(T *a, T *b, T *c)``. Offsets and lengths in elements.

    With an epilogue it takes the pointers of ``codegen.kernels.epilogue``.
    """

    pixels: tuple[int, ...]
    """The start of each pixel's first channel in ``a``."""
    taps: tuple[tuple[int, int], ...]
    """The place of each tap: ``a_t`` from the pixel's start, ``b_t`` in rows of ``b``."""
    c_pixels: tuple[int, ...]
    """The start of each pixel's first channel in ``c``."""
    channels: int
    b_row: int
    """Elements from one row of ``b`` to the next: the channels, rounded up to whole vectors."""
    registers: int = 16
    """Vector registers for sums, weights and inputs."""
    epilogue: Epilogue = NO_EPILOGUE
    """The operations after the sum: a bias per channel, a residual in the layout of ``c``, a
    function."""

    @property
    def fmas(self) -> int:
        """Vector multiply-adds in one execution."""
        return len(self.pixels) * len(self.taps) * (self.b_row // self.lanes)

    @property
    def title(self) -> str:
        """``8 pixels x 16 channels``."""
        return f"{len(self.pixels)} pixels x {self.lanes} channels"

    @property
    def parameters(self) -> Pointers:
        """Three pointers, or more for what follows the sums."""
        return pointers(self.epilogue, self.types)

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        return over_channels(w, self.channels, self._body)

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        """Write one vector of channels for all pixels."""
        of, total_type = self.types, self.types.accumulator
        source, taps, result = (
            Elements(w, each, total_type) for each in (of.source, of.weights, of.result)
        )
        a, b, c = source.at("%a", channel), taps.at("%b", channel), result.at("%c", channel)
        sums = ["zeroinitializer"] * len(self.pixels)
        inputs: dict[int, str] = {}
        for (_, b_tap), places, keep in zip(self.taps, self._places(), self._kept(), strict=True):
            weights = taps.load(taps.at(b, b_tap * self.b_row))
            for i, place in enumerate(places):
                if place not in inputs:
                    inputs[place] = source.load(source.at(a, place), mask)
                sums[i] = w.fma(weights, inputs[place], sums[i])
            if not keep:
                w.fence()
                inputs = {}
        finish = end(w, self.epilogue, self.types)
        bias, residual = finish.bias(channel, mask), finish.residual(channel)
        for total, pixel in zip(sums, self.c_pixels, strict=True):
            done = finish.apply(total, bias, (residual, pixel), mask)
            result.store(done, result.at(c, pixel), mask)

    def _places(self) -> list[list[int]]:
        """Return, for each tap, the position of the input of each pixel."""
        return [[pixel + a_tap for pixel in self.pixels] for a_tap, _ in self.taps]

    def _kept(self) -> list[bool]:
        """Return for each tap whether registers can hold inputs that later taps read again."""
        places = [set(tap) for tap in self._places()]
        room = self.registers - len(self.pixels) - 2  # the weights, and a product or a first input
        held: set[int] = set()
        kept = []
        for number, now in enumerate(places):
            held = (held | now).intersection(set().union(*places[number + 1 :]))
            kept.append(len(held) <= room)
            held = held if kept[-1] else set()
        return kept
