"""Tunable strategies with some numbers of their blocking set from outside: `tile`, `unroll`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.strategies.planned import Planned
from convprof.strategies.tuning.tunable import Tunable, stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from convprof.measure.contestant import Contestant
    from convprof.problems import Problem
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan

TILE, UNROLL = "tile", "unroll"
TILES = {"gemm": ("mc", "kc", "nc"), "conv2d": ("block_rows",)}
"""What `tile` alone varies: the three sides of the block of a product at once; the rows of output
per block of a convolution. `tile.NAME` varies one number of the blocking."""
MOST_BLOCKS = 100_000
"""Blocks, each with a list of tiles. This number takes about 7 s to prepare."""
MOST_NAMED = 3
"""Strategies that an error names one by one."""
MOST = {"rows": 64, "vectors": 16, "unroll": 64, "pack_b": 1}
"""Limits of the numbers that decide the length of a kernel: longer ones take too long to
compile."""


def is_blocking(over: str) -> bool:
    """Whether a variable is a number of the blocking rather than of the problem."""
    return over.partition(".")[0] in {TILE, UNROLL}


def names(kind: str, over: str) -> tuple[str, ...]:
    """Return the numbers of a blocking that a variable sets."""
    if over == UNROLL:
        return (UNROLL,)
    _, _, one = over.partition(".")
    return (one,) if one else TILES[kind]


class Blocked(Planned[Any]):
    """A tunable strategy with numbers of its blocking set; the others are its model's choice."""

    def __init__(self, tunable: Tunable[Any, Any], changes: Mapping[str, int]) -> None:
        self.name, self.kind, self.generated = tunable.name, tunable.kind, tunable.generated
        self._tunable, self._changes = tunable, changes

    def why_not(self, problem: Problem, setting: Setting) -> str | None:
        """Return the strategy's own reason."""
        return self._tunable.why_not(problem, setting)

    def plan(self, problem: Problem, setting: Setting) -> Plan:
        """Return the strategy's plan with that blocking."""
        return self._tunable.plan_blocked(problem, setting, self.blocking(problem, setting))

    def blocks(self, problem: Problem, setting: Setting) -> int:
        """Return how many blocks, each with a list of tiles, are made of a problem."""
        return self._tunable.blocks(problem, self.blocking(problem, setting))

    def blocking(self, problem: Problem, setting: Setting) -> Any:
        """Return the whole blocking."""
        return replace(_chosen(self._tunable, problem, setting), **self._changes)


def blocked(contestants: Sequence[Contestant], over: str, x: int) -> list[Contestant]:
    """Return the contestants whose blocking has the variable, with the variable set to `x`."""
    return [
        replace(contestant, strategy=strategy)
        for contestant, strategy in _blocked(contestants, over, x)
    ]


def _blocked(
    contestants: Sequence[Contestant], over: str, x: int
) -> Iterator[tuple[Contestant, Blocked]]:
    for contestant in contestants:
        sides = names(contestant.problem.kind, over)
        tunable = _tunable(contestant)
        if tunable is not None and set(sides) <= set(_numbers(contestant)):
            yield contestant, Blocked(tunable, dict.fromkeys(sides, x))


def check(contestants: Sequence[Contestant], over: str, values: Sequence[int]) -> None:
    """Raise InputError unless a contestant's blocking has the variable with these values."""
    kind = contestants[0].problem.kind
    sides = names(kind, over)
    if not blocked(contestants, over, values[0]):
        has = {c.strategy.name: _numbers(c) for c in contestants if _numbers(c)}
        known = "; ".join(f"{name} has {', '.join(numbers)}" for name, numbers in has.items())
        everyone = list(dict.fromkeys(c.strategy.name for c in contestants))
        who = ", ".join(everyone) if len(everyone) <= MOST_NAMED else "these strategies"
        way_out = f"vary tile.NAME: {known}" if known else "name a strategy that is blocked"
        raise InputError(
            f"{who} cannot vary {', '.join(sides)}; {way_out}", field="over", value=over
        )
    _check_blocks(contestants, over, values[0])
    for name in sides:
        if values[-1] > MOST.get(name, values[-1]):
            raise InputError(f"{name} may be at most {MOST[name]}, not {values[-1]}", field="range")


def _check_blocks(contestants: Sequence[Contestant], over: str, smallest: int) -> None:
    """Raise InputError where the smallest tile cuts a product into too many blocks."""
    for contestant, strategy in _blocked(contestants, over, smallest):
        problem = contestant.problem
        blocks = strategy.blocks(problem, contestant.setting)
        if blocks > MOST_BLOCKS:
            raise InputError(
                f"{over} {smallest} cuts {problem.descriptor} into {blocks:,} blocks, more than "
                f"{MOST_BLOCKS:,}; start higher",
                field="range",
            )


def _numbers(contestant: Contestant) -> list[str]:
    """Return the names of the numbers in a contestant's blocking; none if it has no choice."""
    tunable = _tunable(contestant)
    if tunable is None:
        return []
    return list(stored(_chosen(tunable, contestant.problem, contestant.setting)))


def _tunable(contestant: Contestant) -> Tunable[Any, Any] | None:
    """Return a contestant's strategy if it has blockings and does not refuse the problem."""
    strategy, problem, setting = contestant.strategy, contestant.problem, contestant.setting
    if isinstance(strategy, Tunable) and strategy.why_not(problem, setting) is None:
        return strategy
    return None


def _chosen(tunable: Tunable[Any, Any], problem: Problem, setting: Setting) -> Any:
    return tunable.blockings(problem, setting)[0]
