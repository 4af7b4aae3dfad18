"""What is said under the tables of a network's passes: the totals, and what they leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.problems.passes import FORWARD, TRAINING
from convprof.render import tables
from convprof.render.network_passes_tables import peak_text
from convprof.studies.network_totals import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.machine.ceilings import Peak
    from convprof.studies.network_passes import Plan
    from convprof.studies.network_totals import Result, Total

GRADIENTS = (
    "data and weights are the gradients of a layer's input and of its weights; "
    "bwd/fwd is both over forward"
)
NOT_TIMED = (
    "not timed: activations, normalisation, pooling and their gradients, gradients of biases, "
    "adding up gradients where a result is read twice, the optimiser"
)
FORWARD_NOT_TIMED = "not timed: biases, activations, normalisation, pooling"
MIXED = (
    "products C = A B of two activations; B stands where others have weights: data is dA, weights "
    "is dB, both gradients of activations"
)
BEFOREHAND = ", not counting what either rearranges beforehand"
NO_TOTAL = "no total: no layer has a result"
_MOST_NAMES = 3
SAME_WORK = 0.01
"""Executed FLOPs that differ by less from those of the definition are not worth a word."""


def total_lines(plan: Plan, sides: Sequence[Sequence[Result]], peak: Peak) -> list[str]:
    """Return the totals per pass and in all, side by side, and how the sides compare."""
    lines = [
        line
        for side in sides
        for line in _side_lines(plan, side, peak, "in libraries" if side[0].library else "")
    ]
    if len(sides) > 1:
        lines += _versus(plan, *sides)
    return lines or [NO_TOTAL]


def notes(plan: Plan, rows: Sequence[Result]) -> list[str]:
    """Return what is meant and what is missing."""
    found = []
    if plan.which == TRAINING:
        found.append(GRADIENTS)
    if plan.left_out:
        found.append(
            f"no gradient of the data is needed in {_some(plan.left_out)}: "
            "nothing learned lies before"
        )
    mixed = list(dict.fromkeys(layer.kind for layer in plan.layers if not layer.learned))
    if mixed and plan.which != FORWARD:
        found.append(f"{_some(mixed)}: {MIXED}")
    found.append(FORWARD_NOT_TIMED if plan.which == FORWARD else NOT_TIMED)
    measured = [m for row in rows for m in row.found.values()]
    if any(map(tables.effective, measured)):
        found.append("* an effective rate: it executes fewer FLOPs than are counted")
    if any(map(tables.over_ceiling, measured)):
        found.append("! over the peak: the clock rose since, or a bug")
    return found


def _side_lines(plan: Plan, side: Sequence[Result], peak: Peak, where: str) -> list[str]:
    whole = total(side, plan.asked)
    lines = []
    if plan.which == TRAINING:
        for which in plan.asked:
            part = total(side, (which,))
            share = f"{100 * part.seconds / whole.seconds:.0f} % of the step"
            lines.append(_line(which, where, part, peak, share))
    name = "training step" if plan.which == TRAINING else plan.which
    line = _line(name, where, whole, peak)
    if whole.prepare_s and plan.which != FORWARD:
        anew = units.time(whole.prepare_s)
        line += f" · rearranging the weights, which a step changes: {anew} more, timed once"
    return [*lines, line]


def _line(name: str, where: str, part: Total, peak: Peak, share: str = "") -> str:
    """Return ``forward: 12.3 ms, 31 % of the step · 8.2 GFLOP, 300 GFLOP/s, 68 % of peak``."""
    begin = " ".join(filter(None, (name, where)))
    if part.missing:
        begin += f" (partial, {part.counted} of {part.counted + part.missing} passes of layers)"
    rate = part.flop_per_s
    if rate is None:
        return f"{begin}: no result"
    time = ", ".join(filter(None, (units.time(part.seconds), share)))
    direct, executed = part.flops.direct, part.flops.executed
    work = units.si(direct, "FLOP")
    if abs(executed - direct) > SAME_WORK * direct:
        work += f" ({units.si(executed, 'FLOP')} executed)"
    rated = f"{units.si(rate, 'FLOP/s')}, {peak_text(part, peak, 0)} % of peak"
    return f"{begin}: {time} · {work}, {rated}"


def _versus(plan: Plan, ours: Sequence[Result], theirs: Sequence[Result]) -> list[str]:
    mine, other = (total(side, plan.asked) for side in (ours, theirs))
    if mine.missing or other.missing:
        return ["convprof and the libraries have not computed the same: no ratio"]
    line = f"the libraries take {other.seconds / mine.seconds:.2f} times as long as convprof"
    return [line + (BEFOREHAND if mine.prepare_s or other.prepare_s else "")]


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
