"""The time-stamp counter: ticks at a constant rate, independent of the core's clock."""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any

from convprof.codegen.jit import Module
from convprof.codegen.target import target

if TYPE_CHECKING:
    from collections.abc import Callable

READABLE = ("x86_64", "ppc64le", "s390x")
"""Architectures on which user programs may read the counter; elsewhere the read can trap."""

_IR = """
declare i64 @llvm.readcyclecounter()
define i64 @ticks() {
  %t = call i64 @llvm.readcyclecounter()
  ret i64 %t
}
"""


@functools.cache
def ticks() -> Callable[[], Any] | None:
    """Return a function that reads the counter, or None if it cannot be read."""
    if target().arch not in READABLE:
        return None
    return Module(_IR).function("ticks", ctypes.c_int64)
