"""Code that LLVM generates for a CPU which is not this one."""

from __future__ import annotations

import re

import llvmlite.binding as llvm
import pytest

X86_TRIPLE, ARM_TRIPLE = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"


def assembly(tile, triple, cpu, features=""):
    """Return the assembly for another CPU."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        other = llvm.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip(f"this LLVM has no target {triple}")
    module = llvm.parse_assembly(tile.ir())
    module.triple = triple
    made = other.create_target_machine(cpu=cpu, features=features, opt=3, jit=True)
    return str(made.emit_assembly(module))


def tiles_of(instructions):
    """Return the tile instructions of AMX with the numbers of their registers."""
    tiles = [line for line in instructions if re.match("t(ile|dp)", line)]
    return [(line.split()[0], *map(int, re.findall(r"%tmm(\d)", line))) for line in tiles]
