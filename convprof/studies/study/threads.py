"""What a launch costs, how a product scales, and the smallest one that pays."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, ClassVar

from convprof import units
from convprof.errors import RefusedError
from convprof.measure.contestant import Contestant
from convprof.problems import Gemm
from convprof.strategies.base import Setting
from convprof.strategies.gemm.packed import Packed
from convprof.strategies.planned import Planned
from convprof.studies import preflight
from convprof.studies.study import advice
from convprof.studies.study.base import Study
from convprof.studies.study.page import (
    Figure,
    Finding,
    Line,
    Page,
    Plot,
    Row,
    Section,
    Unit,
    apart,
    ratio,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.strategies.plan import Plan
    from convprof.studies.study.base import Results

SIZES = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
LEAST_SIZE, MOST_SIZE = 2, 4096
NOTHING = 1
"""The size of the product of one multiply-add: its time is the time of a call, launched or not."""


class _Sized(Planned[Gemm]):
    """`packed` on a product of one size."""

    kind = "gemm"
    summary = "packed"
    parallel = True

    def __init__(self, name: str) -> None:
        self.name = name

    def plan(self, g: Gemm, setting: Setting) -> Plan:
        return Packed().plan(g, setting)


def counts(cores: int) -> tuple[int, ...]:
    """Return 1, 2, 4 ... and all the cores."""
    doubled = [2**k for k in range(cores.bit_length()) if 2**k < cores]
    return (*doubled, cores)


class Threads(Study):
    """`packed` on products of several sizes, on 1 to all threads, all in the same rounds."""

    name: ClassVar[str] = "threads"

    def check(self) -> None:
        """Raise RefusedError on one core, TooLargeError for a product that does not fit."""
        if self.machine.facts.topology.usable_cores == 1:
            raise RefusedError("threads: there is one usable core, so there is no work to share")
        largest = max(self._sizes())
        preflight.check_memory([Gemm(m=largest, n=largest, k=largest)], self.options.dtype, 1)

    def learn(self) -> Iterator[str]:
        """Choose the numbers of threads; nothing needs measuring."""
        yield "the teams"
        self._counts = counts(max(2, self.options.threads))

    def contestants(self) -> list[Contestant]:
        """Return every size on every number of threads."""
        return [
            Contestant(
                _Sized(_name(size, count)), Gemm(m=size, n=size, k=size), self._setting(count)
            )
            for size in (NOTHING, *self._sizes())
            for count in self._counts
        ]

    def page(self) -> Page:
        """Return launches, times and speed-ups against the model."""
        results, options = self.results, self.options
        launches = [self._launch_row(results, count) for count in self._counts]
        rows = [self._row(results, s, c) for s in self._sizes() for c in self._counts if c > 1]
        return Page(
            self.name,
            f"threads: packed on squares · {options.dtype}, 1 to {self._counts[-1]} threads",
            {"dtype": options.dtype, "isa": options.isa, "sizes": list(self._sizes())},
            (self._launch_section(launches), self._scaling_section(rows)),
            tuple(self._findings(results, rows)),
            answer=advice.threads(rows),
        )

    def _launch_section(self, rows: list[Row]) -> Section:
        note = "run() of a product of one multiply-add: the call from Python, launch and join"
        return Section("A call with nothing to do", Unit("µs", 1e-6), tuple(rows), notes=(note,))

    def _scaling_section(self, rows: list[Row]) -> Section:
        plot = Plot(
            "lines", "size", "size (m = n = k)", "threads", "times one thread", x_log=True,
            expected="model", levels=(Line("one thread", 1.0),),
        )  # fmt: skip
        note = (
            "times one thread: time on one thread / on several · expected: T(t) = call(t) + "
            "(T(1) - call(1)) / t, with the calls of the table above"
        )
        return Section(
            "Speed-up over one thread", Unit("times one thread", 1.0), tuple(rows), plot=plot,
            notes=(note,),
        )  # fmt: skip

    def _setting(self, count: int) -> Setting:
        return Setting(dtype=self.options.dtype, threads=count, isa=self.options.isa)

    def _sizes(self) -> tuple[int, ...]:
        return self.options.sizes or SIZES

    def _launch_row(self, results: Results, count: int) -> Row:
        name = _name(NOTHING, count)
        return results.row(
            name, {"threads": count}, counted={}, expected=None, measured=results.seconds(name)
        )

    def _row(self, results: Results, size: int, count: int) -> Row:
        name, alone = _name(size, count), _name(size, 1)
        gain = results.ratio(alone, name)
        one = results.seconds(alone)
        time = results.seconds(name)
        predicted = self._predicted(results, size, count)
        return results.row(
            name,
            {"size": size, "threads": count},
            counted={
                "1 thread µs": one and one.value * 1e6,
                "µs": time and time.value * 1e6,
                "verdict": _verdict(gain.verdict if gain else None),
            },
            expected=one.value / predicted if one and predicted else None,
            measured=Figure(gain.value, gain.low, gain.high) if gain else None,
            other=alone,
        )

    def _predicted(self, results: Results, size: int, count: int) -> float | None:
        """Return the seconds that the model gives; None before its parts are measured."""
        names = (_name(NOTHING, count), _name(NOTHING, 1), _name(size, 1))
        several, one, alone = (results.seconds(name) for name in names)
        if several is None or one is None or alone is None:
            return None
        return several.value + max(0.0, alone.value - one.value) / count

    def _findings(self, results: Results, rows: list[Row]) -> Iterator[Finding]:
        timed = [row for row in rows if row.sure and row.expected]
        for count in self._counts[1:2]:
            yield from self._pays(
                results, [r for r in timed if r.variant["threads"] == count], count
            )
        largest = [row for row in timed if row.variant["size"] == self._sizes()[-1]]
        if largest:
            yield self._scaling(largest[-1])

    def _pays(self, results: Results, rows: list[Row], count: int) -> Iterator[Finding]:
        """Yield the size from which several threads are faster than one."""
        calls = [results.seconds(_name(NOTHING, c)) for c in (1, count)]
        if not rows or calls[0] is None or calls[1] is None:
            return
        launch = calls[1].value - calls[0].value
        sizes = [row.variant["size"] for row in rows]
        expected = crossing(sizes, [row.expected or 0 for row in rows])
        measured = crossing(sizes, [row.sure.value for row in rows if row.sure])
        needed = launch * count / (count - 1)
        text = (
            f"a launch of {count} threads costs {units.time(max(launch, 0.0))} more than a call on "
            f"one, so work of {units.time(max(needed, 0.0))} on one thread breaks even"
        )
        if expected is not None:
            text += f": size {expected:.0f}"
        else:
            text += "; no size here does"
        shown = "no size here is faster" if measured is None else f"from size {measured:.0f} on"
        off = ratio(measured, expected)
        yield Finding(text, shown, off, self._why_pays(rows) if apart(off) else "")

    def _why_pays(self, rows: list[Row]) -> str:
        """Return where the model and the measurement differ most."""
        worst = min(rows, key=lambda row: row.ratio or math.inf)
        return (
            f"Farthest off is size {worst.variant['size']}, "
            f"{100 * ((worst.ratio or 0) - 1):+.0f} %. "
            "The model leaves out that packed runs several stages with a barrier after each, that "
            "shares are whole register tiles, and that b, once packed, moves between the cores; "
            "these figures do not tell them apart"
        )

    def _scaling(self, row: Row) -> Finding:
        """Return how the largest product scales, and the serial share that would explain it."""
        count = row.variant["threads"]
        speedup = row.sure.value if row.sure else 0.0
        why = ""
        if apart(row.ratio) and speedup:
            serial = (count / speedup - 1) / (count - 1)
            why = (
                f"By Amdahl's law {100 * serial:.1f} % of the work would be serial"
                if serial < 1
                else "More threads than one are slower: something else used a CPU, or the threads "
                "wait for each other"
            )
        return Finding(
            f"size {row.variant['size']} on {count} threads: {row.expected:.2f} times one thread",
            f"{speedup:.2f} times",
            row.ratio,
            why,
        )


def crossing(sizes: list[int], gains: list[float]) -> float | None:
    """Return the size from which on the gain stays above 1, between two by their logarithms.

    None if it is not above 1 at the end; the first size if it always is.
    """
    if not gains or gains[-1] <= 1:
        return None
    last = max((k for k, gain in enumerate(gains) if gain <= 1), default=None)
    if last is None:
        return float(sizes[0])
    (x0, x1), (y0, y1) = (
        (math.log(a), math.log(b))
        for a, b in (list(itertools.pairwise(sizes))[last], list(itertools.pairwise(gains))[last])
    )
    return math.exp(x0 - y0 * (x1 - x0) / (y1 - y0))


def _verdict(verdict: str | None) -> str | None:
    """Return the verdict on several threads, from the verdict on one."""
    return {"slower": "faster", "faster": "slower"}.get(verdict or "", verdict)


def _name(size: int, count: int) -> str:
    return f"{size} on {count}"
