"""Checks that refuse a problem before anything is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.dtypes import listed, short_name, types
from convprof.errors import InputError, RefusedError, TooLargeError, UnknownNameError
from convprof.machine.memory import available_bytes
from convprof.problems.base import FORWARD
from convprof.problems.exact_results import inexact_places
from convprof.strategies import memory, registry
from convprof.strategies.epilogue import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from convprof.machine.model import MachineModel
    from convprof.problems import NetworkProblem, Problem
    from convprof.strategies.base import Setting


LIBRARY = "library"
"""The field that names libraries; strategies of both sides are named by ``strategy``."""
MOST_MACS = 10**14
"""Multiply-accumulates of one call: a core takes hours for them, and every strategy calls often."""
_HOUR_S, _MINUTE_S = 3600.0, 60.0
_FEWEST_MINUTES = 2.0
"""A shorter time is said in seconds: many cores compute 10^14 MACs in less than a minute."""


def check_strategies(
    names: Iterable[str], problems: Sequence[Problem], field: str = "strategy"
) -> None:
    """Raise UnknownNameError for a name that no strategy for these kinds of problem has."""
    kinds = sorted({problem.kind for problem in problems})
    known = [strategy for kind in kinds for strategy in registry.strategies(kind)]
    # There are many schedules for other compilers, and users seldom mean them.
    libraries = sorted({strategy.name for strategy in known if strategy.role.is_compared})
    ours = sorted({strategy.name for strategy in known if not strategy.role.is_peer})
    listed = libraries if field == LIBRARY else [*ours, *libraries]
    shown = [kind for kind in kinds if kind != "operation"] or kinds
    for name in names:
        if name.removesuffix(SUFFIX) not in {strategy.name for strategy in known}:
            every = [strategy.name for strategy in known]
            whose = f"of {' or '.join(shown)}"
            unknown = UnknownNameError.of(whose, name, every, listed, field=field)
            others = registry.kinds_of(name)[:1]
            reason = "; ".join([unknown.reason, *(f"{name} is a strategy of {o}" for o in others)])
            raise UnknownNameError(reason, field=field)


def check_takers(
    names: Iterable[str], problems: Sequence[Problem], settings: Sequence[Setting], field: str
) -> None:
    """Raise RefusedError for a strategy that takes none of the problems in none of the settings."""
    for name in names:
        reasons = [
            strategy.why_not(problem, setting)
            for problem in problems
            for strategy in registry.named(problem.kind, [name])
            for setting in settings
        ]
        if reasons and reasons[0] is not None and None not in reasons:
            raise RefusedError(reasons[0], field=field, value=name)


def check_gradients(problems: Iterable[Problem], dtype: str) -> None:
    """Raise InputError for gradients in a type in which no strategy computes them."""
    for kind in dict.fromkeys(each.kind for each in problems if each.pass_name != FORWARD):
        computed = dict.fromkeys(name for s in registry.strategies(kind) for name in s.dtypes)
        if dtype not in computed:
            raise InputError(
                f"backward passes compute {listed(computed, 'and')} only; "
                "use one of these types, or the forward pass",
                field="dtype",
                value=short_name(dtype),
            )


def check_whole_numbers(whole: NetworkProblem, dtype: str) -> None:
    """Raise InputError for a network that numbers rows in a type without all whole numbers."""
    node = inexact_places(whole.network, types(dtype))
    if node is not None:
        raise InputError(
            f"{whole.name}: {node.name} ({node.op.text}) numbers too many rows or elements for "
            f"{short_name(dtype)}, which does not have all whole numbers; use f32",
            field="dtype",
            value=short_name(dtype),
        )


def check_memory(problems: Iterable[Problem], dtype: str, layouts: int) -> None:
    """Raise TooLargeError for a problem whose operands and result alone do not fit.

    Counted are the first operand in each layout, the others, and the result.
    """
    for _, error in without_memory(problems, dtype, layouts):
        raise error


def without_memory(
    problems: Iterable[Problem], dtype: str, layouts: int
) -> Iterator[tuple[Problem, TooLargeError]]:
    """Yield the problems that do not fit, each with its error."""
    of = types(dtype)
    available = available_bytes()  # takes a millisecond: once for all problems
    for problem in problems:
        first, *others = (spec.nbytes for spec in problem.operands("nchw", of))
        needed = layouts * first + sum(others) + problem.result("nchw", of).nbytes
        if available is not None and needed > available:
            try:
                memory.require(needed, f"{problem.descriptor}: {dtype}")
            except TooLargeError as error:
                yield problem, error


def too_large(
    problems: Sequence[Problem],
    dtype: str,
    layouts: int,
    threads: Sequence[int],
    machine: MachineModel,
) -> dict[Problem, TooLargeError]:
    """Return the problems that ``check_memory`` or ``check_work`` refuses, and the errors."""
    return dict(
        [*without_end(problems, dtype, threads, machine), *without_memory(problems, dtype, layouts)]
    )


def with_siblings(
    refused: dict[Problem, TooLargeError], problems: Iterable[Problem]
) -> dict[Problem, TooLargeError]:
    """Return the errors of all passes of each layer of which one pass is refused."""
    layers = {problem.forward: error for problem, error in refused.items()}
    return {p: layers[layer] for p in problems if (layer := p.forward) in layers}


def check_work(
    problems: Iterable[Problem], dtype: str, threads: Sequence[int], machine: MachineModel
) -> None:
    """Raise TooLargeError for a problem of more than ``MOST_MACS``.

    The message says how long a call takes at this machine's peak, the most threads at work.
    """
    for _, error in without_end(problems, dtype, threads, machine):
        raise error


def without_end(
    problems: Iterable[Problem], dtype: str, threads: Sequence[int], machine: MachineModel
) -> Iterator[tuple[Problem, TooLargeError]]:
    """Yield the problems of more than ``MOST_MACS``, each with its error."""
    for problem in problems:
        if problem.macs <= MOST_MACS:
            continue
        measured = dtype if types(dtype).has_peak else "f32"  # a type without kernels is slower
        (peak,) = machine.measure_peaks(measured, [max(threads)])
        rate = peak.flop_per_s
        yield (
            problem,
            TooLargeError(
                f"{problem.descriptor}: {units.si(problem.flops, 'FLOP')}; "
                f"at {units.si(rate, 'FLOP/s')} that is {_duration(problem.flops / rate)} a call; "
                "use a smaller problem"
            ),
        )


def _duration(seconds: float) -> str:
    """Return a long time for a sentence."""
    hours, minutes = seconds / _HOUR_S, seconds / _MINUTE_S
    if hours >= 1:
        return f"{hours:,.1f} hours"
    return f"{minutes:.0f} minutes" if minutes >= _FEWEST_MINUTES else f"{seconds:.0f} seconds"
