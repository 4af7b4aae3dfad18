"""How many seconds of a command are left, estimated from what its parts have taken so far.

A session says how long its rounds will take, and what follows them: the phases of strategies, the
limits of the machine.

A contestant takes as long to prepare as in the session before, times the pace of this session: what
the session has taken so far over what the earlier session had taken by then. In the first session a
contestant takes the mean of the contestants before it, without what they loaded once: loop nests,
libraries and processes.
It takes no less than its first calls, where the session can predict them. The first contestant of a
command also imports what all others use, so it counts only while it is the only one. Timed searches
for a blocking and starts of processes are apart: a session says how many are left.

Parts of a command that have not begun take the seconds that ``Part`` gives; without, as long as the
parts before them, by the fractions of the command's time. What a command does once is left out: the
limits of the machine, what is loaded, and what the first session took longer to prepare than the
second one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convprof.measure.events import Auxiliary, Part, Sampled, Started

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.measure.events import Event

MOST_ALONE_S = 0.03
"""Seconds that are expected of the others after the first contestant, which also imports."""


@dataclass
class _Session:
    """The session under way: when its parts began, and what it said last."""

    before_s: tuple[float, ...] = ()
    """Seconds to prepare each contestant in the session before; empty if there was no session."""
    preparing_s: list[float] = field(default_factory=list)
    """Seconds that each contestant took, without timed searches."""
    again_s: list[float] = field(default_factory=list)
    """The same without what was loaded: as long as it would take again."""
    loaded_s: float = 0.0
    """Seconds that the command has spent on loading."""
    starting_s: float = 0.0
    """Seconds of the processes that are still to be started."""
    searched_s: float = 0.0
    """Seconds that the process has spent on timed searches."""
    searching_s: float = 0.0
    """Seconds of the timed searches of the contestants that are not prepared."""
    calling_s: float = 0.0
    """Seconds of the first calls of these contestants, by the session's own prediction."""
    predicted: int = 0
    """How many of these contestants have a prediction."""
    prepared: int = 0
    total: int = 0
    sampling_s: float = 0.0
    sampling_began_s: float | None = None
    remaining_s: float = 0.0
    """Seconds of the rounds that are left, by the session's own estimate."""
    after_s: float = 0.0
    """Seconds from the last sample to the end, by the session's own estimate."""
    last_event_s: float = 0.0

    def left_s(self, now_s: float) -> float:
        """Return the seconds of the session that are left."""
        if self.sampling_began_s is None:
            return self._preparing_left_s() + self.sampling_s + self.after_s
        expected_s = self.remaining_s + self.after_s
        return max(0.0, expected_s - (now_s - self.last_event_s))

    @property
    def known(self) -> float:
        """The fraction of the contestants that are prepared, or whose time is predicted."""
        if self.sampling_began_s is not None:
            return 1.0
        return min(1.0, (self.prepared + self.predicted) / max(1, self.total))

    def contestant(self, event: Started, now_s: float) -> None:
        """Record that a contestant begins, and the seconds of the contestant before it."""
        if event.index:
            seconds = now_s - self.last_event_s - (event.searched_s - self.searched_s)
            self._prepared(seconds, event.loaded_s - self.loaded_s)
        self.prepared, self.last_event_s, self.loaded_s = event.index, now_s, event.loaded_s
        self.searched_s, self.searching_s = event.searched_s, event.searching_s
        self.starting_s = event.starting_s
        self.calling_s, self.predicted = event.calling_s, event.predicted
        self.total, self.sampling_s, self.after_s = event.total, event.sampling_s, event.after_s

    def sample(self, event: Sampled, now_s: float) -> None:
        """Record a sample."""
        if self.sampling_began_s is None:
            self._prepared(now_s - self.last_event_s, 0.0)
            self.sampling_began_s, self.starting_s = now_s, 0.0
            self.sampling_s = event.remaining_s
        self.remaining_s, self.after_s = event.remaining_s, event.after_s
        self.last_event_s = now_s

    def after(self, left_s: float, now_s: float) -> None:
        """Record that the session is over in ``left_s``: it measures no more samples."""
        self.remaining_s, self.after_s, self.last_event_s = 0.0, left_s, now_s

    def _prepared(self, seconds: float, loading_s: float) -> None:
        self.preparing_s.append(max(0.0, seconds))
        self.again_s.append(max(0.0, seconds - loading_s))

    def _preparing_left_s(self) -> float:
        if len(self.before_s) == self.total:
            past_s = sum(self.before_s[: self.prepared])
            pace = sum(self.again_s) / past_s if past_s else 1.0
            usual_s = pace * sum(self.before_s[self.prepared :])
        else:
            each_s = _usual_s(self.again_s or self.before_s)
            if self.prepared == 1 and not self.before_s:
                each_s = min(each_s, MOST_ALONE_S)
            usual_s = (self.total - self.prepared) * each_s
        return self.starting_s + self.searching_s + max(usual_s, self.calling_s)

    def next(self, now_s: float) -> _Session:
        """Return a session that begins now and expects what this one has shown."""
        return _Session(tuple(self.again_s), last_event_s=now_s)


