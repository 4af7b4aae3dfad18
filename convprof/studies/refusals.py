"""``strategies PROBLEM``: who would compute it, who refuses, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.measure.lying import has_layout
from convprof.strategies import registry
from convprof.strategies.base import LAYOUTS, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import Problem


@dataclass(frozen=True)
class Answer:
    """One strategy's answer to a problem."""

    strategy: str
    summary: str
    reasons: tuple[str, ...]
    """Why it refuses, each reason once; empty if it takes the problem in every setting asked."""


def refusals(
    problem: Problem, layouts: Sequence[str], threads: Sequence[int], dtype: str
) -> list[Answer]:
    """Ask every strategy of the problem's kind, in ladder order."""
    asked = [
        Setting(layout, dtype, count)
        for layout in (layouts if has_layout(problem) else LAYOUTS[:1])
        for count in threads
    ]
    answers = []
    for strategy in registry.strategies(problem.kind):
        reasons = (strategy.why_not(problem, setting) for setting in asked)
        unique = tuple(dict.fromkeys(reason for reason in reasons if reason is not None))
        answers.append(Answer(strategy.name, strategy.summary, unique))
    return answers
