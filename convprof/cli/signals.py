"""SIGINT, SIGTERM and SIGHUP all end a command: its measurements are written and printed.

The first signal raises ``Interrupted``. Until the files are written, further signals wait.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")
_FROM_KEYS = (signal.SIGINT, getattr(signal, "SIGQUIT", None))
"""Signals that a terminal sends when keys are pressed."""
_INSISTENT = 3
"""After this number of signals over more than ``_INSISTENT_S`` a command ends even while it writes:
some disks never answer."""
_INSISTENT_S = 1.0
EXIT_INTERRUPTED = 128 + signal.SIGINT


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command has arrived."""


class _State:
    """The signals that have arrived."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The first signal."""
        self.since = 0.0
        self.waiting = 0
        """Signals that came while signals had to wait."""
        self.open = True
        """Whether a signal raises."""
        self.writing = 0


_state = _State()


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Let the three signals raise ``Interrupted``; an ignored signal (nohup) stays ignored."""
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
        with _swallowed_silently():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _swallowed_silently() -> Iterator[None]:
    """Print no traceback of a signal that arrives where Python cannot raise: `check` raises later.

    That is in a destructor, or in a function that compiled code calls.
    """
    usual = sys.unraisablehook

    def show(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            usual(unraisable)

    sys.unraisablehook = show
    try:
        yield
    finally:
        sys.unraisablehook = usual


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


@contextlib.contextmanager
def forwarded(send: Callable[[int], None]) -> Iterator[None]:
    """Let signals call ``send`` inside the block: a program runs in the foreground.

    Ctrl-C reaches the program without help: the terminal sends it to all processes in the
    foreground.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def arrived(number: int, _frame: object) -> None:
        if number not in _FROM_KEYS or not _in_foreground():
            send(number)

    before: dict[int, Any] = {}
    try:
        for name in _FORWARDED:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, arrived)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether the terminal of this process sends it what is typed."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def check() -> None:
    """Raise ``Interrupted`` if a signal has arrived whose exception was swallowed by other code."""
    if _state.number is not None:
        raise Interrupted


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Let signals wait inside the block; a signal that came meanwhile raises at its end.

    After an earlier signal has raised, all signals wait for ``reopen``.
    """
    _state.writing += 1
    try:
        yield
    finally:
        _state.writing -= 1
    _raise_waiting()


def reopen() -> None:
    """Let signals raise again after the files are written; a waiting signal raises now."""
    _state.open = True
    _raise_waiting()


def _raise_waiting() -> None:
    if _state.waiting and _state.open and not _state.writing:
        _state.waiting, _state.open = 0, False
        raise Interrupted


def name() -> str | None:
    """Return the name of the first signal that arrived; None for Ctrl-C or no signal."""
    if _state.number in (None, signal.SIGINT):
        return None
    return signal.Signals(_state.number).name


def exit_code() -> int:
    """Return the exit code of an interrupted command: 130, 143 or 129."""
    return EXIT_INTERRUPTED if _state.number is None else 128 + _state.number
