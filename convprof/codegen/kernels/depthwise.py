"""Register tiles of a depthwise convolution: pixels in registers, vectors along the channels.

    c[i, ch]  =  sum over taps t of  a[pixels[i] + a_t + ch] * b[b_t, ch]

An instruction that adds several products of short elements takes as many taps of one column of the
filter: their elements are brought into the 32 bits of one lane by shifts.

A tap's weights are loaded once for all pixels of the tile, and an input once for all pixels and
taps that read it, as long as there are free registers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import WORD, Elements
from convprof.codegen.kernels.ends import end, pointers
from convprof.codegen.kernels.multiply import FMA, Multiply
from convprof.codegen.writer import Writer, over_channels
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.dtypes import DType

_Place: TypeAlias = tuple[tuple[int, int], ...]
"""What one group of taps reads: where in ``a``, and the place in the group."""


class Tap(NamedTuple):
    """Some taps of one column of the filter that one instruction multiplies; mostly one tap."""

    parts: tuple[tuple[int, int], ...]
    """``a_t`` of each tap, from the pixel's start, and its place in the group."""
    row: int
    """The row of ``b``."""


@dataclass(frozen=True)
class DepthwiseTile(Kernel):
    """One kernel: ``void tile(T *a, T *b, T *c)``. Offsets and lengths in elements.

    With an epilogue it takes the pointers of ``codegen.kernels.epilogue``.
    """

    pixels: tuple[int, ...]
    """The start of each pixel's first channel in ``a``."""
    taps: tuple[Tap, ...]
    """The taps that are read together, in their order."""
    c_pixels: tuple[int, ...]
    """The start of each pixel's first channel in ``c``."""
    channels: int
    b_row: int
    """Channels from one row of ``b`` to the next: all of them, rounded up to whole vectors."""
    registers: int = 16
    """Vector registers for sums, weights and inputs."""
    multiply: Multiply = FMA
    """The way to multiply a group of taps; ``FMA`` for one tap, whatever its type is."""
    epilogue: Epilogue = NO_EPILOGUE
    """The operations after the sum: a bias per channel, a residual in the layout of ``c``, a
    function."""

    @property
    def fmas(self) -> int:
        """Vector multiply-adds in one execution."""
        taps = sum(len(tap.parts) for tap in self.taps)
        return len(self.pixels) * taps * (self.b_row // self.lanes)

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

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of loads, stores and sums, and of the multiplications."""
        return super().declarations(w) + self.multiply.declarations(w)

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        """Write one vector of channels for all pixels."""
        source, result = self._memory(w, "source"), self._memory(w, "result")
        a, c = source.at("%a", channel), result.at("%c", channel)
        sums = ["zeroinitializer"] * len(self.pixels)
        inputs: dict[_Place, str] = {}
        weights_of = self._weights(w, channel)
        for tap, places, keep in zip(self.taps, self._places(), self._kept(), strict=True):
            weights = weights_of(tap.row)
            for i, place in enumerate(places):
                if place not in inputs:
                    inputs[place] = self._input(w, (source, a), place, mask)
                sums[i] = self._sum(w, weights, inputs[place], sums[i])
            if not keep:
                w.fence()
                inputs = {}
        finish = end(w, self.epilogue, self.types)
        bias, residual = finish.bias(channel, mask), finish.residual(channel)
        for total, pixel in zip(sums, self.c_pixels, strict=True):
            done = finish.apply(total, bias, (residual, pixel), mask)
            result.store(done, result.at(c, pixel), mask)

    def _weights(self, w: Writer, channel: str) -> Callable[[int], str]:
        """Return the function that writes the load of a row of ``b``."""
        if self.multiply == FMA:
            taps = self._memory(w, "weights")
        else:
            taps = Elements(w.typed(WORD), WORD, WORD)
        b = taps.at("%b", channel)

        def load(row: int) -> str:
            loaded = taps.load(taps.at(b, row * self.b_row))
            return loaded if self.multiply == FMA else self.multiply.columns(w, [loaded])[0]

        return load

    def _input(
        self, w: Writer, start: tuple[Elements, str], place: _Place, mask: str | None
    ) -> str:
        """Write the elements of a pixel's taps: one, or a group in each lane of 32 bits."""
        source, a = start
        if self.multiply == FMA:
            return source.load(source.at(a, place[0][0]), mask)
        memory, words = w.typed(self.types.source), w.typed(WORD)
        group = ""
        for offset, position in place:
            short = memory.load(memory.at(a, offset), mask)
            one = w.add(f"zext {memory.vector} {short} to {words.vector}")
            if position:
                bits = position * self.types.source.bits
                one = w.add(f"shl {words.vector} {one}, splat (i32 {bits})")
            group = w.add(f"or {words.vector} {group}, {one}") if group else one
        return self.multiply.row(w, group)[0]

    def _sum(self, w: Writer, weights: str, value: str, total: str) -> str:
        if self.multiply == FMA:
            return w.fma(weights, value, total)
        return self.multiply.add(w, value, weights, total)

    def _places(self) -> list[list[_Place]]:
        """Return, for each group of taps, the positions of the inputs of each pixel."""
        return [
            [tuple((pixel + at, position) for at, position in tap.parts) for pixel in self.pixels]
            for tap in self.taps
        ]

    def _kept(self) -> list[bool]:
        """Return for each tap whether registers can hold inputs that later taps read again."""
        places = [set(tap) for tap in self._places()]
        room = self.registers - len(self.pixels) - 2  # the weights, and a product or a first input
        held: set[_Place] = set()
        kept = []
        for number, now in enumerate(places):
            held = (held | now).intersection(set().union(*places[number + 1 :]))
            kept.append(len(held) <= room)
            held = held if kept[-1] else set()
        return kept
