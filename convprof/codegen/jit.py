"""Turn LLVM IR text into callable machine code through llvmlite, for this CPU.

numba uses the same LLVM; going straight to it costs milliseconds instead of numba's tens of
milliseconds, and gives inline assembly and vector types, which numba does not have.
"""

from __future__ import annotations

import ctypes
import zlib
from typing import TYPE_CHECKING, Any

from convprof.codegen import executable, scheduling, toolchain
from convprof.codegen import target as targets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

llvm: Any = toolchain.llvm()


class Module:
    """Machine code compiled from IR; keeps it alive as long as the object lives."""

    def __init__(self, ir: str, without: Collection[str] = (), cpu: str | None = None) -> None:
        """Verify and compile ``ir``; RuntimeError (from LLVM) if it is malformed.

        ``without`` names CPU features that the code must not use; ``cpu`` the CPU whose scheduling
        model LLVM uses, by default the one that suits our kernels (`codegen.scheduling`).
        """
        executable.require()
        self._packed_ir = zlib.compress(ir.encode(), 1)  # a tenth of the text, which may be 100 kB
        self.without = tuple(without)
        self._cpu = cpu or scheduling.model().name
        code = targets.object_code(ir, self._cpu, self.without)
        # The engine's own code generator compiles nothing, and so stays small.
        self._engine = llvm.create_mcjit_compiler(targets.empty(), targets.machine(self._cpu))
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    @property
    def ir(self) -> str:
        """The IR that the code was compiled from."""
        return zlib.decompress(self._packed_ir).decode()

    def address(self, name: str) -> int:
        """Return the address of a function."""
        return int(self._engine.get_function_address(name))

    def function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        """Return a function as a ctypes callable that releases the GIL while it runs."""
        call: Any = ctypes.CFUNCTYPE(result, *arguments)(self.address(name))
        call.module = self  # the code lives as long as its caller
        function: Callable[..., Any] = call
        return function

    def assembly(self) -> str:
        """Return the assembly text of the machine code.

        Generated from the IR anew: code generation changes the IR that it compiles, and a second
        pass gives other code than the one that runs.
        """
        return targets.assembly(self.ir, self._cpu, self.without)
