"""How many independent sums, and how many steps per turn, until the gain is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof import units
from convprof.measure.contestant import Contestant
from convprof.problems import Gemm
from convprof.simd import isa as isas
from convprof.simd.isa import register_rows
from convprof.strategies.base import Setting
from convprof.studies.single import repeated, unroll_findings
from convprof.studies.single.costs import Costs, costs
from convprof.studies.single.page import Line, Page, Plot, Row, Section, Unit
from convprof.studies.single.repeated import Repeated, Shape
from convprof.studies.single.study import Study

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.studies.single.study import Found

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
        self._lanes = self._isa.lanes(Setting(dtype=dtype).itemsize)
        yield f"multiply-adds and loads of {self._isa.bits} bits"
        self._costs = costs(dtype, self._isa.bits, fused=self._isa.fused)
        self._setting = Setting(dtype=dtype, isa=self.options.isa)
        shapes = [s for s in TILES if s[0] <= register_rows(s[1], self._isa)]
        self._tiles = [*dict.fromkeys([*shapes, (register_rows(2, self._isa), 2)])]

    def contestants(self) -> list[Contestant]:
        """Return every tile with every number of steps, and the single sum over more."""
        size = self._setting.itemsize
        shapes = [self._shape(tile, turn) for tile in self._tiles for turn in TURNS]
        pairs = [(_name(shape), shape, repeated.product(shape, size)) for shape in shapes]
        single = self._shape(TILES[0], TURNS[2])
        pairs += [(f"{g.k} steps", single, g) for g in self._longer()]
        return [Contestant(Repeated(name, shape), g, self._setting) for name, shape, g in pairs]

    def settle(self) -> Iterator[str]:
        """Measure the peak again: a core long under wide vectors may be slower than at first."""
        yield "the peak after the rounds"
        self._costs = self._costs.again(self.options.dtype, fused=self._isa.fused)

    def page(self) -> Page:
        """Return the rates by tile, and where the gain is gone."""
        found = self.found
        rows = [self._row(found, tile, turn) for tile in self._tiles for turn in TURNS]
        longer = [self._long_row(found, g) for g in self._longer()]
        about = f"{self.options.dtype}, {self._isa.name} {self._isa.bits} bits, 1 thread"
        return Page(
            self.name,
            f"unroll: independent sums, steps per turn · {about}",
            {"dtype": self.options.dtype, "isa": self._isa.name, "bits": self._isa.bits},
            (self._tile_section(rows), self._long_section(longer)),
            tuple(unroll_findings.findings(rows, longer, self._costs)),
            self._costs.lines(),
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
        first = repeated.product(self._shape(TILES[0], 1), self._setting.itemsize)
        return [Gemm(m=first.m, n=first.n, k=first.k * times) for times in LONGER]

    def _shape(self, tile: tuple[int, int], turn: int) -> Shape:
        return Shape(*tile, self._lanes, turn, self._isa.fused)

    def _row(self, found: Found, tile: tuple[int, int], turn: int) -> Row:
        shape = self._shape(tile, turn)
        g = repeated.product(shape, self._setting.itemsize)
        counted = repeated.inner(g, shape, self._setting)
        loads = counted.loads_per_fma if counted else None
        limit, share = limits(shape.chains, loads, self._costs)
        return found.row(
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
            measured=found.rate(_name(shape)),
            cycles=found.cycles(_name(shape)),
        )

    def _long_row(self, found: Found, g: Gemm) -> Row:
        name = f"{g.k} steps"
        _, share = limits(1, None, self._costs)
        return found.row(
            name,
            {"steps": g.k},
            counted={},
            expected=None if share is None else share * self._costs.flop_per_s,
            measured=found.rate(name),
            cycles=found.cycles(name),
        )


def limits(chains: int, loads: float | None, known: Costs) -> tuple[str, float | None]:
    """Return what holds a tile back, and the share of the peak that it leaves.

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
