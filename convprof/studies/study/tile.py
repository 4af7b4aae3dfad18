"""A map of cache tiles: steps by columns of the block of `b` that `packed` keeps in cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from convprof import units
from convprof.integers import ceil_div
from convprof.measure.contestant import Contestant
from convprof.problems import Gemm
from convprof.strategies.base import Setting
from convprof.strategies.gemm.blocked import PACKED, GemmBlocking
from convprof.strategies.gemm.packed import Packed
from convprof.strategies.planned import Planned
from convprof.studies import preflight
from convprof.studies.study import advice
from convprof.studies.study.base import Study
from convprof.studies.study.page import Finding, Page, Plot, Row, Section, Unit, apart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.strategies.plan import Plan
    from convprof.studies.study.base import Results

DEFAULT_SIZE = 1024
LEAST_SIZE, MOST_SIZE = 64, 4096
LEAST_STEPS, LEAST_COLUMNS = 16, 32
MOST_CELLS = 7
"""Values along an axis: powers of two up to the size."""
NEAR = 0.02
"""Cells within 2 % of the best are as good."""
HALF = 2
"""A block may take half of a cache: other data need the rest."""


class _Blocked(Planned[Gemm]):
    """`packed` with one blocking."""

    kind = "gemm"
    summary = "packed with a given blocking"
    parallel = True

    def __init__(self, name: str, blocking: GemmBlocking) -> None:
        self.name, self._blocking = name, blocking

    def plan(self, g: Gemm, setting: Setting) -> Plan:
        return Packed().plan_blocked(g, setting, self._blocking)


@dataclass(frozen=True)
class Cell:
    """One tile size, in bytes of the data that should stay in cache."""

    kc: int
    nc: int
    panel_bytes: int
    """A panel of `b` and the rows of `a` for it: read again for each register tile."""
    block_bytes: int
    """The block of `b`: read again for every few rows of `a`."""
    moved_bytes: int
    """By the whole product beyond the block's cache: `a` per block of columns, `b` once, and the
    result read and written per block of steps."""


class Tile(Study):
    """`packed` on one product, over steps and columns of its block."""

    name: ClassVar[str] = "tile"

    def learn(self) -> Iterator[str]:
        """Choose the cells; nothing needs measuring."""
        yield "the blockings"
        size = self._size()
        self._g = Gemm(m=size, n=size, k=size)
        options = self.options
        self._setting = Setting(dtype=options.dtype, threads=options.threads, isa=options.isa)
        self._first = Packed().vector_blockings(self._g, self._setting)[0]
        self._cells = {
            (kc, nc): self._cell(kc, nc)
            for kc in _powers(LEAST_STEPS, size)
            for nc in _powers(LEAST_COLUMNS, size)
        }
        self._caches = {
            level.name: level.share_bytes for level in self.machine.levels(options.threads)
        }

    def contestants(self) -> list[Contestant]:
        """Return every cell."""
        return [
            Contestant(
                _Blocked(_name(cell), replace(self._first, kc=cell.kc, nc=cell.nc, pack_b=PACKED)),
                self._g,
                self._setting,
            )
            for cell in self._cells.values()
        ]

    def check(self) -> None:
        """Raise InputError if the size makes no sense or does not fit."""
        size = self._size()
        preflight.check_memory([Gemm(m=size, n=size, k=size)], self.options.dtype, 1)

    def page(self) -> Page:
        """Return the map, where the optimum is expected and where it is."""
        results, g = self.results, self._g
        rows = [self._row(results, cell) for cell in self._cells.values()]
        plot = Plot(
            "map", "nc", "columns of the block (nc)", "kc", "steps (kc)", cells=self._marks()
        )
        section = Section(
            "GFLOP/s by steps (kc, down) and columns (nc, across) of the block of b",
            Unit("GFLOP/s", 1e9), tuple(rows), across="nc", plot=plot, cycles_per="FLOP",
        )  # fmt: skip
        options = self.options
        threads = f"{options.threads} thread{'s' if options.threads > 1 else ''}"
        return Page(
            self.name,
            f"tile: cache tiles of packed · gemm {g.m}x{g.k} by {g.k}x{g.n} · {options.dtype}, "
            f"{threads}",
            {"dtype": options.dtype, "threads": options.threads, "size": g.m, "isa": options.isa},
            (section,),
            tuple(self._findings(rows)),
            self._facts(),
            advice.tile(rows, g.m),
        )

    def _size(self) -> int:
        return self.options.sizes[0] if self.options.sizes else DEFAULT_SIZE

    def _cell(self, kc: int, nc: int) -> Cell:
        g, rows, types = self._g, self._first.rows, self._setting.types
        a, b, c = types.source.bytes, types.weights.bytes, types.result.bytes
        columns = self._first.vectors * self._lanes()
        moved = g.m * g.k * ceil_div(g.n, nc) * a + g.k * g.n * b
        moved += 2 * g.m * g.n * ceil_div(g.k, kc) * c
        return Cell(kc, nc, kc * (columns * b + rows * a), kc * nc * b, moved)

    def _lanes(self) -> int:
        from convprof.codegen import isa as isas

        return isas.find(self.options.isa).lanes(self._setting.types.accumulator.bytes)

    def _fits(self, cell: Cell) -> bool | None:
        """Whether the panel fits L1 and the block half of L2; None where sizes are unknown."""
        if "L1" not in self._caches or "L2" not in self._caches:
            return None
        near = cell.panel_bytes <= self._caches["L1"]
        return near and HALF * cell.block_bytes <= self._caches["L2"]

    def _optimum(self) -> Cell | None:
        """Return the cell that fits and moves least; None where the caches are unknown."""
        fitting = [cell for cell in self._cells.values() if self._fits(cell)]
        return min(fitting, key=lambda cell: (cell.moved_bytes, -cell.kc), default=None)

    def _marks(self) -> tuple[tuple[str, tuple[tuple[int, int], ...]], ...]:
        """Return which cells fit which cache."""
        cells, marks = self._cells.values(), []
        if "L1" in self._caches:
            fit = [(c.nc, c.kc) for c in cells if c.panel_bytes <= self._caches["L1"]]
            marks.append((f"panel fits L1 ({units.size(self._caches['L1'])})", tuple(fit)))
        if "L2" in self._caches:
            fit = [(c.nc, c.kc) for c in cells if HALF * c.block_bytes <= self._caches["L2"]]
            marks.append((f"block fits half of L2 ({units.size(self._caches['L2'])})", tuple(fit)))
        return tuple(marks)

    def _facts(self) -> tuple[str, ...]:
        sizes = ", ".join(f"{name} {units.size(size)}" for name, size in self._caches.items())
        rows, columns = self._first.rows, self._first.vectors * self._lanes()
        return (
            f"caches of a core: {sizes or 'unknown'} (a thread's share)",
            f"register tile {rows}x{columns}, {self._first.mc} rows per task, the same in all",
        )

    def _row(self, results: Results, cell: Cell) -> Row:
        return results.row(
            _name(cell),
            {"kc": cell.kc, "nc": cell.nc},
            counted={
                "panel_bytes": cell.panel_bytes,
                "block_bytes": cell.block_bytes,
                "moved_bytes": cell.moved_bytes,
                "fits": self._fits(cell),
            },
            expected=None,
            measured=results.rate(_name(cell)),
            cycles=results.cycles(_name(cell)),
        )

    def _findings(self, rows: list[Row]) -> Iterator[Finding]:
        timed = [row for row in rows if row.sure]
        if not timed:
            return
        best = max(timed, key=_rate)
        near = [row for row in timed if _rate(row) >= (1 - NEAR) * _rate(best)]
        text = (
            f"the best is kc {best.variant['kc']}, nc {best.variant['nc']}: "
            f"{units.si(_rate(best), 'FLOP/s')}; {len(near)} of {len(timed)} are within "
            f"{100 * NEAR:.0f} % of it"
        )
        chosen = self._optimum()
        place = {"kc": chosen.kc, "nc": chosen.nc} if chosen else None
        fitting = next((row for row in timed if row.variant == place), None)
        if chosen is None or fitting is None:
            yield Finding("what fits L1 and L2 is unknown here, and so is the best tile", text)
            return
        share = _rate(fitting) / _rate(best)
        yield Finding(
            f"of the tiles whose panel fits L1 and whose block fits half of L2, kc {chosen.kc}, nc "
            f"{chosen.nc} moves least beyond: {units.size(chosen.moved_bytes)}",
            f"it reaches {units.si(_rate(fitting), 'FLOP/s')}; {text}",
            share,
            self._why(best, fitting) if apart(share) else "",
        )
        yield from self._spread(timed, best)

    def _why(self, best: Row, fitting: Row) -> str:
        moved = best.counted["moved_bytes"] / fitting.counted["moved_bytes"]
        fits = "fits" if best.counted["fits"] else "does not fit"
        return f"The best moves {moved:.2f} times as many bytes and {fits}"

    def _spread(self, timed: list[Row], best: Row) -> Iterator[Finding]:
        """Yield how much slower the cells are that move the most bytes."""
        worst = max(timed, key=lambda row: row.counted["moved_bytes"])
        times = worst.counted["moved_bytes"] / best.counted["moved_bytes"]
        variant = worst.variant
        share = _rate(worst) / _rate(best)
        yield Finding(
            f"kc {variant['kc']}, nc {variant['nc']} moves {times:.3g} times the bytes of the "
            f"best: at most {times:.3g} times slower, if bytes were all",
            f"{1 / share:.3g} times slower",
            1 / share / times,
            "Moving bytes is overlapped with arithmetic as long as the caches keep up"
            if apart(1 / share / times)
            else "",
        )


def _powers(least: int, most: int) -> list[int]:
    """Return the powers of two times `least` up to `most`, at the end the last MOST_CELLS."""
    powers = [least]
    while 2 * powers[-1] <= most:
        powers.append(2 * powers[-1])
    return powers[-MOST_CELLS:]


def _name(cell: Cell) -> str:
    return f"kc {cell.kc} nc {cell.nc}"


def _rate(row: Row) -> float:
    return row.sure.value if row.sure else 0.0
