"""The answer of ``compare peers``: where convprof is ahead, and which library wins where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.compare.peers import summaries
from convprof.studies.comparison import times
from convprof.studies.next_command import side_by_side
from convprof.studies.run_answer import label, threads
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.compare.peers import Standing, Summary

_MOST_NAMED = 4
_WORDS = {
    "faster": "convprof is faster",
    "slower": "convprof is slower",
    "same": "both are equally fast",
    "undecided": "the intervals do not decide",
}


def answer(standings: Sequence[Standing]) -> Answer | None:
    """Return the answer about one problem or several; None if nothing was compared."""
    if not standings:
        return None
    clear = [standing for standing in standings if standing.doubt is None]
    if not clear:
        return Answer((f"No conclusion, the times are in doubt: {standings[0].doubt}.",))
    worst = max(clear, key=lambda standing: standing.ratio.value)
    problems = {str(standing.ours.problem) for standing in standings}
    if len(problems) == 1:
        sentences = [_sentence(standing) for standing in clear]
    else:
        sentences = [_counts(summary, standings) for summary in summaries(clear)]
        sentences = [*sentences[: MOST_SENTENCES - 1], _worst(worst)]
    return Answer(tuple(sentences[:MOST_SENTENCES]), side_by_side(worst.ours, worst.peer))


def _sentence(standing: Standing) -> str:
    return (
        f"On {threads(standing.threads)} the fastest library, {standing.peer.way}, takes "
        f"{times(standing.ratio.inverse)} as long as convprof's {standing.ours.way}: "
        f"{_WORDS[standing.verdict]}."
    )


def _counts(summary: Summary, standings: Sequence[Standing]) -> str:
    """Return on how many problems convprof is ahead, and by how much in the mean."""
    own = [standing for standing in standings if standing.threads == summary.threads]
    verdicts = [standing.verdict for standing in own if standing.doubt is None]
    doubtful = len(own) - len(verdicts)
    ahead, behind = verdicts.count("faster"), verdicts.count("slower")
    level = len(verdicts) - ahead - behind
    parts = [f"ahead of the fastest library on {ahead} of {len(verdicts)} problems"]
    parts += [f"behind on {behind}{_named(standings, summary.threads)}"] if behind else []
    parts += [f"level or undecided on {level}"] if level else []
    parts += [f"{doubtful} more in doubt"] if doubtful else []
    return (
        f"On {threads(summary.threads)} convprof is {', '.join(parts)}; the library takes "
        f"{summary.mean:.2f} times as long (geometric mean).{_totals(standings, summary.threads)}"
    )


def _named(standings: Sequence[Standing], count: int) -> str:
    """Return the names of the problems that a library wins, if they are few."""
    lost = [label(s.ours) for s in standings if s.threads == count and s.verdict == "slower"]
    return f" ({', '.join(lost)})" if len(lost) <= _MOST_NAMED else ""


def _totals(standings: Sequence[Standing], count: int) -> str:
    """Return the time of all problems by contestant, where two libraries computed them all."""
    own = [s for s in standings if s.threads == count and s.doubt is None]
    totals = {"convprof": sum(seconds(standing.ours) for standing in own)}
    names = dict.fromkeys(peer.strategy for standing in own for peer in standing.peers)
    for name in names:
        found = [p for s in own for p in s.peers if p.strategy == name and p.doubt is None]
        if len(found) == len(own):
            totals[name] = sum(map(seconds, found))
    if len(totals) == 1:
        return ""
    ordered = sorted(totals.items(), key=lambda item: item[1])
    return f" All together: {', '.join(f'{who} {units.time(total)}' for who, total in ordered)}."


def _worst(worst: Standing) -> str:
    on = f"{label(worst.ours)} on {threads(worst.threads)}"
    if worst.verdict == "slower":
        return f"{worst.peer.way} wins most clearly at {on}: {times(worst.ratio)} as fast."
    return f"The closest is {worst.peer.way} at {on}: {times(worst.ratio.inverse)} as long."
