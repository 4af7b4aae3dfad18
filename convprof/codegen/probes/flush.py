"""Evict memory from every cache level, line by line, for measurements with cold operands."""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any

from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.jit import Module
from convprof.codegen.target import target

if TYPE_CHECKING:
    from collections.abc import Callable


# clflush (SSE2) and dc civac (allowed to user space on Linux) write back and invalidate the
# line in every cache of the coherence domain.
_FLUSH = {
    "x86_64": ("clflush ($0)", "r,~{memory}", "mfence"),
    "aarch64": ("dc civac, $0", "r,~{memory}", "dsb ish"),
}

_IR = """
define void @flush(ptr %start, i64 %bytes) {{
entry:
  %none = icmp sle i64 %bytes, 0
  br i1 %none, label %done, label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %p = getelementptr i8, ptr %start, i64 %i
  call void asm sideeffect "{flush}", "{constraints}"(ptr %p)
  %next = add i64 %i, {line}
  %more = icmp slt i64 %next, %bytes
  br i1 %more, label %loop, label %last
last:
  %end = add i64 %bytes, -1
  %q = getelementptr i8, ptr %start, i64 %end
  call void asm sideeffect "{flush}", "{constraints}"(ptr %q)
  br label %done
done:
  call void asm sideeffect "{fence}", "~{{memory}}"()
  ret void
}}
"""


@functools.cache
def flush_lines() -> Callable[[int, int], Any] | None:
    """Return ``flush(address, bytes)``, or None without a known instruction."""
    spelled = _FLUSH.get(target().arch)
    if spelled is None:
        return None
    flush, constraints, fence = spelled
    ir = _IR.format(flush=flush, constraints=constraints, fence=fence, line=LINE_BYTES)
    return Module(ir).function("flush", None, ctypes.c_void_p, ctypes.c_int64)
