"""The page from the latency of one multiply-add to the peak."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from convprof import units
from convprof.render.columns import Column
from convprof.render.explain.page import Page, counted
from convprof.studies.explain.cycles import FLOP_PER_FMA, TOLERANCE

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.studies.explain.cycles import Cost, CyclesPage, Rung

UNKNOWN = "unknown"


def show(console: Console, page: CyclesPage) -> None:
    """Print the page."""
    out = Page(console)
    threads = counted(page.threads, "thread")
    out.heading("cycles", f"from one multiply-add to the peak, {page.dtype}, {threads}")
    out.prose(_conclusion(page))
    out.table("1. What a multiply-add costs here, measured", COSTS, page.costs)
    out.note(
        "latency: cycles until the next multiply-add can use the result; per cycle: how many "
        "independent ones begin, on as many ports; chains: latency x per cycle, the independent "
        "sums that keep the ports busy"
    )
    out.table("2. One idea a row, until the peak: FLOPs per cycle", RUNGS, page.rungs)
    out.note(
        f"expected: {FLOP_PER_FMA} FLOPs x lanes x the smaller of chains / latency and per cycle, "
        "x threads. A chain is a sum whose every step waits for the step before"
    )
    if page.halved:
        wide, narrow = page.costs[-1], page.costs[-2]
        out.note(
            f"vectors of {wide.name} begin half as often here as vectors of {narrow.name}: twice "
            "the lanes bring no more FLOPs per cycle, only fewer instructions"
        )
    _product(out, page)
    out.check(_checked(page))


def _conclusion(page: CyclesPage) -> str:
    first, last = page.rungs[0].peak, page.measured
    gain = last.flop_per_s / first.flop_per_s
    text = (
        f"One sum of single numbers reaches {units.si(first.flop_per_s, 'FLOP/s')}, the peak is "
        f"{units.si(last.flop_per_s, 'FLOP/s')}, {units.digits(gain)} times as much. "
    )
    gains = ", ".join(f"{what} {units.digits(gain, 2)}" for what, gain in page.gains)
    text += f"The factors: {gains}. "
    cost = page.widest
    if cost.latency is None or cost.chains is None:
        return text + "The latency of a multiply-add could not be measured here."
    return text + (
        f"A multiply-add takes {_number(cost.latency)} cycles, so a kernel needs at least "
        f"{_number(cost.chains)} independent sums, each a vector of {cost.name}: that is why a "
        "register tile has many rows and vectors."
    )


def _product(out: Page, page: CyclesPage) -> None:
    cost, hz = page.widest, page.measured.core_hz
    out.section("3. The peak as a product")
    if page.product is None or cost.per_cycle is None or hz is None:
        out.note("a factor is unknown here: there is no cycle counter, or no fused multiply-add")
        return
    plural = "" if cost.per_cycle == 1 else "s"
    out.note(
        f"{_number(cost.per_cycle)} multiply-add{plural} per cycle x {counted(cost.lanes, 'lane')} "
        f"x {FLOP_PER_FMA} FLOPs x {units.si(hz, 'Hz')} x {counted(page.threads, 'thread')} = "
        f"{units.si(page.product, 'FLOP/s')}"
    )
    if page.stored is not None and page.stored_at is not None:
        day = time.strftime("%Y-%m-%d", time.localtime(page.stored_at))
        out.note(
            f"stored by convprof ceilings on {day}: {units.si(page.stored.flop_per_s, 'FLOP/s')}"
        )


def _checked(page: CyclesPage) -> str:
    measured = units.si(page.measured.flop_per_s, "FLOP/s")
    if page.product is None or page.difference is None:
        return f"not checked: the peak is {measured}, a factor of the product is unknown"
    product = units.si(page.product, "FLOP/s")
    text = (
        f"the product {product}, the measured peak {measured}: {_percent(page.difference, 1)}, "
        f"{'within' if page.agrees else 'not within'} {100 * TOLERANCE:.0f} %"
    )
    if page.agrees:
        return f"checked: {text}"
    shared = ", or threads share a core" if page.threads > 1 else ""
    return f"check failed: {text}. The machine was busy meanwhile{shared}: measure again"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3g}"


def _off(rung: Rung) -> str:
    if rung.expected is None or rung.measured is None:
        return ""
    return _percent(rung.measured / rung.expected - 1, 0)


def _percent(share: float, digits: int) -> str:
    """Return ``+1.2 %``; a value that rounds to 0 has no sign."""
    percent = round(100 * share, digits)
    return f"{percent:+.{digits}f} %" if percent else "0 %"


COSTS: list[Column[Cost]] = [
    Column("", lambda cost: cost.name, 1, "left"),
    Column("lanes", lambda cost: str(cost.lanes), 4),
    Column("latency [cycles]", lambda cost: _number(cost.latency), 2),
    Column("per cycle", lambda cost: _number(cost.per_cycle), 3),
    Column("chains", lambda cost: _number(cost.chains), 5),
]
RUNGS: list[Column[Rung]] = [
    Column("", lambda rung: rung.label, 1, "left"),
    Column("width", lambda rung: rung.width, 3, "left"),
    Column("chains", lambda rung: str(rung.chains), 6),
    Column("expected", lambda rung: _number(rung.expected), 4),
    Column("measured", lambda rung: _number(rung.measured), 5),
    Column("off", _off, 7),
    Column("GFLOP/s", lambda rung: f"{rung.peak.flop_per_s / 1e9:.1f}", 2),
]
