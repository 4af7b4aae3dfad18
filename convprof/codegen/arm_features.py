"""The features of an AArch64 CPU, from the operating system.

LLVM's list of the host's features has no dot products, products of matrices, bf16 and f16 on
AArch64: it translates a few words of /proc/cpuinfo, and nothing on macOS (LLVM 22).
"""

from __future__ import annotations

import ctypes
import sys

_AT_HWCAP, _AT_HWCAP2 = 16, 26
"""Entries of the auxiliary vector, which the kernel gives a process (getauxval(3))."""
_LINUX = {
    "neon": (_AT_HWCAP, 1),
    "fullfp16": (_AT_HWCAP, 10),
    "dotprod": (_AT_HWCAP, 20),
    "i8mm": (_AT_HWCAP2, 13),
    "bf16": (_AT_HWCAP2, 14),
}
"""Feature, in LLVM's spelling -> the entry and the bit (Linux, asm/hwcap.h of arm64)."""
MACOS = {
    "neon": ("hw.optional.AdvSIMD", "hw.optional.neon"),
    "fullfp16": ("hw.optional.arm.FEAT_FP16", "hw.optional.neon_fp16"),
    "dotprod": ("hw.optional.arm.FEAT_DotProd",),
    "bf16": ("hw.optional.arm.FEAT_BF16",),
    "i8mm": ("hw.optional.arm.FEAT_I8MM",),
}
"""Feature, in LLVM's spelling -> its names in sysctl; newer systems have the first one."""


def present() -> dict[str, bool]:
    """Return feature, in LLVM's spelling -> whether this CPU has it; empty on other systems."""
    read = {"linux": _from_linux, "darwin": _from_macos}.get(sys.platform)
    return read() if read else {}


def _from_linux() -> dict[str, bool]:
    entry = ctypes.CDLL(None).getauxval
    entry.restype, entry.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    return {name: bool(entry(word) >> bit & 1) for name, (word, bit) in _LINUX.items()}


def _from_macos() -> dict[str, bool]:
    answers = {name: [_sysctl(each) for each in names] for name, names in MACOS.items()}
    known = {name: [x for x in values if x is not None] for name, values in answers.items()}
    return {name: any(values) for name, values in known.items() if values}


def _sysctl(name: str) -> int | None:
    """Return the number under a name, or None if the system has no such name."""
    number, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    where, length = ctypes.byref(number), ctypes.byref(size)
    failed = ctypes.CDLL(None).sysctlbyname(name.encode(), where, length, None, 0)
    return None if failed else number.value
