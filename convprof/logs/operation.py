"""What every log is read into: operations, their calls, and a count of what was not read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from convprof.errors import one_line

if TYPE_CHECKING:
    from convprof.problems.base import Problem

Event = Literal["execution", "creation", "cache hit"]
"""A call; the creation of a primitive or a session; its reuse from a cache."""

LONGEST_WORD = 160
"""Characters of a name or a shape that are kept."""
LONGEST_CALL_S = 1e7
"""A call of more than a hundred days is not a time."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of work in a log; equal operations are one row of a diagnosis."""

    library: str
    kind: str
    """The word of the library: ``convolution``, ``reorder``, ``aten::relu``."""
    text: str
    """The shape, or the name of a node, as the log has it."""
    types: str = ""
    """``f32``; ``u8:s8:f32`` where source, weights and result differ; empty if unknown."""
    layout: str = ""
    """``nchw``, or ``nchw->nChw16c`` where source and result differ; empty if unknown."""
    implementation: str = ""
    problem: Problem | None = field(default=None, compare=False)
    """The same as a problem of convprof, if it is one; the other fields determine it."""
    is_conversion: bool = field(default=False, compare=False)
    """Whether it only changes the order of elements in memory, or their type."""


class Span(NamedTuple):
    """When a call ran, and where, if the log tells."""

    begin_s: float
    seconds: float
    """From begin to end, with all that the call called."""
    thread: str


class Call(NamedTuple):
    """A line or an event of a log."""

    operation: Operation
    seconds: float
    event: Event
    span: Span | None = None


@dataclass(slots=True)
class Process:
    """One process that used a library: what the library prints at its first use."""

    library: str
    version: str = ""
    threads: int | None = None


@dataclass
class Reading:
    """Counts of what was read; complete after the last log."""

    lines: int = 0
    """Lines of text, or events."""
    foreign: int = 0
    """Lines of the program itself, and events that are not work of the CPU."""
    messages: int = 0
    """Lines of a library without a time: versions, errors, reasons."""
    nested: int = 0
    """Times that are part of another one."""
    unread: int = 0
    """Lines and events of a library that could not be read: cut, mixed up, of an unknown form."""
    calls: int = 0
    processes: list[Process] = field(default_factory=list)

    def begin(self, library: str, version: str = "") -> None:
        """Note that another process began to use a library."""
        if len(self.processes) < _MOST_PROCESSES:
            self.processes.append(Process(library, word(version)))

    def on_threads(self, library: str, threads: int) -> None:
        """Note the number of threads of the last process that uses the library."""
        if not 1 <= threads <= _MOST_THREADS:
            return
        for process in reversed(self.processes):
            if process.library == library:
                process.threads = max(threads, process.threads or 0)
                return
        self.processes.append(Process(library, threads=threads))

    def processes_of(self, library: str) -> int:
        """Return how many processes used the library, at least 1."""
        return max(1, sum(process.library == library for process in self.processes))

    @property
    def threads(self) -> int | None:
        """The largest number of threads of a process; None if it is not in the log."""
        counts = [process.threads for process in self.processes if process.threads is not None]
        return max(counts, default=None)


_MOST_PROCESSES = 10_000
_MOST_THREADS = 1 << 16
_LARGEST = 1e20


def word(text: str) -> str:
    """Return a text of a log that a terminal can show: printable, and not too long."""
    short = text if len(text) <= LONGEST_WORD else f"{text[: LONGEST_WORD - 3]}..."
    return short if short.isprintable() else one_line(short)


def number(value: object) -> float | None:
    """Return a number of a JSON event; None for another value, or a number that is too large."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST else None


def is_time(seconds: float) -> bool:
    """Whether a number can be the time of a call; NaN cannot."""
    return 0 <= seconds < LONGEST_CALL_S
