"""``history``: the lines of saved runs, one for each problem on each machine."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.dtypes import short_name
from convprof.errors import InputError
from convprof.results import envelope
from convprof.stats import median
from convprof.studies.answer import Answer
from convprof.studies.history import store
from convprof.studies.history.change_points import FEWEST, change_points
from convprof.studies.next_command import last_two

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.history.store import Saved


@dataclass(frozen=True)
class Change:
    """A change of the level."""

    at: Saved
    """The first run after the change."""
    before: float
    """The median before the change, back to the change before it."""
    after: float


@dataclass(frozen=True)
class Line:
    """One problem in one type, on one number of threads of one machine, the oldest run first."""

    runs: list[Saved]
    changes: list[Change]
    by_peak: bool
    """Whether the values are shares of the peak; else calls per second."""

    @property
    def is_testable(self) -> bool:
        """Whether the line has enough runs to find a change."""
        return len(self.runs) >= FEWEST

    @property
    def latest(self) -> Saved:
        """The newest run."""
        return self.runs[-1]

    def value(self, run: Saved) -> float:
        """Return the share of the peak, or the calls per second."""
        return _value(run, by_peak=self.by_peak)

    def to_json(self) -> dict[str, Any]:
        """Return the line in JSON types."""
        first, point = self.latest, self.latest.point
        return {
            "problem": {
                "kind": point.kind,
                "descriptor": point.problem,
                "name": point.problem_name,
            },
            "dtype": point.dtype,
            "threads": point.threads,
            "cache": point.cache,
            "machine": {"key": first.machine, "brand": first.brand},
            "runs": [
                {
                    "run": run.run,
                    "name": run.name,
                    "saved_s": run.saved_s,
                    "strategy": run.point.strategy,
                    "layout": run.point.layout,
                    "isa": run.point.isa,
                    "seconds": run.point.seconds,
                    "peak_fraction": run.point.peak_fraction,
                }
                for run in self.runs
            ],
            "changes": [
                {"run": change.at.run, "before": change.before, "after": change.after}
                for change in self.changes
            ],
            "unit": "peak_fraction" if self.by_peak else "calls_per_s",
        }


def lines(problem: str | None, strategy: str | None) -> list[Line]:
    """Return the lines of the saved runs, the line with the newest run last.

    InputError if nothing is saved of the problem.
    """
    groups: dict[tuple[Any, ...], list[Saved]] = defaultdict(list)
    for run in store.saved(problem, strategy):
        point = run.point
        key = (point.kind, point.problem, point.dtype, point.threads, point.cache, run.machine)
        groups[key].append(run)
    if not groups:
        of = "" if problem is None else f" of {problem}"
        by = f" by {strategy}" if strategy else ""
        raise InputError(
            f"no measurement{of}{by} is saved: times in doubt, and of environments, are left out"
        )
    shown = [_line(runs) for runs in groups.values()]
    return sorted(shown, key=lambda line: line.latest.run)


def _line(runs: list[Saved]) -> Line:
    by_peak = all(run.point.peak_fraction for run in runs)
    values = [_value(run, by_peak=by_peak) for run in runs]
    return Line(runs, _changes(runs, values), by_peak)


def _value(run: Saved, *, by_peak: bool) -> float:
    return (run.point.peak_fraction or 0.0) if by_peak else 1 / run.point.seconds


def _changes(runs: list[Saved], values: Sequence[float]) -> list[Change]:
    inner = change_points(values)
    ends = [0, *inner, len(values)]
    return [
        Change(runs[at], median(values[ends[k] : at]), median(values[at : ends[k + 2]]))
        for k, at in enumerate(inner)
    ]


def label(line: Line) -> str:
    """Return ``resnet50:conv1``: the name of the problem, else its descriptor."""
    point = line.latest.point
    more = point.kind.partition(" ")[2]
    return f"{point.problem_name or point.problem} {more}".rstrip()


def document(shown: Sequence[Line], answer: Answer) -> dict[str, Any]:
    """Return the lines in JSON types."""
    return envelope("history", lines=[line.to_json() for line in shown], answer=answer.to_json())


def answer(shown: Sequence[Line]) -> Answer:
    """Return the newest change for the worse, and how many lines have too few runs to find one."""
    runs = len({run.run for line in shown for run in line.runs})
    worse = [
        (change.at.run, line, change)
        for line in shown
        for change in line.changes[-1:]
        if change.after < change.before
    ]
    count = f"{runs:,} saved run{'s' if runs > 1 else ''}"
    command = last_two() if runs > 1 else ""
    if not any(line.is_testable for line in shown):
        few = f"{count}: too few to find a change; it needs {FEWEST} of one problem."
        return Answer((few,), command)
    if not worse:
        sentence = f"{count}: no line is slower after its last change."
        return Answer((sentence, *_untested(shown)), command)
    _, line, change = max(worse, key=lambda each: each[0])
    loss = 100 * (1 - change.after / change.before)
    point = line.latest.point
    threads = f"{point.threads} thread{'s' if point.threads > 1 else ''}"
    where = f"run {change.at.run} ({change.at.name})"
    newest = f"{label(line)} {short_name(point.dtype)}"
    sentences = (
        f"{count}: {len(worse)} of {len(shown)} lines became slower at their last change.",
        f"The newest: {newest}, {threads}, lost {loss:.0f} % at {where}.",
        *_untested(shown),
    )
    return Answer(sentences, command)


def _untested(shown: Sequence[Line]) -> list[str]:
    """Return a sentence about the lines with too few runs; empty if every line has enough."""
    few = sum(not line.is_testable for line in shown)
    have = f"{few} of {len(shown)} lines {'has' if few == 1 else 'have'}"
    return [f"{have} under {FEWEST} runs, too few to find a change."] if few else []
