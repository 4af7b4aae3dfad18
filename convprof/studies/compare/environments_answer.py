"""The answer of ``compare commands --python``: what another environment makes slower or faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.compare.changes import counted, worst_of
from convprof.studies.compare.environments import BASE, lost
from convprof.studies.comparison import times
from convprof.studies.next_command import described, in_environments
from convprof.studies.run_answer import label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement
    from convprof.studies.compare.environments import EnvironmentComparison, Facts

_WORDS = {
    "faster": "{} is faster",
    "slower": "{} is slower",
    "same": "both are equally fast",
    "undecided": "the interval does not decide",
}


def answer(
    comparisons: Sequence[EnvironmentComparison],
    measurements: Sequence[Measurement],
    environments: Sequence[Facts],
    limit: float | None = None,
) -> Answer | None:
    """Return the answer; None if nothing was measured. ``limit``: the slow-down that fails."""
    if not measurements:
        return None
    failed = lost(measurements)
    clear = [each for each in comparisons if each.doubt is None]
    if not comparisons and not failed:
        return Answer(("Nothing is compared: no contestant has a time in both environments.",))
    sentences = [] if clear or not comparisons else [f"No conclusion: {comparisons[0].doubt}."]
    others = dict.fromkeys(str(each.a.environment) for each in clear)
    sentences += [_changes(name, clear) for name in others]
    if failed:
        sentences.insert(1, _lost(failed))
    if limit is not None:
        sentences = [*sentences[: MOST_SENTENCES - 1], _limit(clear, failed, limit)]
    return _with_command(sentences[:MOST_SENTENCES], clear, environments)


def fails(
    comparisons: Sequence[EnvironmentComparison],
    measurements: Sequence[Measurement],
    limit: float | None,
) -> bool:
    """Whether a limit is exceeded: an interval wholly beyond, or a result that is lost."""
    if limit is None:
        return False
    return any(each.is_slower_by(limit) for each in comparisons) or bool(lost(measurements))


def _with_command(
    sentences: Sequence[str],
    clear: Sequence[EnvironmentComparison],
    environments: Sequence[Facts],
) -> Answer:
    """Return the answer with the row that decides, alone; the same again if it was alone."""
    worst = worst_of(clear)
    if worst is None or len(clear) == 1 or not described(worst.a):
        return Answer(tuple(sentences), repeats=True)
    used = {worst.a.environment, worst.b.environment}
    pythons = [facts.python for facts in environments if facts.name in used]
    return Answer(tuple(sentences), in_environments(worst.a, pythons))


def _of(name: str, comparisons: Sequence[EnvironmentComparison]) -> list[EnvironmentComparison]:
    return [each for each in comparisons if each.a.environment == name]


def _changes(name: str, comparisons: Sequence[EnvironmentComparison]) -> str:
    """Return what changes in one environment, and the largest change."""
    own = _of(name, comparisons)
    worst = worst_of(own)
    if len(own) == 1:
        takes = f"takes {times(own[0].ratio)} as long in {name} as in {BASE}"
        return f"{_row(own[0])} {takes}: {_WORDS[own[0].verdict].format(name)}."
    counts = counted([each.verdict for each in own], f" in {name}")
    if worst is None:
        return f"{counts}."
    return f"{counts}: {_row(worst)} takes {times(worst.ratio)} as long as in {BASE}."


def _row(each: EnvironmentComparison) -> str:
    """Return ``torch nchw on 1 thread, resnet50:conv1,`` in words."""
    base = each.b
    on = f"{base.threads} thread{'s' if base.threads > 1 else ''}"
    return f"{label(base)}, {each.way} on {on},"


def _lost(failed: Sequence[Measurement]) -> str:
    first = failed[0]
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    return f"{label(first)}, {first.label}{more}: {first.status}, with a time in {BASE}."


def _limit(
    comparisons: Sequence[EnvironmentComparison], failed: Sequence[Measurement], limit: float
) -> str:
    failing = sum(each.is_slower_by(limit) for each in comparisons)
    if failing:
        how = "1 interval is" if failing == 1 else f"{failing} intervals are"
        return f"{how} wholly beyond {100 * limit:g} % slower: the limit is exceeded."
    if failed:
        return "The limit is exceeded: a result that is lost counts as slower."
    undecided = sum(each.verdict == "undecided" for each in comparisons)
    more = f"; {undecided} undecided measurements were not judged" if undecided else ""
    return f"No interval is wholly beyond {100 * limit:g} % slower{more}."
