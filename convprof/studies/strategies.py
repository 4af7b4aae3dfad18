"""``strategies``: what there is, and which strategies take a problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Role, Setting
from convprof.strategies.peers.package import install
from convprof.studies.answer import Answer
from convprof.studies.next_command import run_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.problems import Problem
    from convprof.strategies.base import Strategy

EXAMPLE = "resnet50:layer1.0.conv2"
FEWEST_FOLDED = 3
"""From this number on, schedules of one compiler are one line."""


@dataclass(frozen=True)
class Entry:
    """A line of the list: a strategy, or all schedules of one compiler."""

    name: str
    """Of schedules ``halide-*``."""
    text: str
    """The summary; of schedules their names; of a refusal its reason."""
    takes: bool | None = None
    """Whether it takes the problem; None where no problem was named."""


class Absent(NamedTuple):
    """A package that is not installed."""

    package: str
    extra: str
    """The extra of convprof that brings it."""


@dataclass(frozen=True)
class Listing:
    """The strategies of a kind of problem, convprof's own first, or their replies to a problem."""

    kind: str
    entries: tuple[Entry, ...]
    absent: tuple[Absent, ...]
    """What is not installed; its strategies have no entry."""
    takers: int = 0
    """Strategies that take the problem in at least one setting."""
    strategies: int = 0


def installation(absent: Iterable[Absent]) -> str:
    """Return the command that installs what is not installed."""
    return install(*dict.fromkeys(each.extra for each in absent))


def listing(kind: str) -> Listing:
    """Return the strategies of a kind with their summaries."""
    every = _own_first(registry.strategies(kind))
    present = [strategy for strategy in every if strategy.missing_package() is None]
    entries = [(strategy, Entry(strategy.name, strategy.summary)) for strategy in present]
    return Listing(kind, _folded(entries), _absent(every), strategies=len(every))


def replies(
    problem: Problem, layouts: Sequence[str], threads: Sequence[int], dtype: str
) -> Listing:
    """Return which strategies take a problem; an entry for each strategy and reason to refuse.

    Without ``threads`` each strategy is asked for the fewest that it takes.
    """
    every = _own_first(registry.strategies(problem.kind))
    entries: list[tuple[Strategy[Problem], Entry]] = []
    takers = 0
    for strategy in every:
        if strategy.missing_package() is not None:
            continue
        reasons = [
            strategy.why_not(problem, Setting(layout, dtype, count))
            for layout in (layouts if problem.has_layout else LAYOUTS[:1])
            for count in threads or (strategy.least_threads,)
        ]
        if None in reasons:
            takers += 1
            entries.append((strategy, Entry(strategy.name, strategy.summary, takes=True)))
        for reason in dict.fromkeys(reasons):
            if reason is not None:
                text = reason.removeprefix(f"{strategy.name} ")
                entries.append((strategy, Entry(strategy.name, text, takes=False)))
    return Listing(problem.descriptor, _folded(entries), _absent(every), takers, len(every))


def answer(listings: Sequence[Listing], problems: Sequence[Problem]) -> Answer:
    """Return how many strategies there are, or how many take each problem; and what to try."""
    if not problems:
        total = sum(each.strategies for each in listings)
        sentence = f"{total} strategies for {len(listings)} kinds of problem."
        return Answer((sentence,), f"convprof strategies {EXAMPLE}")
    fewest = min(listings, key=lambda each: each.takers / max(1, each.strategies))
    where = "" if len(listings) == 1 else f" of {fewest.kind}, the least of all problems"
    sentence = f"{fewest.takers} of {fewest.strategies} strategies take the problem{where}."
    return Answer((sentence,), run_of(problems[0]))


def _own_first(strategies: Iterable[Strategy[Problem]]) -> list[Strategy[Problem]]:
    order = (Role.OWN, Role.VARIANT, Role.CHOOSER, Role.BUNDLED, Role.LIBRARY, Role.COMPILER)
    return sorted(strategies, key=lambda strategy: order.index(strategy.role))


def _absent(strategies: Iterable[Strategy[Problem]]) -> tuple[Absent, ...]:
    packages = ((strategy.missing_package(), strategy.extra) for strategy in strategies)
    absent = (Absent(package, extra) for package, extra in packages if package is not None)
    return tuple(dict.fromkeys(absent))


def _folded(entries: Sequence[tuple[Strategy[Problem], Entry]]) -> tuple[Entry, ...]:
    """Return the entries; schedules of a compiler with the same text are one entry."""
    groups: dict[tuple[str, bool | None, str], list[str]] = {}
    for strategy, entry in entries:
        compiler, _, schedule = strategy.name.partition("-")
        if strategy.role is Role.COMPILER and schedule:
            key = (f"{compiler}-*", entry.takes, "" if entry.takes is not False else entry.text)
            groups.setdefault(key, []).append(schedule)
        else:
            groups[entry.name, entry.takes, entry.text] = []
    folded: list[Entry] = []
    summaries = {(strategy.name, entry.takes): entry for strategy, entry in entries}
    for (name, takes, text), schedules in groups.items():
        if not schedules:
            folded.append(Entry(name, text, takes))
        elif len(schedules) < FEWEST_FOLDED:
            folded += [summaries[name.replace("*", each), takes] for each in schedules]
        else:
            listed = f"schedules {', '.join(schedules)}"
            folded.append(Entry(name, f"{listed}: {text}" if text else listed, takes))
    return tuple(folded)
