"""Activations of a group as digits of 8 bits, for products with weights of 8 or 4 bits.

    x[t]  =  unit * (d2 * 256**2 + d1 * 256 + d0)        -128 <= d <= 127

The unit is the least power of 2 for which the digits can hold the largest activation of the group.
It is NaN where an activation is infinite or NaN. An activation far below the largest one keeps
fewer bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import WORD, Elements, cast
from convprof.codegen.writer import Writer, across_lanes, counted, first_lane, sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import DType

DIGITS = {"f32": 3, "bf16": 2}
"""Digits of an activation, by its type: 22 bits and a sign for f32; for bf16 14 bits, so that an
activation of 1/64 of the largest one still has all of its 8 bits."""
STARTS = 4
"""Numbers of a group of activations: the negative sums of up to three digits, and the unit."""
PER_LANE = 4
"""Elements whose digits of one place are neighbours: the bytes of a lane of sums."""
_MANTISSA, _BIAS = 23, 127
"""Bits of the mantissa of f32; what is added to its exponent."""
_MAGNITUDE, _INFINITE = (1 << 31) - 1, 0xFF << _MANTISSA
"""All bits but the sign; the bits of infinity. The bits of NaN are a larger whole number."""
_CHAINS = 4
"""Vectors of an iteration: a maximum takes longer than a load."""


@dataclass(frozen=True)
class DigitPass(Kernel):
    """``void tile(T *x, s8 *digits, float *starts)``: one group.

    ``digits`` is (elements / 4, digits, 4), and zeros after the last element.
    """

    pointers: ClassVar[Pointers] = (("%x", "source"), ("%digits", "result"), ("%s", "accumulator"))

    length: int
    """Activations of the group."""
    filled: int
    """Elements of the group in ``digits``: whole words of weights."""
    digits: int

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.filled * self.digits

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of loads, and of rounding."""
        return f"{super().declarations(w)}declare {w.vector} @llvm.rint.{w.suffix}({w.vector})\n"

    def _code(self, w: Writer) -> str:
        ints, source = w.typed(WORD), self._memory(w, "source")
        largest = self._largest(w, ints, source)
        factors, unit = self._powers(w, ints, largest)
        sums, whole = ["zeroinitializer"] * self.digits, self.length // self.lanes

        def numbers(offset: str, mask: str | None) -> str:
            y = source.load(source.at("%x", offset), mask)
            for factor in factors:
                y = w.add(f"fmul {w.vector} {y}, {factor}")
            y = w.add(f"call {w.vector} @llvm.rint.{w.suffix}({w.vector} {y})")
            number = w.add(f"fptosi {w.vector} {y} to {ints.vector}")
            return w.add(f"freeze {ints.vector} {number}")  # y may be infinite

        def turn(index: str, sums: list[str]) -> list[str]:
            offset = w.add(f"mul i64 {index}, {self.lanes}")
            return self._added(ints, sums, numbers(offset, None), (offset, self.lanes))

        sums = counted(ints, whole, turn, sums)
        done, rest = whole * self.lanes, self.length % self.lanes
        if rest:
            count = min(self.lanes, self.filled - done)
            last = numbers(str(done), w.mask(rest))
            sums, done = self._added(ints, sums, last, (str(done), count)), done + count
        if done < self.filled:
            self._store(ints, "zeroinitializer", (str(done), self.filled - done))
        self._starts(w, ints, sums, unit)
        return w.taken() + "\n"

    def _largest(self, w: Writer, ints: Writer, source: Elements) -> str:
        """Write the bits of the largest magnitude, in every lane: their order as whole numbers."""

        def larger(offset: str, mask: str | None, before: str) -> str:
            x = source.load(source.at("%x", offset), mask)
            bits = cast(w, x, w.vector, ints.vector)
            return ints.larger(before, w.add(f"and {ints.vector} {bits}, {ints.splat(_MAGNITUDE)}"))

        first, *others = sweep(ints, self.length, larger, ["zeroinitializer"] * _CHAINS)
        for other in others:
            first = ints.larger(first, other)
        return across_lanes(ints, first, ints.larger)

    def _powers(self, w: Writer, ints: Writer, largest: str) -> tuple[list[str], str]:
        """Write the powers of 2 that make numbers of activations, two factors, and the unit.

        One factor could be beyond f32. The exponent is one more where the digits could not hold the
        largest activation.
        """
        most = int(np.float32(127 * (256**self.digits - 1) // 255).view(np.int32))
        room = (1 << _MANTISSA) - 1 - most % (1 << _MANTISSA)
        v = ints.vector
        raised = w.add(
            f"lshr {v} {w.add(f'add {v} {largest}, {ints.splat(room)}')}, {ints.splat(_MANTISSA)}"
        )
        raised = ints.larger(ints.splat(1), raised)
        power = w.add(f"sub {v} {ints.splat(most >> _MANTISSA)}, {raised}")
        half = w.add(f"ashr {v} {power}, {ints.splat(1)}")
        halves = [half, w.add(f"sub {v} {power}, {half}")]
        factors = [self._power(w, ints, w.add(f"add {v} {ints.splat(_BIAS)}, {h}")) for h in halves]
        units = [self._power(w, ints, w.add(f"sub {v} {ints.splat(_BIAS)}, {h}")) for h in halves]
        unit = w.add(f"fmul {w.vector} {units[0]}, {units[1]}")
        bad = w.add(f"icmp sge {v} {largest}, {ints.splat(_INFINITE)}")
        return factors, w.select(bad, f"splat ({w.element} 0x7FF8000000000000)", unit)  # NaN

    @staticmethod
    def _power(w: Writer, ints: Writer, exponent: str) -> str:
        bits = w.add(f"shl {ints.vector} {exponent}, {ints.splat(_MANTISSA)}")
        return cast(w, bits, ints.vector, w.vector)

    def _added(
        self, ints: Writer, sums: Sequence[str], number: str, to: tuple[str, int]
    ) -> list[str]:
        """Write the digits of a vector of numbers, and the sums of what is left at each digit."""
        v, short = ints.vector, f"<{self.lanes} x i8>"
        totals, digits = [], []
        for place, total in enumerate(sums):
            if place:
                number = ints.add(f"ashr {v} {ints.plus(number, ints.splat(128))}, {ints.splat(8)}")
            totals.append(ints.plus(total, number))
            digits.append(ints.add(f"trunc {v} {number} to {short}"))
        double = f"<{2 * self.lanes} x i8>"
        every = ", ".join(f"i32 {i}" for i in range(2 * self.lanes))
        upper = [*digits[2:], "poison", "poison"][:2]
        low, high = (
            ints.add(f"shufflevector {short} {a}, {short} {b}, <{2 * self.lanes} x i32> <{every}>")
            for a, b in (digits[:2], upper)
        )
        picks = [
            place * self.lanes + first + e
            for first in range(0, to[1], PER_LANE)
            for place in range(self.digits)
            for e in range(PER_LANE)
        ]
        order = ", ".join(f"i32 {pick}" for pick in picks)
        mixed = f"shufflevector {double} {low}, {double} {high}, <{len(picks)} x i32> <{order}>"
        self._store(ints, ints.add(mixed), to)
        return totals

    def _store(self, ints: Writer, digits: str, to: tuple[str, int]) -> None:
        """Store the digits of ``to[1]`` elements from the element ``to[0]``."""
        start = ints.add(f"mul i64 {to[0]}, {self.digits}")
        place = ints.add(f"getelementptr i8, ptr %digits, i64 {start}")
        ints.lines.append(f"  store <{to[1] * self.digits} x i8> {digits}, ptr {place}, align 1")

    def _starts(self, w: Writer, ints: Writer, sums: Sequence[str], unit: str) -> None:
        """Write the negative sums of the digits, and the unit."""
        totals = [across_lanes(ints, each, ints.plus) for each in sums]
        for place, (total, more) in enumerate(pairwise([*totals, "zeroinitializer"])):
            higher = ints.add(f"shl {ints.vector} {more}, {ints.splat(8)}")
            negative = ints.add(f"sub {ints.vector} {higher}, {total}")
            self._number(w, place, w.add(f"sitofp {ints.vector} {negative} to {w.vector}"))
        self._number(w, STARTS - 1, unit)

    @staticmethod
    def _number(w: Writer, place: int, vector: str) -> None:
        where = w.at("%s", place)
        w.lines.append(f"  store {w.element} {first_lane(w, vector)}, ptr {where}, align {w.size}")
