"""The CPU that LLVM generates code for, and LLVM's code generator for it."""

from __future__ import annotations

import functools
import platform
import threading
from dataclasses import dataclass
from typing import Any

from convprof.codegen import arm_features, toolchain
from convprof.codegen.architecture import ARM, X86, architecture

llvm: Any = toolchain.llvm()


@dataclass(frozen=True)
class Target:
    """The CPU in LLVM's terms."""

    arch: str
    """``x86_64``, ``aarch64`` or the platform's own name."""
    cpu: str
    """LLVM's name for the CPU. Virtual machines often get a wrong one: see `codegen.scheduling`."""
    features: str
    """LLVM's feature string: the true features of the CPU, from CPUID or the operating system."""
    llvm_version: str

    @property
    def present(self) -> dict[str, bool]:
        """Feature, in LLVM's spelling -> whether this CPU has it."""
        return {word[1:]: word[0] == "+" for word in self.features.split(",") if word}

    def has(self, *features: str) -> bool:
        """Whether the CPU has all of these features."""
        return all(self.present.get(feature, False) for feature in features)

    @property
    def converts_f16(self) -> bool:
        """Whether it has instructions between f16 and f32; else LLVM calls functions for them."""
        return self.arch == ARM or self.has("f16c")


@functools.cache
def target() -> Target:
    """Initialise LLVM and return the host in LLVM's terms."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Without the parser, inline assembly aborts the whole process.
    llvm.initialize_native_asmparser()
    arch, features = architecture(platform.machine()), llvm.get_host_cpu_features().flatten()
    if arch == ARM:
        more = (f"{'+' if has else '-'}{name}" for name, has in arm_features.present().items())
        features = ",".join(filter(None, (features, *more)))
    return Target(
        arch=arch,
        cpu=llvm.get_host_cpu_name(),
        features=features,
        llvm_version=".".join(str(part) for part in llvm.llvm_version_info),
    )


TUNING = {X86: ",+fast-dpwssd"}
"""Features of tuning, by architecture. Without this one LLVM replaces vpdpwssd by two instructions,
to shorten chains of sums. Register tiles have enough sums to hide the latency."""


def machine(cpu: str, without: tuple[str, ...] = ()) -> Any:
    """Return a new code generator of LLVM.

    ``cpu`` names the CPU whose scheduling model is used; the instructions are always this CPU's,
    except for the features in ``without``.
    """
    off = "".join(f",-{feature}" for feature in without)
    host = target()
    features = host.features + off + TUNING.get(host.arch, "")
    return _host().create_target_machine(cpu=cpu, features=features, opt=3, jit=True)


@functools.cache
def _emitter(cpu: str, without: tuple[str, ...]) -> Any:
    """Return the code generator that all modules for the same model and features share.

    LLVM's tables for compilation (of the subtarget and of lowering) belong to a target machine and
    have the same lifetime: 0.7 MiB. With a target machine per kernel, every kernel would take this
    memory; a kernel with its engine takes 0.04 MiB.
    """
    return machine(cpu, without)


_EMITTING = threading.Lock()
"""A code generator compiles one module at a time, and LLVM does not hold the GIL."""


def object_code(ir: str, cpu: str, without: tuple[str, ...]) -> bytes:
    """Return the object file compiled from ``ir``; RuntimeError (from LLVM) if malformed."""
    module = parsed(ir)
    with _EMITTING:
        return bytes(_emitter(cpu, without).emit_object(module))


def parsed(ir: str) -> Any:
    """Return the verified module of an IR text, for this platform; RuntimeError if malformed.

    The module has a context of its own: LLVM keeps every type and constant of a context, so its
    global context would grow with every kernel.
    """
    return _parsed(ir, llvm.create_context())


def loaded(code: bytes) -> Any:
    """Return an engine with the machine code of an object file.

    A constructor of an engine needs a module and a code generator. Both are empty and not used: if
    the engine kept the module, it would compile it, which takes six times as long as loading.
    """
    generator = _host().create_target_machine(opt=0, jit=True)
    with _EMITTING:
        engine = llvm.create_mcjit_compiler(_empty(), generator)
        engine.remove_module(_empty())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


@functools.cache
def _empty() -> Any:
    """Return the empty module that all engines are made with, one at a time."""
    return _parsed("", llvm.create_context())


def _host() -> Any:
    """Return LLVM's target of this platform."""
    target()
    return llvm.Target.from_default_triple()


def _parsed(ir: str, context: Any) -> Any:
    target()
    module = llvm.parse_assembly(ir, context)
    module.triple = llvm.get_process_triple()
    module.verify()
    return module


def assembly(ir: str, cpu: str, without: tuple[str, ...] = ()) -> str:
    """Return the assembly text that LLVM generates from ``ir``; nothing is loaded or run."""
    module = parsed(ir)
    with _EMITTING:
        return str(_emitter(cpu, without).emit_assembly(module))
