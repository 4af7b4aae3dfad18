"""Turn LLVM IR text into callable machine code through llvmlite, for this CPU.

numba uses the same LLVM; going straight to it costs milliseconds instead of numba's tens of
milliseconds, and gives inline assembly and vector types that numba has no words for.
"""

from __future__ import annotations

import ctypes
import functools
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm

from convprof.simd import executable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


@dataclass(frozen=True)
class Target:
    """The CPU that LLVM generates code for."""

    arch: str
    """``x86_64``, ``aarch64`` or whatever the platform calls itself."""
    cpu: str
    """LLVM's name for the host; virtual machines lie about it, so only a tuning hint."""
    features: str
    """LLVM's feature string, from CPUID: this one is trusted."""
    llvm_version: str


@functools.cache
def target() -> Target:
    """Return the host as LLVM sees it, with LLVM initialised."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Without the parser any inline assembly aborts the whole process.
    llvm.initialize_native_asmparser()
    machine = platform.machine().lower()
    return Target(
        arch={"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine),
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        llvm_version=".".join(str(part) for part in llvm.llvm_version_info),
    )


def _target_machine(without: Collection[str] = ()) -> Any:
    """Return a new target machine: an engine takes it over and frees it with itself."""
    host = target()
    off = "".join(f",-{feature}" for feature in without)
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=host.cpu, features=host.features + off, opt=3, jit=True
    )


def _parsed(ir: str) -> Any:
    """Return the verified module of an IR text, for this platform."""
    target()
    parsed = llvm.parse_assembly(ir)
    parsed.triple = llvm.get_process_triple()
    parsed.verify()
    return parsed


class Module:
    """Machine code compiled from IR; keeps it alive as long as the object lives."""

    def __init__(self, ir: str, without: Collection[str] = ()) -> None:
        """Verify and compile ``ir``; RuntimeError (from LLVM) if it is malformed.

        ``without`` names CPU features that the code must not use.
        """
        executable.require()
        self._ir = ir
        self._without = tuple(without)
        self._engine = llvm.create_mcjit_compiler(_parsed(ir), _target_machine(self._without))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Return the address of a function."""
        return int(self._engine.get_function_address(name))

    def function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        """Return a function as a ctypes callable that releases the GIL while it runs."""
        call = ctypes.CFUNCTYPE(result, *arguments)(self.address(name))
        call.module = self  # type: ignore[attr-defined]  # the code lives as long as its caller
        return call

    def assembly(self) -> str:
        """Return the assembly text of the machine code, for those who want to look.

        Generated from the IR anew: code generation rewrites what it compiles, and twice through
        it gives other code than the one that runs.
        """
        return str(_target_machine(self._without).emit_assembly(_parsed(self._ir)))
