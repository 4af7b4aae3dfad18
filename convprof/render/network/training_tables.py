"""The columns of a network's layers in the passes of training, and of their sums per kind."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.problems.base import FORWARD
from convprof.problems.gradients import BACKWARD_DATA, BACKWARD_WEIGHTS, TRAINING
from convprof.render import doubts, tables
from convprof.render.columns import Column
from convprof.studies.network.training_totals import by_kind, total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.machine.peaks import Peak
    from convprof.results import Measurement
    from convprof.studies.network.training import Plan
    from convprof.studies.network.training_totals import Result, Total

NOTHING = tables.NOTHING
HEADINGS = {FORWARD: "forward", BACKWARD_DATA: "data", BACKWARD_WEIGHTS: "weights"}
"""Of columns; ``data`` and ``weights`` are what the gradients are of."""


@dataclass(frozen=True)
class Kind:
    """A row of sums: a kind of layer, or all of them."""

    name: str
    results: Sequence[Result]
    step_share: float


def layer_columns(
    plan: Plan, rows: Sequence[Result], sides: Sequence[Sequence[Result]]
) -> list[Column[Result]]:
    """Return the columns of the layers; shares are of all layers of a side."""
    unit = units.time_unit([row.seconds(which) or 0.0 for row in rows for which in plan.asked])
    steps = units.time_unit([row.step_s for row in rows])
    whole = {side[0].library: total(side, plan.asked).seconds for side in sides}
    several = any(len(_strategies(side)) > 1 for side in sides)
    sided: list[Column[Result]] = [Column("by", _side_cell, 2, "left")]
    named: list[Column[Result]] = [Column("strategy", _strategy_cell, 9, "left", key=True)]
    ratio: list[Column[Result]] = [Column("bwd/fwd", _ratio_cell, 4)]
    return [
        Column("layer", lambda row: row.layer.names[0], 1, "left"),
        Column("×", lambda row: str(row.layer.count), 2),  # noqa: RUF001  # times, not x
        Column("op", lambda row: row.layer.text, 8, "left"),
        Column("problem", _problem_cell, 11, "left"),
        *(sided if len(sides) > 1 else []),
        *(named if several else []),
        *(
            Column(f"{HEADINGS[which]} [{unit.name}]", _time_cell(which, unit), 3)
            for which in plan.asked
        ),
        *(ratio if plan.which == TRAINING else []),
        Column(f"in all [{steps.name}]", _step_cell(steps), 6),
        Column("share", lambda row: _percent(row.step_s, whole[row.library]), 5),
        Column("% peak", _each(plan, _peak_cell), 7),
        Column("GFLOP/s", _each(plan, tables.gflops_cell), 10),
    ]


def kind_rows(side: Sequence[Result]) -> list[Kind]:
    """Return a row per kind, the slowest first, and one for all of them if there are several."""
    whole = sum(result.step_s for result in side)
    kinds = [
        Kind(name, those, sum(result.step_s for result in those) / whole)
        for name, those in by_kind(side).items()
        if any(result.found for result in those)
    ]
    return [*kinds, Kind("all", side, 1.0)] if len(kinds) > 1 else kinds


def kind_columns(plan: Plan, rows: Sequence[Kind], peak: Peak) -> list[Column[Kind]]:
    """Return the columns of the sums: times of each pass and of all, with their rates."""
    passes = plan.asked

    def flops(row: Kind) -> int:
        return total(row.results, passes).flops.direct

    def rate(row: Kind) -> float:
        return total(row.results, passes).flop_per_s or 0.0

    unit = units.time_unit([total(row.results, passes).seconds for row in rows])
    work = units.count_unit([flops(row) for row in rows])
    step: list[Column[Kind]] = [Column(f"in all [{unit.name}]", _sum_cell(passes, unit), 3)]
    return [
        Column("kind", lambda row: row.name, 1, "left"),
        Column("layers", lambda row: str(sum(r.layer.count for r in row.results)), 5),
        *(
            Column(f"{HEADINGS[which]} [{unit.name}]", _sum_cell((which,), unit), 2)
            for which in passes
        ),
        *(step if len(passes) > 1 else []),
        Column("share", lambda row: _percent(row.step_share, 1.0), 3),
        Column(f"{work.name}FLOP", lambda row: units.digits(work.scale(flops(row))), 7),
        Column("GFLOP/s", lambda row: units.digits(rate(row) / 1e9), 6),
        Column("% peak", lambda row: peak_text(total(row.results, passes), peak, 1), 5),
    ]


def peak_text(sums: Total, peak: Peak, decimals: int) -> str:
    """Return the share of the peak in percent, marked as in ``run`` where it is over it."""
    share = (sums.flop_per_s or 0.0) / peak.flop_per_s
    executed = share * sums.flops.executed / sums.flops.direct if sums.flops.direct else share
    over = share > tables.OVER_CEILING
    mark = "!" if over and executed > tables.OVER_CEILING else "*" if over else ""
    return f"{100 * share:.{decimals}f}{mark}"


def _time_cell(which: str, unit: units.Unit) -> Callable[[Result], str]:
    def cell(row: Result) -> str:
        seconds = row.seconds(which)
        if seconds is None:
            return NOTHING
        return doubts.before(units.digits(unit.scale(seconds)), row.found[which].doubt)

    return cell


def _step_cell(unit: units.Unit) -> Callable[[Result], str]:
    def cell(row: Result) -> str:
        doubt = total([row], row.layer.passes).doubt
        return doubts.before(units.digits(unit.scale(row.step_s)), doubt)

    return cell


def _sum_cell(passes: Sequence[str], unit: units.Unit) -> Callable[[Kind], str]:
    def cell(row: Kind) -> str:
        sums = total(row.results, passes)
        if not sums.counted:
            return NOTHING
        return doubts.before(units.digits(unit.scale(sums.seconds)), sums.doubt)

    return cell


def _each(plan: Plan, cell: Callable[[Measurement], str]) -> Callable[[Result], str]:
    """Return a cell with a number per pass: ``81 / 75 / 66``."""

    def cells(row: Result) -> str:
        passes = (row.found.get(which) for which in plan.asked)
        return " / ".join(NOTHING if m is None else cell(m) for m in passes)

    return cells


def _peak_cell(measurement: Measurement) -> str:
    share = measurement.peak_fraction
    if share is None:
        return NOTHING
    # Three of them share a column: whole percents, and the marks of ``run``.
    return f"{100 * share:.0f}" + tables.peak_cell(measurement).lstrip("0123456789.")


def _ratio_cell(row: Result) -> str:
    return NOTHING if row.ratio is None else f"{row.ratio:.2f}"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else NOTHING


def _problem_cell(row: Result) -> str:
    return dataclasses.replace(row.layer.problem, name="").descriptor


def _side_cell(row: Result) -> str:
    return "library" if row.library else "convprof"


def _strategy_cell(row: Result) -> str:
    return ", ".join(_strategies([row]))


def _strategies(rows: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(m.strategy for row in rows for m in row.found.values()))
