"""SIGINT, SIGTERM and SIGHUP end a command alike: what was measured is written and printed.

The first signal raises ``Interrupted``. Until the files are written, further ones wait.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_INSISTENT = 3
"""This many signals over more than ``_INSISTENT_S`` end a command even while it writes: some disks
never answer."""
_INSISTENT_S = 1.0
EXIT_INTERRUPTED = 128 + signal.SIGINT


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command has arrived."""


class _State:
    """What has arrived."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The first signal."""
        self.since = 0.0
        self.waiting = 0
        """Signals that came while none was let through."""
        self.open = True
        """Whether a signal raises."""
        self.writing = 0


_state = _State()


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Let the three signals raise ``Interrupted``; one that is ignored (nohup) stays ignored."""
    global _state  # noqa: PLW0603  # signals belong to the process
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state = _State()
    before: dict[int, Any] = {}
    try:
        for name in _NAMES:
            number = getattr(signal, name, None)
            known = number is not None and signal.getsignal(number)
            if number is not None and known not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, _arrived)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _arrived(number: int, _frame: object) -> None:
    now = time.monotonic()
    if _state.number is None:
        _state.number, _state.since = number, now
    if _state.open and not _state.writing:
        _state.open = False
        raise Interrupted
    _state.waiting += 1
    if _state.waiting >= _INSISTENT and now - _state.since > _INSISTENT_S:
        raise Interrupted


def check() -> None:
    """Raise ``Interrupted`` if a signal has arrived that somebody swallowed on its way up."""
    if _state.number is not None:
        raise Interrupted


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Keep signals waiting inside the block; at its end one that came meanwhile raises.

    Unless one has raised before: then all wait for ``reopen``.
    """
    _state.writing += 1
    try:
        yield
    finally:
        _state.writing -= 1
    _raise_waiting()


def reopen() -> None:
    """Let signals raise again: the files are written. One that waits raises now."""
    _state.open = True
    _raise_waiting()


def _raise_waiting() -> None:
    if _state.waiting and _state.open and not _state.writing:
        _state.waiting, _state.open = 0, False
        raise Interrupted


def name() -> str | None:
    """Return the name of the first signal that arrived; None for Ctrl-C and for none."""
    if _state.number in (None, signal.SIGINT):
        return None
    return signal.Signals(_state.number).name


def exit_code() -> int:
    """Return the exit code of an interrupted command: 130, 143 or 129."""
    return EXIT_INTERRUPTED if _state.number is None else 128 + _state.number
