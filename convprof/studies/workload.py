"""How much a command is going to measure, said before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.selection import whole_network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.measure.contestant import Contestant
    from convprof.problems import TypedProblem

PREPARE_S = 0.25
"""Seconds to compile, verify and warm up one contestant: the mean of 28 on a 2-core virtual CPU."""
OVERHEAD = 1.5
"""Seconds of rounds per second of the budget: the caches settle between two contestants."""
LONG_S = 30.0
"""No remark is printed below this time."""


def notes(
    tasks: Sequence[TypedProblem],
    contestants: Callable[[TypedProblem], Sequence[Contestant]],
    budget_s: float,
) -> list[str]:
    """Return a line on the amount of work if it is long, and one on a better command if it exists.

    The time is a lower estimate: slow strategies and cold kernels take longer.
    """
    if len(tasks) < 2:  # noqa: PLR2004  # the progress of one problem says enough
        return []
    total = sum(len(taking_part(contestants(task))) for task in tasks)
    seconds = total * (PREPARE_S + OVERHEAD * budget_s)
    lines = []
    if seconds >= LONG_S:
        least = units.duration(seconds)
        lines.append(f"{len(tasks)} problems, {total} contestants: {least} at least")
    network = whole_network([task.problem for task in tasks])
    if network is not None:
        lines.append(
            f"these are all shapes of {network}; as one network: convprof network {network}"
        )
    return lines


def taking_part(contestants: Sequence[Contestant]) -> list[Contestant]:
    """Return the contestants that do not refuse."""
    return [c for c in contestants if c.strategy.why_not(c.problem, c.setting) is None]
