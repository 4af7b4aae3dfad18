"""How many seconds of a command are left, estimated from what its parts have taken so far.

A session says how long its samples will take (``Sampled.remaining_s``). The samples are not all of
its time: the first call of each is not timed, the caches settle, tables are built. So the estimate
is what the session says, times what its earlier samples really took.

A contestant takes as long to prepare as in the session before, times the pace of this session: what
it has taken so far over what that one had taken by then. In the first session it takes the median
of the contestants before it.

Parts that have not begun take as long as the parts before them, by the fractions of the command's
time that ``Part`` gives.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convprof.measure.events import Part, Sampled, Started
from convprof.stats import median

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.measure.events import Event

USUAL_OVERHEAD = 1.5
"""Seconds of a session per second of its samples, before the first rounds say better."""
ENOUGH_SAMPLES = 0.1
"""The fraction of a session's samples from which on their real time counts."""


@dataclass
class _Session:
    """The session under way: when it began, when its samples began, and what it said then."""

    usual_overhead: float = USUAL_OVERHEAD
    """Of the session before."""
    before_s: tuple[float, ...] = ()
    """Seconds to prepare each contestant in the session before; empty if there was no session."""
    preparing_s: list[float] = field(default_factory=list)
    """Seconds that each contestant took."""
    prepared: int = 0
    total: int = 0
    sampling_s: float = 0.0
    sampling_began_s: float | None = None
    remaining_s: float = 0.0
    """Seconds of samples that are left, by the session's own estimate."""
    last_event_s: float = 0.0

    def left_s(self, now_s: float) -> float:
        """Return the seconds of the session that are left."""
        if self.sampling_began_s is not None:
            return max(0.0, self.remaining_s * self._overhead() - (now_s - self.last_event_s))
        return self._preparing_left_s() + self.sampling_s * self.usual_overhead

    def contestant(self, index: int, now_s: float) -> None:
        """Take down that contestant ``index`` begins, and what the one before it took."""
        if index:
            self.preparing_s.append(now_s - self.last_event_s)
        self.prepared, self.last_event_s = index, now_s

    def _preparing_left_s(self) -> float:
        waiting = self.total - self.prepared
        if len(self.before_s) == self.total:
            past_s = sum(self.before_s[: self.prepared])
            pace = sum(self.preparing_s) / past_s if past_s else 1.0
            return pace * sum(self.before_s[self.prepared :])
        known = self.preparing_s or self.before_s
        return waiting * median(known) if known else 0.0

    def next(self, now_s: float) -> _Session:
        """Return a session that begins now and expects what this one has shown."""
        return _Session(self._overhead(), tuple(self.preparing_s), last_event_s=now_s)

    def _overhead(self) -> float:
        """Return the real seconds per second of samples."""
        sampled_s = self.sampling_s - self.remaining_s
        if self.sampling_began_s is None or sampled_s <= ENOUGH_SAMPLES * self.sampling_s:
            return self.usual_overhead
        return (self.last_event_s - self.sampling_began_s) / sampled_s


class Estimate:
    """Follows the events of a command; ``remaining_s`` is None before anything is known."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock of the command at its first event."""
        self._clock = clock
        self._began_s: float | None = None
        self._outer = Part("")
        self._inner = Part("", inner=True)
        self._session: _Session | None = None
        self._before: _Session | None = None
        """The session before, of this part or of an earlier one."""

    @property
    def title(self) -> str:
        """What the events now are of: ``problem 2/5, probing layers, ``; empty for no part."""
        names = filter(None, (self._outer.name, self._inner.name))
        return "".join(f"{name}, " for name in names)

    def see(self, event: Event) -> None:
        """Take one event, at the time at which it happened."""
        now_s = self._clock()
        if self._began_s is None:
            self._began_s = now_s
        if isinstance(event, Part):
            self._begin_part(event)
        elif isinstance(event, Started):
            if self._session is None or event.index <= self._session.prepared:
                self._before = self._session or self._before
                self._session = (
                    self._before.next(now_s) if self._before else _Session(last_event_s=now_s)
                )
            session = self._session
            session.contestant(event.index, now_s)
            session.total, session.sampling_s = event.total, event.sampling_s
        elif isinstance(event, Sampled) and self._session is not None:
            session = self._session
            if session.sampling_began_s is None:
                session.preparing_s.append(now_s - session.last_event_s)
                session.sampling_began_s = now_s
                session.sampling_s = event.remaining_s
            session.remaining_s, session.last_event_s = event.remaining_s, now_s

    def _begin_part(self, part: Part) -> None:
        if part.inner:
            self._inner = part
        else:
            self._outer, self._inner = part, Part("", inner=True)
        self._session, self._before = None, self._session or self._before

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the end of the command; None where no session has begun yet."""
        if self._began_s is None:
            return None
        now_s = self._clock()
        done = self._outer.done + self._outer.share * self._inner.done
        share = self._outer.share * self._inner.share
        left_s = self._session.left_s(now_s) if self._session is not None else None
        if left_s is None:
            return (now_s - self._began_s) * (1 - done) / done if done else None
        after = max(0.0, 1 - done - share)
        whole_s = now_s - self._began_s + left_s
        return left_s + whole_s * after / (done + share)
