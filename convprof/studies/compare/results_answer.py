"""The answer of ``compare results``: what changed, by what it is compared, and the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.compare.changes import counted, worst_of
from convprof.studies.compare.results_basis import COMPARED, NAMES
from convprof.studies.next_command import same_again
from convprof.studies.run_answer import label, name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement
    from convprof.studies.compare.results import Compared, Row


def answer(compared: Sequence[Compared], limit: float | None = None) -> Answer:
    """Return the answer about all new sides; ``limit``: the share of a slow-down that fails."""
    rows = [row for each in compared for row in each.rows]
    lost = [lost for each in compared for lost in each.lost]
    if not rows and not lost:
        return Answer(("Nothing matches: no measurement is on both sides.",))
    worst = worst_of(rows)
    sentences = [_changes(compared, rows, worst)] if rows else []
    if lost:
        sentences.append(_lost(lost[0].new, len(lost)))
    if limit is not None:
        sentences.append(_limit(compared, limit))
    other = next((each.choice for each in compared if each.choice.basis != "time"), None)
    if other is not None and len(sentences) < MOST_SENTENCES:
        sentences.append(f"Compared by {NAMES[other.basis]}, not by seconds: {other.reason}.")
    return Answer(tuple(sentences), _command(rows, worst))


def fails(compared: Sequence[Compared], limit: float | None) -> bool:
    """Whether a limit is exceeded: an interval wholly beyond, or a result that is lost."""
    if limit is None:
        return False
    return any(each.failing(limit) or each.lost for each in compared)


def _command(rows: Sequence[Row], worst: Row | None) -> str:
    """Return what measures the largest change again, or the first row that is undecided."""
    if worst is not None:
        return same_again(worst.a.first)
    undecided = next((row for row in rows if row.verdict == "undecided"), None)
    if undecided is None:
        return ""
    return same_again(undecided.a.first, idle=True)


def _changes(compared: Sequence[Compared], rows: Sequence[Row], worst: Row | None) -> str:
    where = " in all files" if len(compared) > 1 else ""
    first = counted([row.verdict for row in rows], where)
    if worst is None:
        return f"{first}."
    m = worst.a.first
    side = next(each for each in compared if any(row is worst for row in each.rows))
    takes = f"takes {worst.ratio.value:.2f} times {COMPARED[side.choice.basis]}"
    return f"{first}: {name(m)}, {label(m)}, {takes}."


def _lost(first: Measurement, count: int) -> str:
    more = f" and {count - 1} more" if count > 1 else ""
    return f"{name(first)}, {label(first)}{more} had a time before: now {first.status}."


def _limit(compared: Sequence[Compared], limit: float) -> str:
    failing = sum(len(each.failing(limit)) for each in compared)
    undecided = sum(len(each.of("undecided")) for each in compared)
    if failing:
        how = "1 interval is" if failing == 1 else f"{failing} intervals are"
        return f"{how} wholly beyond {100 * limit:g} % slower: the limit is exceeded."
    if fails(compared, limit):
        return "The limit is exceeded: a result that is lost counts as slower."
    more = f"; {undecided} undecided measurements were not judged" if undecided else ""
    return f"No interval is wholly beyond {100 * limit:g} % slower{more}."
