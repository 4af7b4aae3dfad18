"""A process that answers requests, until it ends or takes too long."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from convprof.errors import ConvprofError, InputError, one_line
from convprof.json_checks import count, decoded, mapping, number
from convprof.machine import activity
from convprof.measure.bench import BenchError
from convprof.measure.isolated.messages import error_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

COMMAND = (sys.executable, "-P", "-m", "convprof.measure.isolated.worker")
LONGEST_REPLY = 1 << 20
"""Bytes of a line."""
READ_BYTES = 1 << 20
LONGEST_WORDS = 200
"""Characters of what a process wrote on standard error before it ended."""
END_S = 2.0
"""The longest time, in seconds, from the closed pipe of a process to its end."""
POLL_S = 1e-3
"""Between two looks whether a process has ended."""
VMSTAT = Path("/proc/vmstat")
IS_SUPPORTED = os.name == "posix"
"""Whether this system has what the processes need: groups, signals, polls of pipes."""


class EndedError(BenchError):
    """A process has ended before it answered."""


class NoAnswerError(BenchError):
    """A process did not answer in time, and was ended."""


class Process:
    """Started anew, in a session of its own: Ctrl-C reaches this process only."""

    def __init__(
        self,
        limit_s: float,
        command: tuple[str, ...] = (),
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``limit_s``: seconds that an answer may take beyond the computation.

        ``variables``: environment variables beyond the ones of this process.
        """
        if not IS_SUPPORTED:
            raise ConvprofError("other processes need a POSIX system (Linux, macOS)")
        self._limit_s = limit_s
        self._read = bytearray()
        self._killed_before = _killed_for_memory()
        self._errors: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        self._old_errors = 0
        """Bytes that it wrote on standard error before the last reply."""
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own module, or the user's Python
                command or COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, **variables},
                bufsize=0,
                start_new_session=True,
            )
        except OSError:
            self._errors.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)

    @property
    def runs(self) -> bool:
        """Whether it can answer another request."""
        return not self._is_closed and not self._has_ended(0.0)

    @property
    def has_ended_unasked(self) -> bool:
        """Whether it has ended although no request was under way."""
        return not self._is_closed and self._has_ended(0.0)

    def exchange(self, request: dict[str, Any], expected_s: float = 0.0) -> dict[str, Any]:
        """Return the reply to a request; its work is expected to take ``expected_s`` seconds.

        Raises what the contestant raised; BenchError if the process ends, takes too long, or
        replies anything else. The process is ended then.
        """
        return self.exchange_with_data(request, expected_s, 0)[0]

    def exchange_with_data(
        self, request: dict[str, Any], expected_s: float, size: int
    ) -> tuple[dict[str, Any], bytes]:
        """Return the reply and the ``size`` bytes that follow it; see ``exchange``."""
        limit_s = self._limit_s + expected_s
        deadline = time.monotonic() + limit_s
        try:
            self._send(json.dumps(request).encode() + b"\n")
            reply = mapping(decoded(self._line(deadline, limit_s), LONGEST_REPLY))
            activity.note_child(self._process.pid, number(reply.get("cpu_s")))
            self._old_errors = count(reply.get("errors", 0), 0)
            error = error_from(reply)
            data = b"" if error else self._data(reply, size, deadline, limit_s)
        except InputError as wrong:
            self.close()
            raise BenchError(f"its process did not answer in the agreed form: {wrong}") from None
        except BaseException:  # of a signal too: the rest would be taken for the next reply
            self.close()
            raise
        if error is not None:
            raise error
        return reply, data

    def close(self) -> None:
        """End the process, and the processes that it has started, at once."""
        if not self._is_closed:
            with contextlib.suppress(OSError):  # every process of the group has ended
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        activity.forget_child(self._process.pid)
        for file in (self._process.stdin, self._process.stdout, self._errors):
            if file is not None:
                file.close()

    @property
    def _is_closed(self) -> bool:
        return self._process.stdout is None or self._process.stdout.closed

    @property
    def _stdout(self) -> int:
        return -1 if self._process.stdout is None else self._process.stdout.fileno()

    def _send(self, line: bytes) -> None:
        if self._is_closed or self._process.stdin is None or self._has_ended(0.0):
            raise self.ended()
        try:
            self._process.stdin.write(line)
        except OSError:  # it has ended
            raise self.ended() from None

    def _data(self, reply: dict[str, Any], size: int, deadline: float, limit_s: float) -> bytes:
        """Return the bytes after a line; InputError if their number is not ``size``."""
        if count(reply.get("bytes", 0), 0) != size:
            raise InputError("its result has another size")
        while len(self._read) < size:
            self._receive(deadline, limit_s)
        data = bytes(self._read[:size])
        del self._read[:size]
        return data

    def _line(self, deadline: float, limit_s: float) -> bytes:
        while (end := self._read.find(b"\n")) < 0:
            if len(self._read) > LONGEST_REPLY:
                raise InputError("its line is too long")
            self._receive(deadline, limit_s)
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line

    def _receive(self, deadline: float, limit_s: float) -> None:
        """Read what has arrived; BenchError if the process has ended, or nothing arrives.

        ``limit_s``: seconds from the request to the deadline.
        """
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not self._poll.poll(1000 * left_s):
            if self._has_ended(0.0):  # and what it has started holds the pipe
                raise self.ended()
            self.close()
            raise NoAnswerError(f"no answer for {limit_s:.6g} s: its process was ended")
        data = os.read(self._stdout, READ_BYTES)
        if not data:
            raise self.ended()
        self._read += data

    def ended(self) -> BenchError:
        """Return how the process ended, with the last line that it printed."""
        if self._is_closed:
            return EndedError("its process was ended before")
        if not self._has_ended(END_S):
            self.close()
            return BenchError("it closed its pipe: its process was ended")
        memory = _killed_for_memory() > self._killed_before
        last = last_line(self._errors, self._old_errors)
        self.close()
        text = ending(self._process.wait(), memory=memory)
        return EndedError(f"{text}: {last}" if last else text)

    def _has_ended(self, within_s: float) -> bool:
        """Whether the process ends within a time.

        Its return code is not collected here (macOS: from Python 3.13 on): until `close` does so,
        the system gives the number of its group to no other process.
        """
        deadline = time.monotonic() + within_s
        while not self._ends():
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _ends(self) -> bool:
        if self._process.returncode is not None or not hasattr(os, "waitid"):
            return self._process.poll() is not None
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, self._process.pid, options) is not None


def last_line(errors: BinaryIO, begin: int = 0) -> str:
    """Return the last line that a process wrote into a file after ``begin`` bytes."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(begin, size - (1 << 12)))
    lines = errors.read().decode(errors="replace").strip().split("\n")
    return one_line(lines[-1].strip())[:LONGEST_WORDS]


def ending(code: int, *, memory: bool) -> str:
    """Return how a process with this return code ended.

    ``memory``: the kernel has meanwhile ended a process because memory ran out.
    """
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        ended_by = signal.Signals(-code)
    except ValueError:  # a real-time signal
        return f"signal {-code} ended its process"
    why = "out of memory" if memory and ended_by == signal.SIGKILL else signal.strsignal(ended_by)
    return f"{ended_by.name} ended its process ({(why or '').lower()})"


def _killed_for_memory() -> int:
    """Return how many processes the kernel has ended because memory ran out; 0 if unknown."""
    try:
        lines = VMSTAT.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    counts = [line.split()[1] for line in lines if line.startswith("oom_kill ")]
    return int(counts[0]) if counts else 0
