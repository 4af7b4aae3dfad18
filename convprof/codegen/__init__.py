"""The only place with LLVM IR: the JIT, vector kernels, inline assembly, the thread team."""

from __future__ import annotations

NATIVE = "native"
"""The name of the widest instruction set of this machine."""
