"""A stage that does nothing: what a launch and its barriers cost."""

from __future__ import annotations

import functools

from convprof.codegen.jit import Module

_IR = "define void @nothing(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {\n  ret void\n}\n"


@functools.cache
def _module() -> Module:
    return Module(_IR)


def address() -> int:
    """Return the address of the stage function."""
    return _module().address("nothing")
