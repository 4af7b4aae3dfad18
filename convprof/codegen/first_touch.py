"""Pages of memory next to the threads that will read them, on machines with several NUMA nodes.

Linux puts a page into the memory of the node whose thread writes the page first. Weights are packed
by one thread, so without this all of them would be on one node.
"""

from __future__ import annotations

import functools

import numpy as np

from convprof.codegen.jit import Module
from convprof.codegen.threads import Program, Work, team
from convprof.integers import ceil_div

PAGE_BYTES = 4096

# Writes a zero to the first byte of each page: the memory is fresh, and all zero.
_IR = """
define void @touch(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {
entry:
  %memory = load ptr, ptr %buffers
  %none = icmp sge i64 %lo, %hi
  br i1 %none, label %done, label %page
page:
  %number = phi i64 [ %lo, %entry ], [ %next, %page ]
  %offset = mul i64 %number, 4096
  %at = getelementptr i8, ptr %memory, i64 %offset
  store volatile i8 0, ptr %at
  %next = add i64 %number, 1
  %more = icmp slt i64 %next, %hi
  br i1 %more, label %page, label %done
done:
  ret void
}
"""


@functools.cache
def _module() -> Module:
    return Module(_IR)


def touch(address: int, size: int, threads: int) -> None:
    """Let each of some threads be the first to write its part of fresh memory, in page order.

    The part of a thread is what it reads where panels of weights are divided in their order.
    """
    buffers = np.array([address], dtype=np.int64)
    pages = ceil_div(size, PAGE_BYTES)
    stage = Work(_module().address("touch"), 0, pages, buffers.ctypes.data, 0, fixed=True)
    team(threads).run(Program([stage], threads))
