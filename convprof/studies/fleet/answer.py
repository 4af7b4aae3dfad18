"""The answer of ``fleet``: which host is the fastest, which one costs the least, what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.stats import SAME_WITHIN
from convprof.studies.answer import Answer
from convprof.studies.next_command import fleet_table
from convprof.studies.run_answer import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.studies.fleet.table import Table, Total


_MOST_HOSTS = 4
"""Hosts that a sentence lists."""


def answer(table: Table, prices: Mapping[str, float], path: str | None = None) -> Answer | None:
    """Return the answer; None for an empty table.

    ``path``: the file of the results, for a command that shows prices.
    """
    if not table.rows:
        return None
    totals = table.totals(prices)
    timed = [total for total in totals if total.seconds is not None]
    if not timed:
        return Answer(("No problem has a time.", *_left(totals)))
    doubtful = sum(total.doubtful for total in timed)
    if doubtful:
        return Answer((*_in_doubt(timed, doubtful, len(table.common)), *_left(totals)))
    sentences = [_fastest(timed, len(table.common)), *_cheapest(timed), *_left(totals)]
    command = fleet_table(path, timed[0].host.name) if path and not prices else ""
    return Answer(tuple(sentences[:3]), command)


def _in_doubt(timed: Sequence[Total], doubtful: int, problems: int) -> tuple[str, str]:
    """Return the times without a conclusion, and why there is no conclusion."""
    listed = [f"{total.host.name} {units.time(total.seconds or 0.0)}" for total in timed]
    more = f" and {len(listed) - _MOST_HOSTS} more hosts" if len(listed) > _MOST_HOSTS else ""
    count = problems * len(timed)
    doubt = f"{doubtful} of the {count} times are in doubt"
    return (
        f"{_problems(problems)} take: {', '.join(listed[:_MOST_HOSTS])}{more}.",
        f"{doubt}: measure again on idle hosts, into another file.",
    )


def _problems(count: int) -> str:
    return f"{count} problem{'' if count == 1 else 's'}"


def _fastest(timed: Sequence[Total], problems: int) -> str:
    best, *others = timed
    time = units.time(best.seconds or 0.0)
    share = "" if best.peak_fraction is None else f", {percent(best.peak_fraction)} of its peak"
    of = _problems(problems)
    if not others:
        return f"{best.host.name} takes {time} for {of}{share}."
    second = others[0]
    ratio = (second.seconds or 0.0) / (best.seconds or 1.0)
    if ratio < 1 + SAME_WITHIN:
        same = f"the same within {100 * SAME_WITHIN:.0f} %"
        return f"{best.host.name} and {second.host.name} are {same}: {time} for {of}{share}."
    return (
        f"{best.host.name} is the fastest: {time} for the {of} that every host finished{share}; "
        f"{second.host.name} takes {ratio:.2f} times as long."
    )


def _cheapest(timed: Sequence[Total]) -> tuple[str, ...]:
    priced = [total for total in timed if total.price_per_million is not None]
    if not priced:
        return ()
    best = min(priced, key=lambda total: total.price_per_million or 0.0)
    price = units.digits(best.price_per_million or 0.0)
    if len(priced) == 1:
        return (f"A million runs of the suite cost {price} on {best.host.name}.",)
    return (f"{best.host.name} costs the least: {price} for a million runs of the suite.",)


def _left(totals: Sequence[Total]) -> tuple[str, ...]:
    failed = sum(total.failed for total in totals)
    missing = sum(total.missing for total in totals)
    if not failed and not missing:
        return ()
    parts = [f"{failed} failed" if failed else "", f"{missing} are missing" if missing else ""]
    return (f"{' and '.join(filter(None, parts))}: the same `fleet` command measures only these.",)
