"""Reading the same elements in the order of a stride: what a cache line costs per level."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.codegen.probes.strides import ROWS, UNROLL, stride_kernel
from convprof.dtypes import find
from convprof.machine import bandwidth
from convprof.machine.caches import MEMORY
from convprof.measure.contestant import Contestant
from convprof.problems import Gemm
from convprof.strategies.base import Setting
from convprof.strategies.plan import WEIGHTS, Native, Plan, Stage, X, Y
from convprof.strategies.planned import Planned
from convprof.studies.explain.here import here
from convprof.studies.study.page import Figure, Finding, Line, Plot, Row, Section, Unit, apart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.machine.caches import Cache
    from convprof.studies.study.base import Results
    from convprof.studies.study.costs import Costs

LARGEST_STRIDE_BYTES = 1024
LOADS = ROWS + 1
"""Elements loaded per step: one of each row, one of the vector."""
WORK = 200_000
"""Elements in a call, at least: some 30 µs from L1."""
RISES = 1.25
"""Doubling the stride costs at least this factor while elements still share lines."""
SAME = "the same elements, read in the order of a stride"


class _Strided(Planned[Gemm]):
    """A product of two rows with a vector, read in the order of a stride."""

    kind = "gemm"
    summary = SAME

    def __init__(self, name: str, stride: int, line: int) -> None:
        self.name, self._stride, self._line = name, stride, line

    def plan(self, g: Gemm, setting: Setting) -> Plan:
        """One stage, which reads everything as often as fits WORK."""
        program = stride_kernel(setting.dtype, self._stride, self._line)
        times = times_of(g)
        plan = Plan()
        native = Native(program.address, program)
        plan.steps = [Stage("strided", native, 1, (X, WEIGHTS, Y), (g.k, times))]
        plan.executed_flops = times * g.flops
        return plan


def times_of(g: Gemm) -> int:
    """Return how often a call reads everything."""
    return max(1, WORK // (LOADS * g.k))


@dataclass(frozen=True)
class Level:
    """A working set in a level, and the bandwidth of that level."""

    name: str
    steps: int
    """Elements of a row."""
    bytes_per_s: float | None
    """The measured bandwidth of loads; None where it cannot be measured."""


class Strides:
    """The strides and levels of the part of `layout` that reads."""

    def __init__(self, dtype: str, caches: Sequence[Cache]) -> None:
        machine = here()
        self._caches = caches
        self.dtype, self.line_bytes = dtype, machine.line_bytes
        self.assumed = machine.line_assumed
        self.size = find(dtype).bytes
        self.levels: list[Level] = []
        self.strides: list[int] = []

    def learn(self) -> Iterator[str]:
        """Measure the bandwidth of loads of each cache level."""
        names = tuple(f"L{cache.level}" for cache in self._caches)
        if not names:
            return
        yield "the bandwidth of the caches"
        bandwidths = bandwidth.measure(1, names, ("load",), bandwidth.QUICK_REPEATS)
        sets = [b for b in bandwidths if b.level != MEMORY and b.working_set_bytes]
        if not sets:
            return
        rows = [(b.working_set_bytes or 0) // (LOADS * self.size) for b in sets]
        largest = min(rows[0] // UNROLL, LARGEST_STRIDE_BYTES // self.size)
        top = 2 ** int(math.log2(max(1, largest)))
        self.strides = [2**k for k in range(int(math.log2(top)) + 1)]
        multiple = UNROLL * top
        self.levels = [
            Level(b.level, run // multiple * multiple, b.bytes_per_s)
            for b, run in zip(sets, rows, strict=True)
        ]

    def contestants(self) -> list[Contestant]:
        """Return every stride in every level."""
        line = self.line_bytes // self.size
        return [
            Contestant(
                _Strided(_name(level, stride), stride, line),
                Gemm(m=ROWS, n=1, k=level.steps),
                Setting(dtype=self.dtype),
            )
            for level in self.levels
            for stride in self.strides
        ]

    def section(self, results: Results, known: Costs) -> Section:
        """Return the time per element by stride and level."""
        rows = [
            self.row(results, known, lv, stride) for stride in self.strides for lv in self.levels
        ]
        plot = Plot(
            "lines", "bytes", "stride in bytes", "from", "ns per element", x_log=True, y_log=True,
            expected="expected",
            marks=(Line(f"line {self.line_bytes} B", self.line_bytes),),
        )  # fmt: skip
        sets = ", ".join(
            f"{level.name} {units.size(LOADS * level.steps * self.size)}" for level in self.levels
        )
        return Section(
            "Time per element read, by stride and level", Unit("ns per element", 1e-9),
            tuple(rows), across="from", plot=plot, cycles_per="element",
            notes=(
                f"scalars, each read once whatever the stride · working sets {sets}",
                "expected: a load's turn at its port or lines x line / bandwidth, the longer",
            ),
        )  # fmt: skip

    def row(self, results: Results, known: Costs, level: Level, stride: int) -> Row:
        """Return one stride in one level."""
        name = _name(level, stride)
        g = Gemm(m=ROWS, n=1, k=level.steps)
        count = LOADS * g.k * times_of(g)
        time = results.seconds(name)
        ends = (time.low, time.high) if time else (None, None)
        measured = time and Figure(time.value / count, *(e and e / count for e in ends))
        lines = min(1.0, stride * self.size / self.line_bytes)
        return results.row(
            name,
            {"stride": stride, "from": level.name},
            counted={"bytes": stride * self.size, "lines per element": lines},
            expected=self._expected(results.hz(name), known, level, lines),
            measured=measured,
            cycles=results.cycles(name, count),
        )

    def _expected(self, hz: float | None, known: Costs, level: Level, lines: float) -> float | None:
        if hz is None or known.elements_per_cycle is None or level.bytes_per_s is None:
            return None
        port = 1 / (known.elements_per_cycle * hz)
        return max(port, lines * self.line_bytes / level.bytes_per_s)

    def findings(self, rows: tuple[Row, ...]) -> Iterator[Finding]:
        """Yield what each level says about strides, and the line size seen."""
        for level in self.levels:
            timed = [row for row in rows if row.variant["from"] == level.name and row.sure]
            if len(timed) < len(self.strides):
                continue
            yield self._level(level, timed)
        yield from self._line_size(rows)

    def _level(self, level: Level, rows: list[Row]) -> Finding:
        first, last = rows[0], rows[-1]
        value = _seconds(last) / _seconds(first)
        measured = f"{units.digits(value, 2)} times as long as stride 1"
        if last.expected is None or not first.expected:
            return Finding(f"{level.name}: bandwidth or load ports are unknown here", measured)
        times = last.expected / first.expected
        per_line = units.time(self.line_bytes / (level.bytes_per_s or 1))
        text = (
            f"{level.name}: stride {last.variant['stride']} touches "
            f"{1 / first.counted['lines per element']:.0f} times the lines per element at "
            f"{per_line} each: {units.digits(times, 2)} times as long per element"
        )
        off = value / times
        why = ""
        if apart(off) and last.ratio is not None and first.ratio is not None:
            line, first_row = units.digits(last.ratio, 2), units.digits(first.ratio, 2)
            why = (
                f"A line costs {line} times what the bandwidth of whole lines in order says, and "
                f"stride 1 takes {first_row} times what is expected"
            )
        return Finding(text, measured, off, why)

    def _line_size(self, rows: tuple[Row, ...]) -> Iterator[Finding]:
        """Yield the stride from which on a larger one costs no more, where there is such a one."""
        for level in self.levels[1:]:
            times = {
                row.counted["bytes"]: row.sure.value
                for row in rows
                if row.variant["from"] == level.name and row.sure
            }
            seen = knee(times)
            if seen is None:
                continue
            source = "assumed, since it is unknown here" if self.assumed else "as the system says"
            yield Finding(
                f"the time per element stops rising at strides of one line, {self.line_bytes} "
                f"bytes ({source})",
                f"from {level.name} it rises by at least {100 * (RISES - 1):.0f} % per doubling up "
                f"to {seen} bytes",
                seen / self.line_bytes,
                _why_further(times, self.line_bytes) if seen > self.line_bytes else "",
            )
            return


def _seconds(row: Row) -> float:
    """Return the measured time; nan without one."""
    return row.sure.value if row.sure else math.nan


def knee(times: dict[int, float]) -> int | None:
    """Return the last stride that costs RISES times the half of it; None if none does."""
    strides = sorted(times)
    rising = [b for a, b in itertools.pairwise(strides) if times[b] >= RISES * times[a]]
    return rising[-1] if rising else None


def _why_further(times: dict[int, float], line: int) -> str:
    """Return what lines apart cost against neighbours; empty where it was not measured."""
    if line not in times:
        return ""
    further = max(times[stride] for stride in times if stride > line) / times[line]
    return (
        f"From {line} bytes on every element has a line of its own; lines further apart than "
        f"neighbours cost up to {units.digits(further, 2)} times as much each, so the rise goes on"
    )


def _name(level: Level, stride: int) -> str:
    return f"{level.name} stride {stride}"
