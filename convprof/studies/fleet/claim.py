"""The claim on a host: of all tasks of all users on one host, one measures at a time.

The lock is the kernel's: a process that is killed gives its claim back. The process that measures
inherits the lock, so that a claim ends with the measurement even if the worker ends before.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.errors import ConvprofError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "convprof-host.lock"


def lock_file() -> Path:
    """Return the file whose lock is the claim: one for all users of the host."""
    return Path(tempfile.gettempdir()) / NAME


@contextlib.contextmanager
def claimed() -> Iterator[int]:
    """Wait until no other task measures on this host; yield the descriptor of the lock."""
    try:
        import fcntl
    except ImportError:
        raise ConvprofError("a host of a fleet needs a POSIX system (Linux, macOS)") from None
    try:
        descriptor = _opened()
    except OSError as error:
        raise ConvprofError(f"{lock_file()}: the host cannot be claimed: {error}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _opened() -> int:
    """Open the file to read: that is enough for a lock, also of a file of another user."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(lock_file(), flags)
    except FileNotFoundError:
        descriptor = os.open(lock_file(), flags | os.O_CREAT, 0o644)
        with contextlib.suppress(OSError):  # another user has made the file meanwhile
            os.fchmod(descriptor, 0o644)  # whatever the umask of this user is
        return descriptor
