"""Compile LLVM IR text to callable machine code through llvmlite, for this CPU.

numba uses the same LLVM. Direct use takes milliseconds instead of numba's tens of milliseconds, and
supports inline assembly and vector types, which numba lacks.
"""

from __future__ import annotations

import ctypes
import zlib
from typing import TYPE_CHECKING, Any

from convprof.codegen import executable, scheduling
from convprof.codegen import target as targets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class Module:
    """Machine code compiled from IR; it exists as long as this object."""

    def __init__(self, ir: str, without: Collection[str] = (), cpu: str | None = None) -> None:
        """Verify and compile ``ir``; RuntimeError (from LLVM) if it is malformed.

        ``without`` names CPU features that the code must not use; ``cpu`` the CPU whose scheduling
        model LLVM uses, by default the model chosen for our kernels (`codegen.scheduling`).
        """
        executable.require()
        # compressed to a tenth of the text, which may be 100 kB
        self._packed_ir = zlib.compress(ir.encode(), 1)
        self.without = tuple(without)
        self._cpu = cpu or scheduling.model().name
        code = targets.object_code(ir, self._cpu, self.without)
        self._engine = targets.loaded(code)

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
        call.module = self  # the code exists as long as its caller
        function: Callable[..., Any] = call
        return function

    def assembly(self) -> str:
        """Return the assembly text of the machine code.

        The IR is compiled again from its text: code generation changes the IR in memory, and a
        second pass over the changed IR gives other code than the code that runs.
        """
        return targets.assembly(self.ir, self._cpu, self.without)
