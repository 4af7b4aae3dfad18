"""The same register tile in scalars and in vectors of every width."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof import units
from convprof.codegen import isa as isas
from convprof.measure.contestant import Contestant
from convprof.results import NATIVE
from convprof.strategies.base import Setting
from convprof.studies.study import advice, repeated
from convprof.studies.study.base import Study
from convprof.studies.study.costs import (
    ROWS,
    VECTORS,
    Costs,
    costs,
    element_bits,
    shape,
    spelled,
    widths,
)
from convprof.studies.study.page import Finding, Page, Plot, Row, Section, Unit, apart, ratio
from convprof.studies.study.repeated import Repeated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.studies.study.base import Results


class Simd(Study):
    """One tile, 6 rows by 2 vectors, in every width."""

    name: ClassVar[str] = "simd"

    def learn(self) -> Iterator[str]:
        """Measure the peak of every width."""
        self._widths = widths(self.options.dtype)
        self._fused = isas.find(NATIVE).fused
        self._costs: dict[int, Costs] = {}
        for bits in self._widths:
            yield f"the peak of {spelled(bits, self.options.dtype)}"
            self._costs[bits] = costs(self.machine, self.options.dtype, bits, fused=self._fused)
        self._setting = Setting(dtype=self.options.dtype)

    def contestants(self) -> list[Contestant]:
        """Return the tile in every width, each with a product of its own size."""
        contestants = []
        for bits in self._widths:
            one = shape(bits, self.options.dtype, fused=self._fused)
            g = repeated.product(one, self._setting.types)
            contestants.append(Contestant(Repeated(self._name(bits), one), g, self._setting))
        return contestants

    def settle(self) -> Iterator[str]:
        """Measure the peaks again, now that the core has been at work for a while."""
        for bits in self._widths:
            yield f"the peak of {self._name(bits)} after the rounds"
            self._costs[bits] = self._costs[bits].again(
                self.machine, self.options.dtype, fused=self._fused
            )

    def page(self) -> Page:
        """Return the rates by width."""
        dtype = self.options.dtype
        results = self.results
        rows = [self._row(results, bits) for bits in self._widths]
        plot = Plot(
            "lines", "lanes", "elements in a vector", "", "GFLOP/s", x_log=True, y_log=True,
            expected="expected",
        )  # fmt: skip
        arithmetic = "multiply-adds per cycle" if self._fused else "multiplications + additions"
        section = Section(
            f"A register tile of {ROWS} rows by {VECTORS} vectors in every width",
            Unit("GFLOP/s", 1e9), tuple(rows), plot=plot, cycles_per="FLOP",
            notes=(
                f"FMA/cycle: {arithmetic}, measured with independent ones and nothing else",
                "expected: 2 x lanes x FMA/cycle x GHz, the clock measured under that load",
            ),
        )  # fmt: skip
        return Page(
            self.name,
            f"simd: one kernel in scalars and vectors · {dtype}, 1 thread",
            {"dtype": dtype},
            (section,),
            tuple(self._findings(rows)),
            answer=advice.simd(rows),
        )

    def _name(self, bits: int) -> str:
        return spelled(bits, self.options.dtype)

    def _row(self, results: Results, bits: int) -> Row:
        name, known = self._name(bits), self._costs[bits]
        lanes = bits // element_bits(self.options.dtype)
        expected = None
        if known.fmas_per_cycle is not None and known.core_hz is not None:
            expected = 2 * lanes * known.fmas_per_cycle * known.core_hz
        measured, scalar = results.rate(name), results.rate(self._name(self._widths[0]))
        times = measured.value / scalar.value if measured and scalar else None
        return results.row(
            name,
            {"width": name},
            counted={
                "lanes": lanes,
                "x scalar": times,
                "FMA/cycle": known.fmas_per_cycle,
                "GHz": known.core_hz and known.core_hz / 1e9,
            },
            expected=expected,
            measured=measured,
            cycles=results.cycles(name),
        )

    def _findings(self, rows: list[Row]) -> Iterator[Finding]:
        timed = [row for row in rows if row.sure]
        if not timed or not rows[0].sure or timed[-1] is rows[0]:
            return
        first, last = rows[0], timed[-1]
        lanes, times = last.counted["lanes"], last.counted["x scalar"]
        off = ratio(times, lanes)
        yield Finding(
            f"a vector of {last.variant['width']} holds {lanes} elements and the same instructions "
            f"run: {lanes} times the scalar rate",
            f"{times:.3g} times",
            off,
            self._why(first, last) if apart(off) else "",
        )
        if last.expected is None or last.sure is None:
            return
        yield Finding(
            f"{last.counted['FMA/cycle']:.3g} multiply-adds per cycle of {lanes} elements at "
            f"{last.counted['GHz']:.3g} GHz: {units.si(last.expected, 'FLOP/s')}",
            units.si(last.sure.value, "FLOP/s"),
            last.ratio,
        )

    def _why(self, first: Row, last: Row) -> str:
        """Return what the ports and the clock of the two widths explain."""
        ports = ratio(last.counted["FMA/cycle"], first.counted["FMA/cycle"])
        clock = ratio(last.counted["GHz"], first.counted["GHz"])
        if ports is None or clock is None:
            return "What ports and clock contribute is unknown here"
        return (
            f"Multiply-adds per cycle are {ports:.2f} of the scalar's and the clock is {clock:.2f} "
            f"of it: together {ports * clock * last.counted['lanes']:.3g} times"
        )
