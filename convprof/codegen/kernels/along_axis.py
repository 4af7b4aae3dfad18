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
        write = self._sums if self.what.startswith("sum") else self._extreme
        write(w, w.mask(self.alive))
        return f"{w.taken()}\n"

    def _element(self, w: Writer, index: str, mask: str | None) -> str:
        """Write the load of an element of each lane."""
        x = self._memory(w, "source")
        return x.load(x.at("%x", w.add(f"mul i64 {index}, {self.step}")), mask)

    def _sums(self, w: Writer, mask: str | None) -> None:
        """Write the sums up to each element, or before each element."""
        y = self._memory(w, "result")

        def add(index: str, sums: list[str]) -> list[str]:
            total = w.plus(sums[0], self._element(w, index, mask))
            place = w.add(f"mul i64 {index}, {self.y_step}")
            y.store(sums[0] if self.what == "sum before" else total, y.at("%y", place), mask)
            return [total]

        counted(w, self.count, add, [w.splat(0.0)])

    def _extreme(self, w: Writer, mask: str | None) -> None:
        """Write the place of the extreme."""
        zero = w.splat(0.0)
        equal_too = "oge" if self.what.startswith("last") else "ogt"

        def compare(index: str, state: list[str]) -> list[str]:
            best, place, number = state
            value = self._element(w, index, mask)
            higher, lower = (value, best) if "largest" in self.what else (best, value)
            better = w.add(f"fcmp {equal_too} {w.vector} {higher}, {lower}")
            best, place = w.select(better, value, best), w.select(better, number, place)
            return [best, place, w.plus(number, w.splat(1.0))]

        _, place, _ = counted(w, self.count, compare, [self._element(w, "0", mask), zero, zero])
        self._memory(w, "result").store(place, "%y", mask)
