"""A timeline as JSON for chrome://tracing and ui.perfetto.dev.

Source: Google, "Trace Event Format": events ``X`` have begin and duration in microseconds, ``C``
are counters, ``M`` name processes and threads.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.studies.timeline import TimelineEvent, Track

MOST_ROWS = 100
"""Operations with a row of their own: those that take the most time."""
COUNTER = "% of peak"
_MICRO = 1e6
_NANO = 1e3
"""Nanoseconds in a microsecond."""
_OTHERS = "other operations"


def to_json(tracks: Sequence[Track]) -> Iterator[str]:
    """Yield the document in parts, an event a line.

    A track is two processes: one has a row per thread, the other has a row per operation.
    """
    left_out = sum(track.left_out for track in tracks)
    other = {"left_out": left_out}
    yield f'{{"displayTimeUnit": "ms", "otherData": {json.dumps(other)}, "traceEvents": [\n'
    first = True
    for number, track in enumerate(tracks):
        for event in (
            *_by_thread(track, 2 * number + 1),
            *_by_operation(track, 2 * number + 2),
        ):
            yield ("" if first else ",\n") + json.dumps(event, allow_nan=False)
            first = False
    yield "\n]}\n"


def _by_thread(track: Track, process: int) -> Iterator[dict[str, Any]]:
    threads = {name: i + 1 for i, name in enumerate(dict.fromkeys(e.thread for e in track.events))}
    yield from _names(process, track.name, threads)
    for event in track.events:
        yield _complete(event, process, threads[event.thread])
    yield from _counters(track.events, process)


def _by_operation(track: Track, process: int) -> Iterator[dict[str, Any]]:
    """Yield each operation once: not the same layer on all threads."""
    total: Counter[str] = Counter()
    for event in track.events:
        total[event.name] += round(_MICRO * event.seconds)
    largest = {name for name, _ in total.most_common(MOST_ROWS)}
    names = [name for name in dict.fromkeys(e.name for e in track.events) if name in largest]
    rows = {name: number + 1 for number, name in enumerate([*names, _OTHERS])}
    yield from _names(process, f"{track.name}: a row per operation", rows)
    seen: set[tuple[str, float]] = set()
    for event in track.events:
        if (event.name, event.begin_s) not in seen:
            seen.add((event.name, event.begin_s))
            yield _complete(event, process, rows.get(event.name, rows[_OTHERS]))


def _names(process: int, name: str, threads: dict[str, int]) -> Iterator[dict[str, Any]]:
    yield {"ph": "M", "name": "process_name", "pid": process, "args": {"name": name}}
    for text, number in threads.items():
        yield {
            "ph": "M", "name": "thread_name", "pid": process, "tid": number, "args": {"name": text},
        }  # fmt: skip


def _complete(event: TimelineEvent, process: int, thread: int) -> dict[str, Any]:
    """Return an event that ends 1 ns early, so that it never reaches into the next one.

    Perfetto makes whole nanoseconds of begin and duration, each rounded by itself, and drops an
    event that begins before the end of another one.
    """
    begin, end = _nanoseconds(event.begin_s), _nanoseconds(event.begin_s + event.seconds)
    details = dict(event.details)
    if event.peak_fraction is not None:
        details[COUNTER] = _percent(event.peak_fraction)
    return {
        "ph": "X",
        "name": event.name,
        "pid": process,
        "tid": thread,
        "ts": begin / _NANO,
        "dur": max(0, end - begin - 1) / _NANO,
        "args": details,
    }


def _counters(events: Sequence[TimelineEvent], process: int) -> Iterator[dict[str, Any]]:
    """Yield the share of the peak of what runs; 0 between operations that have one."""
    end = -math.inf
    for event in events:
        if event.peak_fraction is None or event.begin_s < end:
            continue
        if end > -math.inf and event.begin_s > end:
            yield _counter(process, end, 0.0)
        yield _counter(process, event.begin_s, event.peak_fraction)
        end = event.begin_s + event.seconds
    if end > -math.inf:
        yield _counter(process, end, 0.0)


def _counter(process: int, seconds: float, share: float) -> dict[str, Any]:
    return {
        "ph": "C", "name": COUNTER, "pid": process, "ts": _nanoseconds(seconds) / _NANO,
        "args": {COUNTER: _percent(share)},
    }  # fmt: skip


def _nanoseconds(seconds: float) -> int:
    return round(1e9 * seconds)


def _percent(share: float) -> float:
    return round(100 * share, 2)
