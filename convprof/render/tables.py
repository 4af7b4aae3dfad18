"""The table of ``run``: one row per contestant, fastest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render import doubts
from convprof.render.columns import Column, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.results import Measurement
    from convprof.stats import Ratio
    from convprof.units import Unit

NOTHING = "-"
OVER_CEILING = 1.0
_FIRST_PHASE = 4
"""The rank of the longest phase."""


def timed(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return the measurements that have a time, fastest first; times in doubt come last."""
    return sorted((m for m in measurements if m.time_s is not None), key=lambda m: m.rank)


def excluded(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return the measurements that were refused, failed or wrong."""
    return [m for m in measurements if m.status != "ok"]


def run_columns(measurements: Sequence[Measurement]) -> list[Column[Measurement]]:
    """Return the columns for ``run``; the time's unit follows from its values."""
    unit = units.time_unit([m.time_s.median for m in measurements if m.time_s])
    cycles = units.count_unit([m.cycles.per_call for m in measurements if m.cycles])
    layout: list[Column[Measurement]] = [
        Column("layout", lambda m: m.layout or NOTHING, 3, "left", key=True),
    ]
    return [
        Column("strategy", lambda m: doubts.marked(m.strategy, m.doubt), 1, "left", key=True),
        *(layout if any(m.layout for m in measurements) else []),
        Column("threads", lambda m: str(m.threads), 4, key=True),
        Column(f"time [{unit.name}]", lambda m: time_cell(m, unit), 2),
        Column("GFLOP/s", gflops_cell, 5),
        Column(f"{cycles.name}cycles", lambda m: _cycles_cell(m, cycles), 10),
        Column("cycles/FLOP", _cycles_per_flop, 7),
        Column("FLOP/cycle/core", _flop_per_cycle, 8),
        Column("% peak", peak_cell, 6),
        Column("error", error_cell, 9),
    ]  # fmt: skip


def time_cell(measurement: Measurement, unit: Unit) -> str:
    """Return ``1.23 ±0.04``: the median and half its 95 % interval."""
    time = measurement.time_s
    return NOTHING if time is None else seconds_cell(time.median, time.half_interval, unit)


def seconds_cell(seconds: float, half: float | None, unit: Unit) -> str:
    """Return ``1.23 ±0.04``; ``±?`` where half the interval is not known."""
    decimals = _decimals(unit.scale(seconds))
    spread = "±?" if half is None else f"±{unit.scale(half):.{decimals}f}"
    return f"{unit.scale(seconds):,.{decimals}f} {spread}"


def gflops_cell(measurement: Measurement) -> str:
    """Return the rate in GFLOP/s."""
    rate = measurement.flop_per_s
    return NOTHING if rate is None else units.digits(rate / 1e9)


def peak_cell(measurement: Measurement) -> str:
    """Return the share of the measured peak, marked where it is not what it seems.

    ``*``: an effective rate, fewer operations are executed than the definition counts; ``!``: over
    the peak even by what is executed, which a change of the clock or a bug can explain.
    """
    share = measurement.peak_fraction
    if share is None:
        return NOTHING
    mark = "!" if over_ceiling(measurement) else "*" if effective(measurement) else ""
    return f"{100 * share:.1f}{mark}"


def effective(measurement: Measurement) -> bool:
    """Whether the rate is over the peak because the algorithm executes fewer FLOPs."""
    over = (measurement.peak_fraction or 0) > OVER_CEILING
    return over and not over_ceiling(measurement)


def over_ceiling(measurement: Measurement) -> bool:
    """Whether even the executed FLOPs are over the peak."""
    share, flops = measurement.peak_fraction, measurement.flops
    if share is None or flops is None or not flops.direct:
        return False
    return share * min(1.0, flops.executed / flops.direct) > OVER_CEILING


def ratio_text(ratio: Ratio, decimals: int = 2) -> str:
    """Return ``0.93 [0.92, 0.95]``: the ratio and its 95 % interval, where that is known."""
    value = f"{ratio.value:.{decimals}f}"
    if ratio.low is None or ratio.high is None:
        return value
    return f"{value} [{ratio.low:.{decimals}f}, {ratio.high:.{decimals}f}]"


def _decimals(value: float) -> int:
    return max(0, len(units.digits(value, 3).partition(".")[2]))


def error_cell(measurement: Measurement) -> str:
    """Return the largest relative error; 0 where every digit agrees."""
    error = measurement.max_rel_error
    if error is None:
        return NOTHING
    return f"{error:.0e}" if error else "0"


def _cycles_cell(measurement: Measurement, unit: Unit) -> str:
    cycles = measurement.cycles
    return NOTHING if cycles is None else units.digits(unit.scale(cycles.per_call))


def _cycles_per_flop(measurement: Measurement) -> str:
    cycles = measurement.cycles
    return NOTHING if cycles is None or cycles.per_flop is None else units.digits(cycles.per_flop)


def _flop_per_cycle(measurement: Measurement) -> str:
    value = measurement.flop_per_cycle_per_core
    return NOTHING if value is None else units.digits(value)


def phase_columns(measurements: Sequence[Measurement]) -> list[Column[Measurement]]:
    """Return the columns for the phases of strategies that have several; the longest kept longest.

    How long a phase takes is its time in the strategy that spends most on it.
    """
    names = list(dict.fromkeys(name for m in measurements for name in m.phases or {}))
    longest = sorted(names, key=lambda name: -_most(measurements, name))
    unit = units.time_unit([s for m in measurements for s in (m.phases or {}).values()])
    columns: list[Column[Measurement]] = [
        Column("phases", lambda m: m.strategy, 1, "left"),
        Column("layout", lambda m: m.layout or NOTHING, 2, "left", key=True),
        Column("threads", lambda m: str(m.threads), 3, key=True),
    ]
    for name in names:
        rank = _FIRST_PHASE + longest.index(name)
        columns.append(Column(f"{name} [{unit.name}]", _phase_cell(name, unit), rank))
    return columns


def phase_table(
    measurements: Sequence[Measurement], width: int
) -> tuple[list[Column[Measurement]], list[Measurement]]:
    """Return the columns that fit into ``width`` cells, and the rows with a time in any phase."""
    columns = fit(phase_columns(measurements), measurements, width)
    phases = [column for column in columns if column.rank >= _FIRST_PHASE]
    rows = [m for m in measurements if any(column.cell(m) != NOTHING for column in phases)]
    return columns, rows


def _most(measurements: Sequence[Measurement], name: str) -> float:
    return max((m.phases or {}).get(name, 0.0) for m in measurements)


def _phase_cell(name: str, unit: Unit) -> Callable[[Measurement], str]:
    def cell(measurement: Measurement) -> str:
        seconds = (measurement.phases or {}).get(name)
        return NOTHING if seconds is None else units.digits(unit.scale(seconds))

    return cell
