"""Whether this process may execute memory that it has written: if not, LLVM crashes."""

from __future__ import annotations

import ctypes
import functools
import mmap
import sys

from convprof.errors import ToolchainError


def require() -> None:
    """Raise ToolchainError before any compilation if generated code cannot be executed."""
    if not possible():
        raise ToolchainError(
            "this process may not create executable memory (MemoryDenyWriteExecute of systemd, "
            "SELinux's deny_execmem or the like), and convprof compiles its kernels at run time: "
            "run it outside that sandbox"
        )


@functools.cache
def possible() -> bool:
    """Return whether a page that was written to can be made executable, as LLVM does it."""
    if sys.platform != "linux":
        return True  # other systems have a different call, which LLVM uses
    page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    page[0] = 1
    first = ctypes.c_char.from_buffer(page)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    allowed = protect(ctypes.addressof(first), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC) == 0
    del first
    page.close()
    return bool(allowed)
