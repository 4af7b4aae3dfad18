"""``compare dtypes``: the best strategy of each element type, in the same rounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof import doubts
from convprof.dtypes import listed, of_kind, short_name, types
from convprof.errors import InputError, ProblemError
from convprof.json_checks import number
from convprof.problems.grouped_weights import DEFAULT_GROUP, SYMMETRIC, GroupedWeights
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Role, Setting
from convprof.studies import comparison
from convprof.studies.compare.contenders import contenders
from convprof.studies.compare.rounding import rounding_error
from convprof.studies.comparison import BestComparison, best_doubt, ratio_of
from convprof.studies.run import Choice, OneProblem, contestants

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.measure.contestant import Contestant
    from convprof.measure.participant import Participant
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.strategies.base import Strategy
    from convprof.studies.comparison import Comparison

KIND = "dtypes"
"""Of the comparisons in the result document."""
REFERENCE = "f32"
COMPARED = tuple(types(name).name for name in (REFERENCE, "bf16", "f16", "int8"))
"""The types that are compared unless others are named."""


@dataclass(frozen=True)
class TypeComparison(BestComparison):
    """A type on some threads: its best strategy is ``a``, the best one in f32 is ``b``.

    Strategies that compute f32 from shorter pieces are compared like a type each. Weights of 8 and
    4 bits are too: ``a`` is then of another problem than ``b``.
    """

    rounding_error: float
    """The error that rounding operands of f32 to the type adds (see ``rounding``); of f32 from
    pieces, the error of the result."""

    @property
    def name(self) -> str:
        """``int8``, ``f32 x int4``; of f32 from pieces, the strategy."""
        problem = self.a.problem
        dtype, weights = short_name(self.a.dtype, problem["kind"]), problem.get("weight_dtype")
        if weights:
            return f"{dtype} x {weights}"
        return self.a.strategy if dtype == REFERENCE else dtype

    @property
    def order(self) -> int:
        """The place: types of all operands first, then types of weights only, f32 from pieces."""
        if self.a.problem.get("weight_dtype"):
            return 1
        return 2 if short_name(self.a.dtype) == REFERENCE else 0

    @property
    def threads(self) -> int:
        """The number of threads of both."""
        return self.a.threads

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as the result document has it."""
        common = comparison.to_json(KIND, self.b.problem, self)
        if self.a.problem != self.b.problem:
            common["a"]["problem"] = self.a.problem
        return {**common, "threads": self.threads, "rounding_error": self.rounding_error}


def names(comparisons: Iterable[TypeComparison]) -> list[str]:
    """Return each type once, the most useful types first."""
    return list(dict.fromkeys(c.name for c in sorted(comparisons, key=lambda c: c.order)))


def may_be_faster(best: Measurement, comparisons: Iterable[TypeComparison]) -> list[TypeComparison]:
    """Return the comparisons in doubt whose type may be faster than the fastest certain one."""
    return [
        each
        for each in comparisons
        if each.doubt and doubts.may_be_faster(best, [replace(each.a, doubt=each.doubt)])
    ]


def computed(kind: str) -> list[str]:
    """Return the types that a strategy of ours computes, among the types compared."""
    own = [s for s in registry.strategies(kind) if not s.role.is_peer]
    return [name for name in COMPARED if any(of_kind(name, kind) in s.dtypes for s in own)]


def chosen(problems: Sequence[Problem], named: Sequence[str]) -> tuple[str, ...]:
    """Return the types to compare, f32 first; ``named`` is empty for all.

    InputError for a type in which no strategy computes a problem.
    """
    for problem in problems:
        able = [short_name(name) for name in computed(problem.kind)]
        for name in named:
            own = of_kind(name, problem.kind)
            if not any(own in s.dtypes for s in registry.strategies(problem.kind)):
                raise InputError(
                    f"{problem.descriptor}: no strategy computes {problem.kind} in "
                    f"{short_name(name)}; use {listed(able, 'or')}"
                )
    every = named or [name for p in problems for name in computed(p.kind)]
    return tuple(dict.fromkeys((REFERENCE, *every)))


