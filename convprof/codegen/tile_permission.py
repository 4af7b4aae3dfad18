"""The permission to use the tile registers of AMX, which Linux gives to a process that requests it.

The tile registers have 8 KiB, which the kernel saves at a change of threads. So a thread's first
tile instruction is an illegal instruction unless the process has made the request before (Linux
5.16 and newer, Documentation/arch/x86/xstate.rst). Threads that start later have the permission.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys

from convprof.codegen.target import target

FEATURES = ("amx-tile", "amx-bf16", "amx-int8")
"""What the CPU needs, in LLVM's spelling. LLVM reports the features only if the kernel saves the
registers."""
_ARCH_PRCTL = 158
"""The number of the system call on x86-64."""
_ARCH_REQ_XCOMP_PERM = 0x1023
_XTILEDATA = 18
"""The component of the processor's state that holds the tile registers."""


@functools.cache
def refusal() -> str | None:
    """Request the permission; return None if the process has it, else the reason in one line."""
    missing = [feature for feature in FEATURES if not target().has(feature)]
    if missing:
        return f"this CPU does not have {', '.join(missing)}"
    if sys.platform != "linux":
        return "tile registers are used on Linux only"
    error = _request()
    if error:
        return f"Linux refuses the tile registers of AMX to this process: {os.strerror(error)}"
    return None


def _request() -> int:
    """Return 0, or the error number of the system."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    numbers = (_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XTILEDATA)
    return ctypes.get_errno() if call(*map(ctypes.c_long, numbers)) else 0
