"""The control: what identical hosts measured all, and how far their times differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convprof.results import Measurement

TOO_FAR = 0.05
"""A larger difference is remarked as a reason not to compare times of different hosts."""


def index_of(size: int) -> int:
    """Return the number of the task that every host measures: the one in the middle."""
    return size // 2


def times_of(measurements: Iterable[Measurement]) -> dict[str, float]:
    """Return the seconds of each contestant, without times in doubt."""
    return {m.label: seconds(m) for m in measurements if m.status == "ok" and m.doubt is None}


def remark(where: str, times: Mapping[str, Mapping[str, float]]) -> str | None:
    """Return how far hosts differ; None for a single host.

    ``where``: the control in words. ``times``: by host and contestant, in seconds, without times in
    doubt.
    """
    if len(times) < 2:  # noqa: PLR2004
        return None
    common = set.intersection(*(set(of_host) for of_host in times.values()))
    if not common:
        return f"how far the hosts differ is unknown: the control, {where}, has no sure times"

    def ends(contestant: str) -> tuple[float, str, str]:
        ordered = sorted(times, key=lambda host: times[host][contestant])
        fastest, slowest = ordered[0], ordered[-1]
        return times[slowest][contestant] / times[fastest][contestant], fastest, slowest

    (ratio, fastest, slowest), contestant = max((ends(each), each) for each in common)
    shown = ", ".join(
        f"{units.time(times[host][contestant])} on {host}" for host in (fastest, slowest)
    )
    differ = f"the hosts differ by up to {100 * (ratio - 1):.1f} %"
    text = f"{differ}: {contestant} at {where} takes {shown}"
    if ratio <= 1 + TOO_FAR:
        return text
    return f"{text}; times of different hosts differ by as much for no other reason"
