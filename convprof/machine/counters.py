"""Hardware cycle counts through Linux's ``perf_event_open``, where the kernel allows it."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import ClassVar

_SYSCALL = {"x86_64": 298, "aarch64": 241}
_PERF_TYPE_HARDWARE = 0
_PERF_COUNT_HW_CPU_CYCLES = 0
_ATTR_BYTES = 64  # PERF_ATTR_SIZE_VER0, understood by every kernel since 2.6.31
_EXCLUDE_KERNEL_AND_HV = (1 << 5) | (1 << 6)
_VALUE_BYTES = 8

_FORBIDDEN = "the kernel forbids it (see /proc/sys/kernel/perf_event_paranoid)"
_REASONS = {
    errno.ENOENT: "this machine offers no cycle counter, as many virtual machines do not",
    errno.ENOSYS: "the kernel has no perf_event_open",
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
}


class CycleCounter:
    """User-space core cycles of the calling thread since it was opened."""

    last_refusal: ClassVar[str | None] = None

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def open(cls) -> CycleCounter | None:
        """Return a running counter, or None where there is none; ``last_refusal`` says why."""
        number = _SYSCALL.get(platform.machine())
        if sys.platform != "linux" or number is None:
            cls.last_refusal = f"perf_event_open is not known on {sys.platform}"
            return None
        attributes = struct.pack(
            "=IIQQQQQ", _PERF_TYPE_HARDWARE, _ATTR_BYTES, _PERF_COUNT_HW_CPU_CYCLES, 0, 0, 0,
            _EXCLUDE_KERNEL_AND_HV,
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

    def read(self) -> int | None:
        """Return the cycles so far, or None if the counter does not count (it reads 0)."""
        data = os.read(self._descriptor, _VALUE_BYTES)
        if len(data) != _VALUE_BYTES:
            return None
        value = int.from_bytes(data, sys.byteorder)
        return value or None

    def close(self) -> None:
        """Close the counter."""
        os.close(self._descriptor)
