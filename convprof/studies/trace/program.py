"""Run a program as if a shell had started it, and take the lines of libraries out of its stdout."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.problems.batch_text import plain
from convprof.studies.trace.separator import Separator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Log = Callable[[bytes], object]
    """Takes lines; never raises, because the program goes on."""

_PIECE = 1 << 16
_PAUSE_S = 0.05
"""After this time without output, a half line is shown: it may be a question to the user."""
_AFTER_S = 1.0
"""How long a process that the program has left behind may keep stdout silent."""
_SIGNAL = 128
"""A shell adds this to the number of the signal that ended a program."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    exit_code: int
    """As a shell reports it: 128 + the number of the signal that ended the program."""
    seconds: float


def executable(command: Sequence[str]) -> str:
    """Return the file of a command; InputError without one."""
    if os.name != "posix":
        raise InputError(
            "trace runs programs on POSIX systems only; here, log the program yourself"
        )
    path = shutil.which(command[0])
    if path is None:
        raise InputError(
            f"{plain(command[0])}: there is no such program; a script needs its interpreter, such "
            "as python, in front of it"
        )
    return path


class Program:
    """One run of a program; ``send`` may be called by a signal handler meanwhile."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command, self._environment = list(command), dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        """Signals that came before the program began."""
        self._terminals: tuple[int, int] | None = None
        """The descriptors of the user's terminal and of the program's."""

    def send(self, number: int) -> None:
        """Send a signal to the program."""
        if self._process is None:
            self._early.append(number)
            return
        if self._terminals is not None:
            _copy_size(*self._terminals)
        self._process.send_signal(number)

    def run(self, output: int | None, log: Log | None = None) -> Ended:
        """Run to the end; stdin and stderr are inherited.

        ``output``: the descriptor of stdout; None: nothing of the program is seen, and it reads
        nothing. ``log``: takes the lines of libraries; None: stdout is not looked at.
        """
        began = time.perf_counter()
        if output is None:
            nowhere = subprocess.DEVNULL
            self._start(nowhere, stdin=nowhere, stderr=nowhere)
        elif log is None:
            self._start(output)
        else:
            with _pipe(output) as (reader, writer):
                if os.isatty(writer):
                    self._terminals = (output, writer)
                self._start(writer)
                os.close(writer)
                self._separate(reader, output, log)
        code = self._wait()
        return Ended(code if code >= 0 else _SIGNAL - code, time.perf_counter() - began)

    def _start(self, stdout: int, *, stdin: int | None = None, stderr: int | None = None) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603  # the user's own command line
                self._command,
                executable=executable(self._command),
                env=self._environment,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
            )
        except OSError as error:
            raise InputError(f"{plain(self._command[0])}: {error.strerror or error}") from None
        for number in self._early:
            self._process.send_signal(number)

    def _wait(self) -> int:
        if self._process is None:
            raise RuntimeError("the program was not started")
        self._terminals = None
        return self._process.wait()

    def _separate(self, reader: int, output: int, log: Log) -> None:
        """Copy the program's own output until the last process has closed its end."""
        separator, silent_s = Separator(), 0.0
        while True:
            if not select.select([reader], [], [], _PAUSE_S)[0]:
                if separator.waiting:
                    _write(output, separator.release())
                silent_s += _PAUSE_S
                over = self._process is not None and self._process.poll() is not None
                if over and silent_s >= _AFTER_S:
                    break
                continue
            silent_s = 0.0
            data = _read(reader)
            own, lines = separator.feed(data) if data else separator.end()
            log(lines)
            if not _write(output, own) or not data:
                break


@contextlib.contextmanager
def _pipe(output: int) -> Iterator[tuple[int, int]]:
    """Open both ends of a pipe, or of a terminal if the output is a terminal.

    The caller closes the end for writing.
    """
    reader, writer = _terminal(output) if os.isatty(output) else os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)


def _terminal(output: int) -> tuple[int, int]:
    """Return the ends of a terminal that has the size of another one and changes no byte."""
    import pty
    import termios

    reader, writer = pty.openpty()
    mode = termios.tcgetattr(writer)
    mode[1] &= ~termios.OPOST  # the user's terminal adds the carriage returns
    termios.tcsetattr(writer, termios.TCSANOW, mode)
    _copy_size(output, writer)
    return reader, writer


def _copy_size(source: int, target: int) -> None:
    import fcntl
    import termios

    with contextlib.suppress(OSError):
        size = fcntl.ioctl(source, termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(target, termios.TIOCSWINSZ, size)


def _read(reader: int) -> bytes:
    """Return the next bytes; nothing at the end."""
    try:
        return os.read(reader, _PIECE)
    except OSError as error:
        if error.errno == errno.EIO:  # the end of a terminal on Linux
            return b""
        raise


def _write(output: int, data: bytes) -> bool:
    """Write everything; return False if the reader has closed the pipe."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(output, view) :]
        except BrokenPipeError:
            return False
        except BlockingIOError:
            select.select([], [output], [])
    return True
