"""Running sums and places of extremes: a vector of neighbours goes along another axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.writer import Writer, counted

if TYPE_CHECKING:
    from convprof.dtypes import DType

What: TypeAlias = Literal[
    "sum", "sum before", "largest", "last largest", "smallest", "last smallest"
]


@dataclass(frozen=True)
class AlongAxis(Kernel):
    """``void tile(T *x, T *y)``: ``count`` elements ``step`` apart, for each lane.

    There are as many sums; of an extreme there is one result, its place.
    """

    pointers: ClassVar[Pointers] = (("%x", "source"), ("%y", "result"))

    what: What
    count: int
    step: int
    y_step: int
    """From one sum to the next."""
    alive: int
    """Lanes that are used."""

    @property
    def title(self) -> str:
        """``largest of 1000 x 16``."""
        return f"{self.what} of {self.count} x {self.alive}"

    @property
    def elements(self) -> int:
        """Elements that are read."""
        return self.count * self.alive

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        mask = None if self.alive == self.lanes else w.mask(self.alive)
        x, y = self._memory(w, "source"), self._memory(w, "result")

        def load(index: str) -> str:
            return x.load(x.at("%x", w.add(f"mul i64 {index}, {self.step}")), mask)

        def add(index: str, sums: list[str]) -> list[str]:
            total = w.plus(sums[0], load(index))
            place = w.add(f"mul i64 {index}, {self.y_step}")
            y.store(sums[0] if self.what == "sum before" else total, y.at("%y", place), mask)
            return [total]

        def compare(index: str, state: list[str]) -> list[str]:
            best, found, number = state
            value = load(index)
            v, bits = w.vector, f"<{w.lanes} x i1>"
            higher, lower = (value, best) if "largest" in self.what else (best, value)
            equal_too = "oge" if self.what.startswith("last") else "ogt"
            better = w.add(f"fcmp {equal_too} {v} {higher}, {lower}")
            best = w.add(f"select {bits} {better}, {v} {value}, {v} {best}")
            found = w.add(f"select {bits} {better}, {v} {number}, {v} {found}")
            return [best, found, w.plus(number, w.splat(1.0))]

        zero = w.splat(0.0)
        if self.what.startswith("sum"):
            counted(w, self.count, add, [zero])
        else:
            _, found, _ = counted(w, self.count, compare, [load("0"), zero, zero])
            y.store(found, "%y", mask)
        return f"{w.taken()}\n"
