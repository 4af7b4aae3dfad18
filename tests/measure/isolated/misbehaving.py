"""Strategies that misbehave at a call, and the process that they take down.

Run as a script, the module is a contestant's process which finds these strategies.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import time
from pathlib import Path

from convprof.errors import RefusedError, ThreadsError, ToolchainError
from convprof.measure.isolated import worker
from convprof.strategies.base import Prepared, Role, Strategy

LATE = 5
"""A call that is after the preparation: the first call and the warm-up are fewer."""


def ud2():
    """Execute an instruction that no CPU has."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\x0f\x0b" if os.uname().machine == "x86_64" else b"\x00\x00\x00\x00")
    ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()


MARK = "MISBEHAVING_MARK"
"""The variable with the file that says that a strategy was prepared before."""


def crash_again():
    """Execute an invalid instruction, but for the first time."""
    mark = Path(os.environ[MARK])
    if mark.exists():
        ud2()
    mark.touch()


def speak(text):
    os.write(2, text)
    os._exit(3)


def raised(error):
    raise error


DEEDS = {
    "honest": lambda: None,
    "segv": lambda: ctypes.string_at(0),
    "ill": ud2,
    "again": crash_again,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exits": lambda: speak(b"a library\n  says \x1b[31mgood-bye\n\n"),
    "hangs": lambda: time.sleep(1e4),
    "raises": lambda: raised(ValueError("first line\nsecond line")),
    "refuses": lambda: raised(RefusedError("not today")),
    "threads": lambda: raised(ThreadsError("no more threads")),
    "toolchain": lambda: raised(ToolchainError("no LLVM")),
    "prints": lambda: os.write(1, b"noise of a library\n"),
}


class MisbehavingPrepared(Prepared):
    times_phases = True
    note = "computes here"
    explanation = ("chosen by a test",)

    def __init__(self, strategy, problem, setting):
        self.problem, self.setting = problem, setting
        self.deed, self.when = strategy.deed, strategy.when
        self.calls = 0
        if self.when == 0:
            DEEDS[self.deed]()

    def bind(self, x, weights):
        nchw = x if self.setting.layout == "nchw" else x.transpose(0, 3, 1, 2)
        y = self.problem.reference((nchw, weights)).astype(x.dtype)
        self.y = y if self.setting.layout == "nchw" else y.transpose(0, 2, 3, 1)

    def run(self):
        self.calls += 1
        time.sleep(1e-3)
        if self.calls == self.when:
            DEEDS[self.deed]()

    def output(self):
        return self.y

    def run_phases(self):
        return {"all": 1e-3}


class Misbehaving(Strategy):
    """``segv-5`` does the deed at call 5, and with 0 when it is prepared."""

    kind = "conv2d"
    summary = "a deed"

    def __init__(self, name):
        self.name = name
        self.deed, _, when = name.partition("-")
        self.when = int(when or 0)

    def prepare(self, problem, setting):
        return MisbehavingPrepared(self, problem, setting)


class InLibrary(Misbehaving):
    """The same as the code of a library."""

    role = Role.LIBRARY
    packages = ("misbehaving",)


if __name__ == "__main__":
    if sys.argv[1:] == ["garbage"]:
        sys.stdin.readline()
        sys.stdout.buffer.write(b"\xff\xfe{]\n")
        sys.stdout.flush()
        time.sleep(1e4)
    worker.serve(lambda _kind, name: Misbehaving(name))
