"""Hostile inputs of every kind that convprof reads, and what counts as right.

Right is an answer, or an InputError whose message is one printable line; within ``LONGEST_S`` of
processor time and ``MOST_BYTES`` of further memory. ``test_fuzz.py`` tries a few hundred inputs of
each reader, ``tests/benchmarks/fuzz.py`` as many as it is told to.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis import strategies as st

LONGEST_S = 5.0
MOST_BYTES = 1 << 30
ACCEPTED, REFUSED = "accepted", "refused"


class TooSlowError(BaseException):
    """Raised in the middle of a reader; no ``except Exception`` takes it for a broken file."""


@dataclass(frozen=True)
class Reader:
    """Something that reads what strangers may have written."""

    name: str
    inputs: Callable[[], st.SearchStrategy[Any]]
    read: Callable[[Any, Path], bool]
    """Read an input, which may be written to a folder; whether it was accepted."""
    needs: str | None = None
    """A package without which there is nothing to try."""


def judge(reader: Reader, value: Any, folder: Path) -> str:
    """Return what became of an input; anything but an answer or a clear refusal is raised."""
    with warnings.catch_warnings(), within_bounds():
        warnings.simplefilter("ignore")
        try:
            accepted = reader.read(value, folder)
        except InputError as error:
            message = str(error)
            assert message, "an empty message"
            assert message.isprintable(), f"not one printable line: {message!r}"
            return REFUSED
    return ACCEPTED if accepted else REFUSED


@contextlib.contextmanager
def within_bounds() -> Iterator[None]:
    """Stop what takes too long or too much memory, where the system can."""
    with _limited_time(), _limited_memory():
        yield


@contextlib.contextmanager
def _limited_time() -> Iterator[None]:
    if not hasattr(signal, "SIGVTALRM"):
        yield
        return

    def stop(*_: object) -> None:
        raise TooSlowError(f"more than {LONGEST_S:g} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextlib.contextmanager
def _limited_memory() -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    now = int(pages) * resource.getpagesize()
    most = now + MOST_BYTES
    for limit in (soft, hard):
        most = most if limit == resource.RLIM_INFINITY else min(most, limit)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
