"""Whole programs, timed from their start to their end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from convprof.errors import ConvprofError
from convprof.measure.isolated.process import ending, last_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

_POLL_S = 1e-3


class ProgramError(Exception):
    """A program did not start, failed or took too long; the message is the reason."""


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """One run of a program that ended with exit code 0."""

    seconds: float
    """From the start of the process to its end."""
    processor_s: float
    """Of the program and the programs that it has started, on all CPUs."""


def run(words: Sequence[str], variables: Mapping[str, str], limit_s: float) -> ProgramRun:
    """Run a program to its end; ProgramError if it fails or takes over ``limit_s`` seconds.

    It reads nothing, and its output is discarded. What it has started ends with it.
    """
    if os.name != "posix":
        raise ConvprofError("whole programs are timed on POSIX systems (Linux, macOS)")
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = _started(words, variables, errors)
        late = threading.Event()

        def end() -> None:
            late.set()
            _kill(process.pid)

        timer = threading.Timer(limit_s, end)
        timer.start()
        try:
            _wait(process.pid)
            seconds = time.perf_counter() - start
        finally:
            timer.cancel()
            _kill(process.pid)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if late.is_set():
            raise ProgramError(f"it did not end within {limit_s:.6g} s")
        if process.returncode:
            raise ProgramError(_reason(process.returncode, errors))
    return ProgramRun(seconds, usage.ru_utime + usage.ru_stime)


def _started(
    words: Sequence[str], variables: Mapping[str, str], errors: BinaryIO
) -> subprocess.Popen[bytes]:
    """Start the program in a session of its own: Ctrl-C reaches this process only."""
    nothing = subprocess.DEVNULL
    try:
        return subprocess.Popen(  # noqa: S603  # the user's own command line
            list(words),
            env=dict(variables),
            stdin=nothing,
            stdout=nothing,
            stderr=errors,
            start_new_session=True,
        )
    except OSError as error:
        raise ProgramError(f"it cannot be started: {error.strerror or error}") from None


def _wait(pid: int) -> None:
    """Wait for the end of the program, without collecting its exit code.

    Until the code is collected, the system gives the number of its group to no other process.
    """
    if hasattr(os, "waitid"):  # macOS: from Python 3.13 on
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(_POLL_S)


def _kill(pid: int) -> None:
    """End the program and what it has started."""
    with contextlib.suppress(OSError):  # every process of the group has ended
        os.killpg(pid, signal.SIGKILL)


def _reason(code: int, errors: BinaryIO) -> str:
    """Return how the program ended, with the last line that it printed."""
    last, text = last_line(errors), ending(code, memory=False)
    return f"{text}: {last}" if last else text
