"""``strategies``: what there is, and which strategies take a problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from convprof.dtypes import listed, of_kind, short_name
from convprof.problems.base import FORWARD
from convprof.problems.layouts import LAYOUTS
from convprof.results import without_name
from convprof.strategies import registry
from convprof.strategies.base import Role, Setting
from convprof.strategies.peers.package import install
from convprof.strategies.unfused_epilogue import variants
from convprof.studies.answer import Answer
from convprof.studies.next_command import run_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    """The summary; of schedules their names; of a refusal its reasons."""
    takes: bool | None = None
    """Whether it takes the problem in any setting; None where no problem was named."""
    but: str = ""
    """The settings that it refuses although it takes others, with the reasons."""


class Absent(NamedTuple):
    """A strategy whose package is not installed."""

    strategy: str
    package: str
    extra: str
    """The extra of convprof that brings the package."""


@dataclass(frozen=True)
class Listing:
    """The strategies of a kind of problem, convprof's own first, or their replies to a problem."""

    title: str
    """The kind, or the problem."""
    entries: tuple[Entry, ...]
    absent: tuple[Absent, ...]
    """Strategies without an entry."""
    strategies: int
    """Strategies that the entries are about; an entry may be several schedules."""
    takers: int = 0
    """Of these, strategies that take the problem in at least one setting."""


def installation(absent: Iterable[Absent]) -> str:
    """Return the command that installs what is not installed."""
    return install(*dict.fromkeys(each.extra for each in absent))


def listing(kind: str, dtype: str | None = None) -> Listing:
    """Return the strategies of a kind with their summaries; only those that compute a type."""
    every, own = _own_first(registry.strategies(kind)), dtype and of_kind(dtype, kind)
    every = [strategy for strategy in every if own is None or own in strategy.dtypes]
    entries = [(each, Entry(each.name, each.summary)) for each in every if _present(each)]
    return Listing(kind, _folded(entries), _absent(every), len(entries))


def replies(
    problem: Problem, layouts: Sequence[str], threads: Sequence[int], dtype: str
) -> Listing:
    """Return which strategies take a problem, and why others refuse: an entry for each strategy.

    Without ``threads`` each strategy is asked for the fewest that it takes.
    """
    named = registry.strategies(problem.kind)
    every = _own_first(variant for each in named for variant in variants(each, problem))
    entries = []
    for strategy in filter(_present, every):
        settings = [
            Setting(layout, of_kind(dtype, problem.kind), count)
            for layout in (layouts if problem.has_layout else LAYOUTS[:1])
            for count in threads or (strategy.least_threads,)
        ]
        reasons = {setting: strategy.why_not(problem, setting) for setting in settings}
        entries.append((strategy, _reply(strategy, reasons)))
    takers = sum(bool(entry.takes) for _, entry in entries)
    return Listing(_title(problem), _folded(entries), _absent(every), len(entries), takers)


def _title(problem: Problem) -> str:
    """Return the problem's text, with what its descriptor does not say."""
    weights, which = problem.grouped_weights, problem.pass_name
    parts = (
        problem.descriptor,
        "" if which == FORWARD else which,
        f"with {problem.epilogue.text}" if problem.epilogue else "",
        f"{weights.dtype} weights in groups of {weights.group}" if weights else "",
    )
    return " · ".join(filter(None, parts))


def _reply(strategy: Strategy[Problem], reasons: Mapping[Setting, str | None]) -> Entry:
    """Return one line for all settings of a strategy."""
    refused: dict[str, list[Setting]] = {}
    for setting, reason in reasons.items():
        if reason is not None:
            text = without_name(reason, strategy.name)
            refused.setdefault(text, []).append(setting)
    if None not in reasons.values():
        return Entry(strategy.name, "; ".join(refused), takes=False)
    parts = [f"not {_where(settings, reasons)}: {text}" for text, settings in refused.items()]
    return Entry(strategy.name, strategy.summary, takes=True, but="; ".join(parts))


