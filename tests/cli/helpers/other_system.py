"""Takes away what another system lacks, then runs commands, all in one process.

    python other_system.py windows|macos|sandbox < commands.json

Prints a JSON document: for each command the exit code, the last line on stderr, and all of it where
it has a traceback. The libraries below are imported before: what they do there is not the question.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import io
import json
import os
import pathlib
import platform
import signal
import sys

import click  # noqa: F401
import numba  # noqa: F401  # as the others, it asks for the system while it is imported
import psutil  # noqa: F401
import rich.console  # noqa: F401
import threadpoolctl

MODULES = ("fcntl", "resource", "termios", "pwd", "grp", "pty")
OF_OS = (
    *("fork", "register_at_fork", "killpg", "setsid", "waitid", "wait4", "sched_getaffinity"),
    *("sched_setaffinity", "sched_yield", "getloadavg", "sysconf", "geteuid", "getuid", "fchmod"),
    *("uname", "mkfifo", "statvfs", "openpty", "pread", "O_NOFOLLOW", "O_CLOEXEC", "O_DIRECTORY"),
    *("posix_fallocate", "posix_fadvise", "getpgid", "chown"),
)
OF_SIGNAL = (
    *("SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGPIPE", "SIGCHLD"),
    *("SIGALRM", "SIGVTALRM", "setitimer", "pthread_sigmask", "pthread_kill", "alarm", "sigwait"),
)
HIDDEN = ("/proc", "/sys")
ALLOWED = ("psutil", "threadpoolctl")
"""Libraries that read there on Linux, and something else on other systems."""


def without(module: object, names: tuple[str, ...]) -> None:
    """Delete attributes of a module."""
    for name in names:
        if hasattr(module, name):
            delattr(module, name)


def hide_kernel_files() -> None:
    """Hide what Linux shows in /proc and /sys."""
    places = {os: ("open", "listdir", "scandir", "stat", "lstat", "readlink", "access")}
    for module, names in {**places, builtins: ("open",), io: ("open",)}.items():
        for name in names:
            setattr(module, name, _hiding(getattr(module, name)))


def _hiding(function):
    def hiding(path=".", *rest, **options):
        reader = sys._getframe(1).f_globals.get("__name__", "").partition(".")[0]
        if isinstance(path, str | os.PathLike) and reader not in ALLOWED:
            text = os.fspath(path)
            if text in HIDDEN or text.startswith(tuple(f"{each}/" for each in HIDDEN)):
                raise FileNotFoundError(2, "No such file or directory", text)
        return function(path, *rest, **options)

    return hiding


def without_own_library() -> None:
    """Let ``ctypes.CDLL(None)`` of convprof fail, as on Windows."""
    library = ctypes.CDLL

    class Loaded(library):
        def __init__(self, name, *rest, **options):
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if name is None and caller.startswith("convprof"):
                raise TypeError("bad argument type for built-in operation")
            super().__init__(name, *rest, **options)

    ctypes.CDLL = Loaded


def keep_thread_pools() -> None:
    """Let threadpoolctl find the libraries of this process as it does on Linux."""
    controller = threadpoolctl.ThreadpoolController
    load = controller._load_libraries

    def as_here(self):
        before, (sys.platform, os.name) = (sys.platform, os.name), ("linux", "posix")
        try:
            load(self)
        finally:
            sys.platform, os.name = before

    controller._load_libraries = as_here


def be(system: str) -> None:
    """Take away what a system lacks."""
    hide_kernel_files()
    if system == "sandbox":
        return
    keep_thread_pools()
    without(os, ("sched_getaffinity", "sched_setaffinity", "waitid"))
    if system == "macos":
        sys.platform = "darwin"
        platform.system = lambda: "Darwin"
        return
    for name in MODULES:
        sys.modules[name] = None
    without(os, OF_OS)
    without(signal, OF_SIGNAL)
    without_own_library()
    new = pathlib.Path.__new__
    posix, both = pathlib.PosixPath, pathlib.Path
    both.__new__ = lambda cls, *parts, **more: new(posix if cls is both else cls, *parts, **more)
    os.name, sys.platform = "nt", "win32"
    platform.system = lambda: "Windows"


def free_ceilings() -> None:
    """Let peaks and bandwidths cost nothing."""
    from convprof.machine import bandwidth, peaks
    from convprof.machine.peaks import Peak

    def peak(dtype, threads, bits, *, fused):
        return Peak("x", bits, dtype, threads, 1e11 * threads, None, None, None, fused)

    peaks.measure = peak
    bandwidth.measure = lambda *_, **__: iter(())


def main() -> None:
    """Run the commands."""
    commands = json.load(sys.stdin)
    be(sys.argv[1])
    from convprof import cli

    free_ceilings()
    found = {}
    for words in commands:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli._status(words)
        text = err.getvalue()
        last = text.strip().splitlines()[-1:]
        failed = [line for line in out.getvalue().splitlines() if line.startswith("failed: ")]
        found[" ".join(words)] = {
            "status": status,
            "last": "".join(last),
            "trace": text if "Traceback" in text else "",
            "failed": failed,
        }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
