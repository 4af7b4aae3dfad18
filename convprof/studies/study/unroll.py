"""How many independent sums, and how many steps per turn, until the gain is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof import units
from convprof.codegen import isa as isas
from convprof.codegen.isa import register_rows
from convprof.dtypes import types
from convprof.measure.contestant import Contestant
from convprof.problems import Gemm
from convprof.strategies.base import Setting
from convprof.studies.study import advice, repeated
from convprof.studies.study.base import Study
from convprof.studies.study.costs import Costs, costs
from convprof.studies.study.page import (
    APART,
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
from convprof.studies.study.repeated import Repeated, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.studies.study.base import Results
    from convprof.studies.study.costs import Costs
    from convprof.studies.study.page import Row


TURNS = (1, 2, 4, 8)
TILES = (
    (1, 1), (2, 1), (1, 2), (4, 1), (2, 2), (1, 4), (8, 1), (4, 2), (2, 4), (8, 2), (4, 4),
)  # fmt: skip
"""Rows by vectors; those that the registers hold are compared, and the tallest two vectors wide."""
LONGER = (1, 2, 4, 8)
"""Times that the product of a single sum is made longer."""
GIGAFLOP = Unit("GFLOP/s", 1e9)


class Unroll(Study):
    """Register tiles, each with 1, 2, 4 and 8 steps per turn; and one sum over more steps."""

    name: ClassVar[str] = "unroll"

    def learn(self) -> Iterator[str]:
        """Measure the peak, the latency of a multiply-add and the loads per cycle."""
        dtype = self.options.dtype
        self._isa = isas.find(self.options.isa)
        self._lanes = self._isa.lanes(types(dtype).accumulator.bytes)
        yield f"multiply-adds and loads of {self._isa.bits} bits"
        self._costs = costs(self.machine, dtype, self._isa.bits, fused=self._isa.fused)
        self._setting = Setting(dtype=dtype, isa=self.options.isa)
        shapes = [s for s in TILES if s[0] <= register_rows(s[1], self._isa)]
        self._tiles = [*dict.fromkeys([*shapes, (register_rows(2, self._isa), 2)])]

    def contestants(self) -> list[Contestant]:
        """Return every tile with every number of steps, and the single sum over more."""
        shapes = [self._shape(tile, turn) for tile in self._tiles for turn in TURNS]
        pairs = [
            (_name(shape), shape, repeated.product(shape, self._setting.types)) for shape in shapes
        ]
        single = self._shape(TILES[0], TURNS[2])
        pairs += [(f"{g.k} steps", single, g) for g in self._longer()]
        return [Contestant(Repeated(name, shape), g, self._setting) for name, shape, g in pairs]

    def settle(self) -> Iterator[str]:
        """Measure the peak again: a core long under wide vectors may be slower than at first."""
        yield "the peak after the rounds"
        self._costs = self._costs.again(self.machine, self.options.dtype, fused=self._isa.fused)

    def page(self) -> Page:
        """Return the rates by tile, and where the gain is gone."""
        results = self.results
        rows = [self._row(results, tile, turn) for tile in self._tiles for turn in TURNS]
        longer = [self._long_row(results, g) for g in self._longer()]
        about = f"{self.options.dtype}, {self._isa.name} {self._isa.bits} bits, 1 thread"
        return Page(
            self.name,
            f"unroll: independent sums, steps per turn · {about}",
            {"dtype": self.options.dtype, "isa": self._isa.name, "bits": self._isa.bits},
            (self._tile_section(rows), self._long_section(longer)),
            tuple(findings(rows, longer, self._costs)),
            self._costs.lines(),
            advice.unroll(rows),
        )

    def _tile_section(self, rows: list[Row]) -> Section:
        peak = self._costs.flop_per_s
        plot = Plot(
            "lines", "sums", "independent sums", "steps per turn", "GFLOP/s", x_log=True,
            expected="expected, latency x ports", expected_once=True,
            levels=(Line(f"peak {units.si(peak, 'FLOP/s')}", peak),),
        )  # fmt: skip
        notes = (
            "sums: rows x vectors · loads, others: per multiply-add, in the generated inner loop",
            "expected: by the longest of latency / sums, 1 / FMA rate, loads / loads per cycle",
        )
        return Section(
            "GFLOP/s by tile (rows x vectors) and steps per turn of the inner loop",
            GIGAFLOP, tuple(rows), across="steps per turn", plot=plot, cycles_per="FLOP",
            notes=notes,
        )  # fmt: skip

    def _long_section(self, rows: list[Row]) -> Section:
        note = "operands of the longer ones stay in L2: one vector per multiply-add is read"
        return Section(
            "A single sum (1x1) over more and more steps before the next tile",
            GIGAFLOP, tuple(rows), cycles_per="FLOP", notes=(note,),
        )  # fmt: skip

    def _longer(self) -> list[Gemm]:
        first = repeated.product(self._shape(TILES[0], 1), self._setting.types)
        return [Gemm(m=first.m, n=first.n, k=first.k * times) for times in LONGER]

    def _shape(self, tile: tuple[int, int], turn: int) -> Shape:
        return Shape(*tile, self._lanes, turn, self._isa.fused)

    def _row(self, results: Results, tile: tuple[int, int], turn: int) -> Row:
        shape = self._shape(tile, turn)
        g = repeated.product(shape, self._setting.types)
        counted = repeated.inner(g, shape, self._setting)
        loads = counted.loads_per_fma if counted else None
        limit, share = limits(shape.chains, loads, self._costs)
        return results.row(
            _name(shape),
            {"tile": f"{tile[0]}x{tile[1]}", "steps per turn": turn},
            counted={
                "sums": shape.chains,
                "loads": loads,
                "limit": limit,
                "others": counted.others_per_fma if counted else None,
                "spills": counted.spills if counted else None,
            },
            expected=None if share is None else share * self._costs.flop_per_s,
            measured=results.rate(_name(shape)),
            cycles=results.cycles(_name(shape)),
        )

    def _long_row(self, results: Results, g: Gemm) -> Row:
        name = f"{g.k} steps"
        _, share = limits(1, None, self._costs)
        return results.row(
            name,
            {"steps": g.k},
            counted={},
            expected=None if share is None else share * self._costs.flop_per_s,
            measured=results.rate(name),
            cycles=results.cycles(name),
        )


def limits(chains: int, loads: float | None, known: Costs) -> tuple[str, float | None]:
    """Return what limits a tile, and the share of the peak that remains.

    Cycles per multiply-add: a sum's latency over the sums, one turn at the ports, and `loads` at
    theirs; the longest counts.
    """
    if known.fma_latency is None or known.fmas_per_cycle is None:
        return "unknown", None
    cycles = {"ports": 1 / known.fmas_per_cycle, "latency": known.fma_latency / chains}
    if loads is not None and known.loads_per_cycle is not None:
        cycles["loads"] = loads / known.loads_per_cycle
    limit = max(cycles, key=lambda name: cycles[name])
    return limit, cycles["ports"] / cycles[limit]


def _name(shape: Shape) -> str:
    return f"{shape.rows}x{shape.vectors} by {shape.turn}"


# What the rates of register tiles say about sums, loads and steps per turn.

GONE = 0.95
"""Of the best rate: from there on the gain is gone."""
STEPS = 4
"""Per turn, for the comparison of tiles."""
TURN = "steps per turn"
SAME = 0.03
"""A smaller gain of a rate is not reported."""


def findings(rows: Sequence[Row], longer: Sequence[Row], known: Costs) -> Iterator[Finding]:
    """Yield what was expected and measured, as far as there are rates."""
    tiles = [row for row in rows if row.sure and row.variant[TURN] == STEPS]
    if not tiles:
        return
    yield _sums(tiles, known)
    if known.chains is not None:
        yield from _too_few(tiles, [row for row in longer if row.sure], known)
    yield from _loads(tiles, known)
    yield from _turns([row for row in rows if row.sure])


def _sums(tiles: Sequence[Row], known: Costs) -> Finding:
    """Return where the gain of further sums is gone."""
    best = max(tiles, key=rate)
    enough = min(row.counted["sums"] for row in tiles if rate(row) >= GONE * rate(best))
    measured = f"{enough} sums come within {100 * (1 - GONE):.0f} % of the best tile"
    if known.chains is None:
        text = "latency x multiply-adds per cycle sums are needed, one of which is unknown here"
        return Finding(text, measured)
    expected = (
        f"a sum is ready for its next multiply-add after {known.fma_latency:.3g} cycles and "
        f"{known.fmas_per_cycle:.3g} start per cycle, so {known.chains:.3g} independent sums "
        "are needed"
    )
    just = [row for row in tiles if row.counted["sums"] == round(known.chains)]
    why = ""
    if just and enough > known.chains:
        top = max(just, key=rate)
        share = 100 * rate(top) / rate(best)
        why = (
            f"With {known.chains:.3g} sums the best tile ({top.variant['tile']}) has {share:.0f} % "
            "of the best rate: none is in reserve when a load or a tile's end delays one"
        )
    return Finding(expected, measured, ratio(enough, known.chains), why)


def _too_few(tiles: Sequence[Row], longer: Sequence[Row], known: Costs) -> Iterator[Finding]:
    """Yield the finding on a single sum: compared with the next tile, and alone."""
    single = next((row for row in tiles if row.counted["sums"] == 1), None)
    if single is None or single.expected is None:
        return
    last = longer[-1] if longer else single
    expected = (
        f"a single sum waits out its latency: 1/{known.chains:.3g} of the peak, "
        f"{units.si(single.expected, 'FLOP/s')}"
    )
    measured = units.si(rate(single), "FLOP/s")
    why = ""
    if last.ratio is not None and single.ratio is not None and single.ratio > last.ratio + APART:
        why = (
            f"The core starts the next tile while a sum still waits: over {last.variant['steps']} "
            f"steps before the next tile it is {units.si(rate(last), 'FLOP/s')} "
            f"({100 * (last.ratio - 1):+.0f} %)"
        )
    yield Finding(expected, measured, single.ratio, why)


def _loads(tiles: Sequence[Row], known: Costs) -> Iterator[Finding]:
    """Yield the finding on two tiles of as many sums, of which one loads more."""
    enough = [row for row in tiles if row.counted["sums"] >= (known.chains or 0)]
    pairs = [
        (a, b)
        for a in enough
        for b in enough
        if a.counted["sums"] == b.counted["sums"]
        and (a.counted["loads"] or 0) > (b.counted["loads"] or a.counted["loads"] or 0)
    ]
    if not pairs or known.loads_per_cycle is None:
        return
    a, b = max(pairs, key=lambda pair: pair[0].counted["loads"] - pair[1].counted["loads"])
    if not a.expected or not b.expected:
        return
    expected = (
        f"{a.variant['tile']} loads {a.counted['loads']:.3g} times per multiply-add, "
        f"{b.variant['tile']} {b.counted['loads']:.3g} times: at {known.loads_per_cycle:.3g} loads "
        f"per cycle {a.variant['tile']} runs at {a.expected / b.expected:.2f} of the other's rate"
    )
    times = rate(a) / rate(b)
    measured = f"at {times:.2f} of it"
    off = ratio(times, a.expected / b.expected)
    why = ""
    if apart(off) and apart(b.ratio):
        why = f"{b.variant['tile']} itself has {100 * (b.ratio or 0):.0f} % of what is expected"
    yield Finding(expected, measured, off, why)


def _turns(rows: Sequence[Row]) -> Iterator[Finding]:
    """Yield what more steps per turn gain over one, where most."""
    alone = {row.variant["tile"]: row for row in rows if row.variant[TURN] == 1}
    gains = [
        (rate(row) / rate(alone[row.variant["tile"]]), row)
        for row in rows
        if row.variant["tile"] in alone and row.variant[TURN] > 1
    ]
    if not gains:
        return
    gain, row = max(gains, key=lambda pair: pair[0])
    few = alone[row.variant["tile"]].counted["others"]
    count = "" if few is None else f" ({few:.3g} per multiply-add at one step)"
    expected = (
        "counter and addresses"
        f"{count} use neither the multiply-adds' ports nor a sum's time: more steps per turn gain "
        "nothing while the core can take in the further instructions"
    )
    measured = (
        f"the most is {100 * (gain - 1):+.0f} %, {row.variant['tile']} at {row.variant[TURN]} "
        "steps per turn"
    )
    largest = max(rows, key=lambda r: r.counted["sums"]).variant["tile"]
    gained = [100 * (g - 1) for g, r in gains if r.variant["tile"] == largest]
    why = f"The largest tile, {largest}, gains {max(gained):+.0f} %" if gained else ""
    yield Finding(expected, measured, gain, why)


def rate(row: Row) -> float:
    """Return the measured rate."""
    return row.sure.value if row.sure else 0.0