def _usual_s(preparing_s: Sequence[float]) -> float:
    """Return the mean seconds to prepare a contestant; 0 if none was prepared."""
    known = preparing_s[1:] or preparing_s
    return sum(known) / len(known) if known else 0.0


def _excess_s(sessions: Sequence[_Session]) -> float:
    """Return the seconds that the first session took for what later sessions find prepared."""
    if not sessions:
        return 0.0
    first = sessions[0].preparing_s
    again = sessions[1].preparing_s if len(sessions) > 1 else ()
    if again:
        return max(0.0, sum(first[: len(again)]) - sum(again[: len(first)]))
    return max(0.0, first[0] - _usual_s(first)) if first else 0.0


class Estimate:
    """Follows the events of a command; ``remaining_s`` is None before anything is known."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock of the command at its first event."""
        self._clock = clock
        self._began_s: float | None = None
        self._outer = Part("")
        self._inner = Part("", inner=True)
        self._part_began_s = 0.0
        self._session: _Session | None = None
        self._before: _Session | None = None
        """The session before, of this part or of an earlier one."""
        self._first: list[_Session] = []
        """The first two sessions of the command."""
        self._once_s = 0.0
        """Seconds of what was measured once."""
        self._once_began_s: float | None = None
        self._before_s: float | None = None
        """Seconds spent on loading before this command's first session."""
        self._loaded_s = 0.0
        """Seconds spent on loading since then."""

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
        self._count_once(event, now_s)
        if isinstance(event, Part):
            self._begin_part(event, now_s)
        elif isinstance(event, Started):
            if self._session is None or event.index <= self._session.prepared:
                self._begin_session(now_s)
            if self._session is not None:
                self._session.contestant(event, now_s)
            if self._before_s is None:
                self._before_s = event.loaded_s
            self._loaded_s = event.loaded_s - self._before_s
        elif isinstance(event, Sampled) and self._session is not None:
            self._session.sample(event, now_s)
        elif isinstance(event, Auxiliary):
            self._see_auxiliary(event, now_s)

    def _see_auxiliary(self, event: Auxiliary, now_s: float) -> None:
        if event.left_s is not None and self._session is not None:
            self._session.after(event.left_s, now_s)

    def _count_once(self, event: Event, now_s: float) -> None:
        """Add the time since the event before, if a figure was measured once meanwhile."""
        if self._once_began_s is not None:
            self._once_s += now_s - self._once_began_s
        once = isinstance(event, Auxiliary) and event.once
        self._once_began_s = now_s if once else None

    def _begin_part(self, part: Part, now_s: float) -> None:
        if part.inner:
            self._inner = part
        else:
            self._outer, self._inner = part, Part("", inner=True)
        self._part_began_s = now_s
        self._session, self._before = None, self._session or self._before

    def _begin_session(self, now_s: float) -> None:
        self._before = self._session or self._before
        begun = self._before.next(now_s) if self._before else _Session(last_event_s=now_s)
        self._session = begun
        if len(self._first) < 2:  # noqa: PLR2004  # as `_excess_s` compares
            self._first.append(begun)

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the end of the command; None where no session has begun yet."""
        if self._began_s is None:
            return None
        now_s = self._clock()
        done = self._outer.done + self._outer.share * self._inner.done
        share = self._outer.share * self._inner.share
        after = max(0.0, 1 - done - share)
        once_s = self._once_s + max(self._loaded_s, _excess_s(self._first))
        before_s = max(0.0, self._part_began_s - self._began_s - once_s)
        usual_s = before_s * share / done if done else None
        left_s = self._part_left_s(
            usual_s if self._outer.seconds is None else self._outer.seconds, now_s
        )
        if left_s is None:
            return None
        if self._outer.seconds is not None:
            return left_s + self._outer.after_s
        if self._session is None:
            return left_s + before_s * after / done
        whole_s = max(left_s, now_s - self._began_s - once_s + left_s) - self._session.starting_s
        return left_s + whole_s * after / (done + share)

    def _part_left_s(self, part_s: float | None, now_s: float) -> float | None:
        """Return the seconds of the part that are left; None if nothing is known.

        ``part_s`` is what the parts before let expect. A session knows better what is left of it
        the more of its contestants are prepared.
        """
        expected_s = None
        if part_s is not None:
            expected_s = max(0.0, part_s - (now_s - self._part_began_s))
        if self._session is None:
            return expected_s
        left_s, known = self._session.left_s(now_s), self._session.known
        if expected_s is None:
            return left_s
        least_s = 0.0 if known == 1 else self._session.sampling_s + self._session.calling_s
        return max(least_s, known * left_s + (1 - known) * expected_s)