def _where(settings: Sequence[Setting], every: Iterable[Setting]) -> str:
    """Return ``in nhwc``, ``on 2 threads`` or both: what some of all settings have in common."""
    layouts = dict.fromkeys(setting.layout for setting in settings)
    counts = dict.fromkeys(setting.threads for setting in settings)
    parts = []
    if layouts.keys() != {setting.layout for setting in every}:
        parts.append(f"in {listed(layouts, 'and')}")
    if counts.keys() != {setting.threads for setting in every}:
        parts.append(f"on {listed(map(str, counts), 'and')} thread{'s' * (list(counts) != [1])}")
    return " ".join(parts)


def answer(
    listings: Sequence[Listing], problems: Sequence[Problem], dtype: str | None = None
) -> Answer:
    """Return how many strategies there are, or how many take each problem; and what to try.

    ``dtype``: the type that strategies were listed for.
    """
    if not problems:
        total = sum(each.strategies for each in listings)
        absent = sum(len(each.absent) for each in listings)
        if dtype is not None and not total:
            return Answer((f"No strategy computes {short_name(dtype)}{_more(absent)}.",))
        what = "" if dtype is None else f" that compute {short_name(dtype)}"
        kinds = f"{len(listings)} kind{'s' * (len(listings) != 1)} of problem"
        sentence = f"{total} strategies{what} for {kinds}{_more(absent)}."
        return Answer((sentence,), f"convprof strategies {EXAMPLE}")
    fewest = min(listings, key=lambda each: each.takers / max(1, each.strategies))
    several = f"{fewest.title}, the fewest of all problems"
    if fewest.takers == fewest.strategies:
        several = f"each of the {len(listings)} problems"
    what = several if len(listings) > 1 else "the problem"
    counts = f"{fewest.takers} of {fewest.strategies} strategies take {what}"
    taken = (p for p, each in zip(problems, listings, strict=True) if each.takers)
    command = next(map(run_of, taken), "")
    return Answer((f"{counts}{_more(len(fewest.absent))}.",), command)


def _more(absent: int) -> str:
    return f"; {absent} more {'are' if absent > 1 else 'is'} not installed" if absent else ""


def _own_first(strategies: Iterable[Strategy[Problem]]) -> list[Strategy[Problem]]:
    order = (Role.OWN, Role.VARIANT, Role.CHOOSER, Role.BUNDLED, Role.LIBRARY, Role.COMPILER)
    return sorted(strategies, key=lambda strategy: order.index(strategy.role))


def _present(strategy: Strategy[Problem]) -> bool:
    return strategy.missing_package() is None


def _absent(strategies: Iterable[Strategy[Problem]]) -> tuple[Absent, ...]:
    packages = [(each.name, each.missing_package(), each.extra) for each in strategies]
    return tuple(Absent(name, package, extra) for name, package, extra in packages if package)


def _folded(entries: Sequence[tuple[Strategy[Problem], Entry]]) -> tuple[Entry, ...]:
    """Return the entries; schedules of a compiler with the same reply are one entry."""
    groups: dict[tuple[str, bool | None, str], dict[str, Entry]] = {}
    for strategy, entry in entries:
        compiler, _, schedule = strategy.name.partition("-")
        folds = strategy.role is Role.COMPILER and schedule
        name = f"{compiler}-*" if folds else entry.name
        reply = entry.text if entry.takes is False else entry.but
        groups.setdefault((name, entry.takes, reply), {})[schedule] = entry
    folded: list[Entry] = []
    for (name, takes, reply), group in groups.items():
        if len(group) < FEWEST_FOLDED:
            folded += group.values()
            continue
        schedules = f"{len(group)} schedules ({', '.join(group)})"
        text = f"{schedules}: {reply}" if takes is False else schedules
        folded.append(Entry(name, text, takes, "" if takes is False else reply))
    return tuple(folded)
