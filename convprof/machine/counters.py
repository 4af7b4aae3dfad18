"""Hardware cycle counts through Linux's ``perf_event_open``, where the kernel allows it.

The kernel shares few hardware counters among many events: it lets each count for a part of the
time. A reading therefore carries how long the event was enabled and how long it counted. The
event of a hybrid CPU's performance cores does not count at all on an efficiency core.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from dataclasses import dataclass
from typing import ClassVar

_SYSCALL = {"x86_64": 298, "aarch64": 241}
_PERF_TYPE_HARDWARE = 0
_PERF_COUNT_HW_CPU_CYCLES = 0
_ATTR_BYTES = 64  # PERF_ATTR_SIZE_VER0, understood by every kernel since 2.6.31
_EXCLUDE_KERNEL_AND_HV = (1 << 5) | (1 << 6)
_TIMES_ENABLED_AND_RUNNING = (1 << 0) | (1 << 1)
_READING = struct.Struct("=QQQ")  # value, time enabled, time running

WHOLE = 0.99
"""A counter that ran for this share of its time missed nothing that matters."""

_FORBIDDEN = "the kernel forbids it (see /proc/sys/kernel/perf_event_paranoid)"
_REASONS = {
    errno.ENOENT: "this machine offers no cycle counter, as many virtual machines do not",
    errno.ENOSYS: "the kernel has no perf_event_open",
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
}


@dataclass(frozen=True, slots=True)
class Count:
    """Cycles, and the times in nanoseconds for which the event was enabled and counted."""

    cycles: int = 0
    enabled_ns: int = 0
    running_ns: int = 0

    def __sub__(self, other: Count) -> Count:
        """Return what was counted since an earlier reading."""
        return Count(
            self.cycles - other.cycles,
            self.enabled_ns - other.enabled_ns,
            self.running_ns - other.running_ns,
        )

    def __add__(self, other: Count) -> Count:
        """Return what was counted in two stretches of time."""
        return Count(
            self.cycles + other.cycles,
            self.enabled_ns + other.enabled_ns,
            self.running_ns + other.running_ns,
        )

    @property
    def whole(self) -> bool:
        """Whether the counter counted, and for all of its time."""
        return self.cycles > 0 and self.running_ns >= max(1, WHOLE * self.enabled_ns)


class CycleCounter:
    """User-space core cycles of the calling thread since it was opened."""

    last_refusal: ClassVar[str | None] = None

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def open(cls) -> CycleCounter | None:
        """Return a running counter, or None; ``last_refusal`` then says why."""
        number = _SYSCALL.get(platform.machine())
        if sys.platform != "linux" or number is None:
            cls.last_refusal = f"perf_event_open is not known on {sys.platform}"
            return None
        attributes = struct.pack(
            "=IIQQQQQ", _PERF_TYPE_HARDWARE, _ATTR_BYTES, _PERF_COUNT_HW_CPU_CYCLES, 0, 0,
            _TIMES_ENABLED_AND_RUNNING, _EXCLUDE_KERNEL_AND_HV,
        ).ljust(_ATTR_BYTES, b"\0")  # fmt: skip
        libc = ctypes.CDLL(None, use_errno=True)
        # this thread, whichever CPU it is on, no group, no flags
        descriptor = libc.syscall(number, attributes, 0, -1, -1, 0)
        if descriptor < 0:
            number = ctypes.get_errno()
            cls.last_refusal = _REASONS.get(number, os.strerror(number))
            return None
        counter = cls(descriptor)
        if counter.read() is None:
            cls.last_refusal = "the counter does not count"
            counter.close()
            return None
        return counter

    def read(self) -> Count | None:
        """Return the count so far, or None if the counter does not count (it reads 0)."""
        try:
            data = os.read(self._descriptor, _READING.size)
        except OSError:
            return None
        if len(data) != _READING.size:
            return None
        count = Count(*_READING.unpack(data))
        return count if count.cycles else None

    def close(self) -> None:
        """Close the counter."""
        os.close(self._descriptor)
