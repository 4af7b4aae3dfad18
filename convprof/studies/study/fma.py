"""Multiplications and additions apart against fused multiply-adds, in every width."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.codegen import isa as isas
from convprof.errors import RefusedError
from convprof.measure.contestant import Contestant
from convprof.results import NATIVE
from convprof.strategies.base import Setting
from convprof.studies.study import advice, repeated
from convprof.studies.study.base import Study
from convprof.studies.study.costs import ROWS, VECTORS, Costs, costs, shape, spelled, widths
from convprof.studies.study.page import Finding, Page, Plot, Row, Section, Unit, apart, ratio
from convprof.studies.study.repeated import Repeated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.studies.study.base import Results

FUSED, APART = "fused", "apart"
TIMES = 2
"""Instructions for a multiply-add that is not fused."""


class Fma(Study):
    """One tile, fused and apart, in every width."""

    name: ClassVar[str] = "fma"

    def learn(self) -> Iterator[str]:
        """Measure the peaks of both kinds. RefusedError where there is no fused instruction."""
        self._widths = widths(self.options.dtype)
        if not isas.find(NATIVE).fused:
            raise RefusedError("this CPU has no fused multiply-add to compare with")
        self._costs: dict[tuple[int, str], Costs] = {}
        for bits in self._widths:
            yield f"the peaks of {self._name(bits)}, fused and apart"
            for kind in (FUSED, APART):
                self._costs[bits, kind] = costs(
                    self.machine, self.options.dtype, bits, fused=kind == FUSED
                )
        self._setting = Setting(dtype=self.options.dtype)

    def contestants(self) -> list[Contestant]:
        """Return the tile in every width, fused and apart."""
        contestants = []
        for bits in self._widths:
            for kind in (FUSED, APART):
                one = shape(bits, self.options.dtype, fused=kind == FUSED)
                g = repeated.product(one, self._setting.types)
                strategy = Repeated(f"{self._name(bits)} {kind}", one)
                contestants.append(Contestant(strategy, g, self._setting))
        return contestants

    def settle(self) -> Iterator[str]:
        """Measure the peaks again, now that the core has been at work for a while."""
        for (bits, kind), known in self._costs.items():
            yield f"the peak of {self._name(bits)} {kind} after the rounds"
            self._costs[bits, kind] = known.again(
                self.machine, self.options.dtype, fused=kind == FUSED
            )

    def page(self) -> Page:
        """Return the rates by width and kind."""
        results, dtype = self.results, self.options.dtype
        rows = [self._row(results, bits, kind) for bits in self._widths for kind in (FUSED, APART)]
        plot = Plot(
            "lines", "lanes", "elements in a vector", "arithmetic", "GFLOP/s", x_log=True,
            y_log=True, expected="expected",
        )  # fmt: skip
        section = Section(
            f"A register tile of {ROWS} rows by {VECTORS} vectors, fused and apart",
            Unit("GFLOP/s", 1e9), tuple(rows), plot=plot, cycles_per="FLOP",
            notes=(
                "expected: the measured peak of fused ones; apart half of it, on the same ports",
                "peak: independent ones with nothing else · instructions: per cycle at that peak",
            ),
        )  # fmt: skip
        return Page(
            self.name,
            f"fma: multiply and add apart against fused · {dtype}, 1 thread",
            {"dtype": dtype},
            (section,),
            tuple(self._findings(rows)),
            answer=advice.fma(rows),
        )

    def _name(self, bits: int) -> str:
        return spelled(bits, self.options.dtype)

    def _row(self, results: Results, bits: int, kind: str) -> Row:
        name, known = f"{self._name(bits)} {kind}", self._costs[bits, kind]
        peak = self._costs[bits, FUSED].flop_per_s
        each = 1 if kind == FUSED else TIMES
        per_cycle = known.fmas_per_cycle
        return results.row(
            name,
            {"width": self._name(bits), "arithmetic": kind},
            counted={
                "lanes": shape(bits, self.options.dtype, fused=True).lanes,
                "peak": known.flop_per_s / 1e9,
                "instructions": None if per_cycle is None else each * per_cycle,
            },
            expected=peak / each,
            measured=results.rate(name),
            cycles=results.cycles(name),
        )

    def _findings(self, rows: list[Row]) -> Iterator[Finding]:
        """Yield a sentence per width: how many times as fast fused is."""
        for bits in self._widths:
            fused, separate = (
                next(r for r in rows if r.variant == {"width": self._name(bits), "arithmetic": k})
                for k in (FUSED, APART)
            )
            if fused.sure is None or separate.sure is None:
                continue
            gain = fused.sure.value / separate.sure.value
            off = ratio(gain, TIMES)
            yield Finding(
                f"{self._name(bits)}: half the instructions on the same ports, so fused is "
                f"{TIMES} times as fast",
                f"{gain:.2f} times",
                off,
                self._why(fused, separate) if apart(off) else "",
            )

    def _why(self, fused: Row, separate: Row) -> str:
        """Return what the peaks without any loads say."""
        peaks = ratio(fused.counted["peak"], separate.counted["peak"])
        together, each = fused.counted["instructions"], separate.counted["instructions"]
        if together is None or each is None:
            return f"The peaks differ {peaks:.2f} times"
        text = (
            f"Independent ones with nothing else reach {each:.3g} multiplications and additions "
            f"per cycle, against {together:.3g} fused ones"
        )
        if each > together:
            text += ": additions also have ports that multiply-adds do not use"
        return f"{text}; the peaks differ {peaks:.2f} times"
