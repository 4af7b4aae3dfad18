"""The answer of ``compare peers``: where convprof is ahead, and which library wins where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.dtypes import short_name
from convprof.strategies import registry
from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.compare.peers import summaries
from convprof.studies.comparison import times
from convprof.studies.next_command import (
    again,
    against_libraries,
    libraries_take,
    next_command,
    side_by_side,
)
from convprof.studies.run_answer import label, threads
from convprof.studies.shortlist import fastest, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement
    from convprof.studies.compare.peers import Standing, Summary

_MOST_NAMED = 3
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
        return Answer(
            (f"No conclusion, the times are in doubt: {standings[0].doubt}.",),
            again("compare peers", standings[0].ours),
            repeats=True,
        )
    worst = max(clear, key=lambda standing: standing.ratio.value)
    problems = {str(standing.ours.problem) for standing in standings}
    if len(problems) == 1:
        sentences = [_sentence(standing) for standing in clear]
    else:
        sentences = [_counts(summary, standings) for summary in summaries(clear)]
        sentences = [*sentences[: MOST_SENTENCES - 1], _library_wins(clear) or _worst(worst)]
    return Answer(tuple(sentences[:MOST_SENTENCES]), side_by_side(worst.ours, worst.peer))


def nothing_compared(measurements: Sequence[Measurement]) -> Answer | None:
    """Return which side computed a problem alone, and what is next; None without a time."""
    alone = fastest(measurements)
    if alone is None:
        return None
    by_library = any(
        s.name == alone.strategy and s.role.is_peer
        for s in registry.strategies(alone.problem["kind"])
    )
    who = "convprof did not compute" if by_library else "No library computed"
    bare = "" if libraries_take(alone) else against_libraries(alone)
    ends = f" in {short_name(alone.dtype)}" if bare else ""
    sentence = f"{who} {label(alone)}{ends} here: {alone.way} takes {units.time(seconds(alone))}."
    return Answer((sentence,), bare or next_command(alone, peers_measured=True))


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
    parts += [f"behind on {behind}"] if behind else []
    parts += [f"level or undecided on {level}"] if level else []
    parts += [f"{doubtful} more in doubt"] if doubtful else []
    return (
        f"On {threads(summary.threads)} convprof is {', '.join(parts)}; the library takes "
        f"{summary.mean:.2f} times as long (geometric mean)."
    )


def _library_wins(standings: Sequence[Standing]) -> str:
    """Return which problems libraries win, the clearest first; empty for less than two."""
    lost = sorted(
        (standing for standing in standings if standing.verdict == "slower"),
        key=lambda standing: -standing.ratio.value,
    )
    if len(lost) < 2:  # noqa: PLR2004  # one has a sentence with its interval
        return ""
    several = len({standing.threads for standing in standings}) > 1
    named = []
    for standing in lost[:_MOST_NAMED]:
        on = f" on {threads(standing.threads)}" if several else ""
        gain = f"{standing.peer.way}, {standing.ratio.value:.2f} times as fast"
        named.append(f"{label(standing.ours)}{on} ({gain})")
    more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
    return f"Libraries win {', '.join(named)}{more}."


def _worst(worst: Standing) -> str:
    on = f"{label(worst.ours)} on {threads(worst.threads)}"
    if worst.verdict == "slower":
        return f"{worst.peer.way} wins most clearly at {on}: {times(worst.ratio)} as fast."
    return f"The closest is {worst.peer.way} at {on}: {times(worst.ratio.inverse)} as long."
