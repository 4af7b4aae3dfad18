"""The answer of ``compare commands --command``: which program is slower, and by how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.compare.programs import BASE, lost
from convprof.studies.comparison import times

if TYPE_CHECKING:
    from convprof.studies.compare.programs import ProgramComparison, Programs

_WORDS = {
    "faster": "{} is faster",
    "slower": "{} is slower",
    "same": "both are equally fast",
    "undecided": "the interval does not decide",
}


def answer(study: Programs, limit: float | None = None) -> Answer | None:
    """Return the answer; None if nothing was measured. ``limit``: the slow-down that fails."""
    failed = [p for p in study.programs if p.reason is not None]
    comparisons = study.comparisons()
    if not comparisons and not failed:
        return None
    sentences = [*map(_sentence, comparisons), *(f"{p.name} failed: {p.reason}." for p in failed)]
    if limit is not None:
        sentences = [*sentences[: MOST_SENTENCES - 1], _limit(study, limit)]
    is_open = any(each.verdict == "undecided" for each in comparisons)
    return Answer(tuple(sentences[:MOST_SENTENCES]), repeats=is_open)


def fails(study: Programs, limit: float | None) -> bool:
    """Whether a limit is exceeded: an interval wholly beyond, or a program that fails."""
    if limit is None:
        return False
    return bool(lost(study)) or any(c.ratio.is_slower_by(limit) for c in study.comparisons())


def _sentence(each: ProgramComparison) -> str:
    words = _WORDS[each.verdict].format(each.a.name)
    return f"{each.a.name} takes {times(each.ratio)} as long as {BASE}: {words}."


def _limit(study: Programs, limit: float) -> str:
    beyond = f"wholly beyond {100 * limit:g} % slower"
    if any(each.ratio.is_slower_by(limit) for each in study.comparisons()):
        return f"An interval is {beyond}: the limit is exceeded."
    if lost(study):
        return "The limit is exceeded: a program that fails counts as slower."
    return f"No interval is {beyond}."