class Dtypes(OneProblem):
    """One problem: our strategies, or the named ones, in each type, in one session."""

    def _contestants(self) -> list[Contestant]:
        return taking(self.problem, self.choice)

    def comparisons(self) -> list[TypeComparison]:
        """Return, per number of threads, the best of each type against the best in f32 so far.

        Best by the median; times in doubt come last. Either side is the best of several, so that
        luck favours neither.
        """
        sides: dict[tuple[int, str], list[Participant]] = {}
        for each in self.session.participants:
            if each.samples:
                sides.setdefault(_side(each.contestant), []).append(each)
        compared = [
            self._compared(sides[threads, name], sides[threads, REFERENCE])
            for threads, name in sorted(sides, key=lambda side: side[0])
            if name != REFERENCE and (threads, REFERENCE) in sides
        ]
        return [each for each in compared if each is not None]

    def _compared(self, *sides: Sequence[Participant]) -> TypeComparison | None:
        """Return the best of a type against the best in f32; ``sides``: everything of each."""
        a, b = (min(side, key=lambda p: self.session.measurement(p).rank) for side in sides)
        ratio = ratio_of(a, b)
        if ratio is None:
            return None
        contestant, error = a.contestant, a.error
        grouped = contestant.problem.grouped_weights
        if contestant.setting.dtype != REFERENCE or grouped:
            of = contestant.setting.types
            error = rounding_error(of, self.problem.terms, self.seed, grouped)
        one, other = (self.session.measurement(each) for each in (a, b))
        every = [[self.session.measurement(each) for each in side] for side in sides]
        doubt = best_doubt((one, every[0]), (other, every[1]))
        return TypeComparison(one, other, ratio, error, best_doubt=doubt)


def _side(contestant: Contestant) -> tuple[int, str]:
    """Return the threads, and the type, also of weights, or the strategy of f32 from pieces."""
    strategy, setting = contestant.strategy, contestant.setting
    grouped = contestant.problem.grouped_weights
    if grouped:
        return setting.threads, f"{setting.dtype} x {grouped.dtype}"
    pieces = strategy.role is Role.VARIANT and setting.dtype == REFERENCE
    return setting.threads, strategy.name if pieces else setting.dtype


def taking(problem: Problem, choice: Choice) -> list[Contestant]:
    """Return the contestants: in each type the named strategies that compute it, or our best.

    If the user named no types, f32 from pieces and weights of 8 and 4 bits take part too. A type
    that none of the named strategies computes has all of them, refused with their reasons.
    """
    every: list[Contestant] = []
    for dtype in choice.dtypes:
        named = registry.named(problem.kind, choice.strategies)
        able = [s for s in named if of_kind(dtype, problem.kind) in s.dtypes] or named
        pieces = _variants(problem, choice, dtype) if choice.every_dtype else []
        ours = able or [*contenders(problem, dtype), *pieces]
        strategies = tuple(strategy.name for strategy in ours)
        one = replace(
            choice, dtype=dtype, further_dtypes=(), strategies=strategies, layouts=LAYOUTS
        )
        every += contestants(problem, one)
        if not named and choice.every_dtype:
            every += _with_grouped_weights(problem, one)
    return every


def _with_grouped_weights(problem: Problem, choice: Choice) -> list[Contestant]:
    """Return the contestants with weights of 8 and 4 bits; none where a problem has no such."""
    every: list[Contestant] = []
    for weights in SYMMETRIC:
        try:
            grouped = problem.with_grouped_weights(GroupedWeights(weights, DEFAULT_GROUP))
        except ProblemError:
            return []
        own = contenders(grouped, choice.dtype)
        named = replace(choice, strategies=tuple(strategy.name for strategy in own))
        every += contestants(grouped, named) if own else []
    return every


def _variants(problem: Problem, choice: Choice, dtype: str) -> list[Strategy[Any]]:
    """Return the strategies that compute a problem in f32 from pieces."""
    setting = Setting(dtype=dtype, threads=choice.threads[0], isa=choice.isa)
    return [
        strategy
        for strategy in registry.strategies(problem.kind)
        if strategy.role is Role.VARIANT and strategy.why_not(problem, setting) is None
    ]


def read(
    comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
) -> list[TypeComparison]:
    """Return the comparisons of types in a document; one that does not fit is left out."""

    def build(fields: dict[str, Any], sides: Comparison[Measurement]) -> TypeComparison:
        error = number(fields.get("rounding_error"))
        doubt = comparison.read_best_doubt(fields)
        return TypeComparison(sides.a, sides.b, sides.ratio, error, best_doubt=doubt)

    return comparison.read(KIND, build, comparisons, measurements)
