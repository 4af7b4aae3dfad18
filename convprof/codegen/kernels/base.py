"""The common part of every generated kernel: types, pointers, and the function around its code.

A kernel is a frozen dataclass. Equal kernels give the same code, so one is compiled once. The file
of a kernel has only the specific part: ``_code``, and the meaning of the pointers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from convprof.codegen.kernels.cycles import CALL_CYCLES
from convprof.codegen.kernels.elements import Elements
from convprof.codegen.writer import Writer

if TYPE_CHECKING:
    from convprof.dtypes import DType, Types

FUNCTION = "tile"
"""The name of the function of a kernel's module."""

Role: TypeAlias = Literal["source", "weights", "accumulator", "result", "scale", "zero_point"]
"""The role, among a problem's types, of the elements behind a pointer."""
Pointers: TypeAlias = tuple[tuple[str, Role], ...]
"""The parameters of a kernel, in their order."""


@dataclass(frozen=True)
class Kernel(ABC):
    """One function without a result, whose parameters are pointers. Offsets are in elements."""

    pointers: ClassVar[Pointers] = (("%a", "source"), ("%b", "weights"), ("%c", "result"))

    types: Types
    lanes: int
    """Elements in a vector."""
    fused: bool = field(default=True, kw_only=True)
    """Whether the CPU multiplies and adds in one instruction."""

    @property
    def title(self) -> str:
        """What the kernel computes, and how much; empty for kernels that are not shown."""
        return ""

    @property
    def fmas(self) -> int:
        """Vector multiply-adds in one execution."""
        return 0

    @property
    def elements(self) -> int:
        """Results in one execution of a kernel that sums no products, else 0."""
        return 0

    @property
    def cycles(self) -> float:
        """Estimate of the core cycles of one execution, operands in cache."""
        work = self.fmas or self.elements / self.lanes
        return work / 2 + CALL_CYCLES

    @property
    def parameters(self) -> Pointers:
        """The pointers that this kernel takes."""
        return self.pointers

    @property
    def element_bytes(self) -> tuple[int, ...]:
        """Bytes of an element behind each pointer: the factor of offsets."""
        return tuple(getattr(self.types, role).bytes for _, role in self.parameters)

    @property
    def setup(self) -> Kernel | None:
        """A kernel whose state of the thread this one needs: the shapes of tile registers."""
        return None

    @property
    def teardown(self) -> Kernel | None:
        """The kernel that ends the state which this one sets up."""
        return None

    @abstractmethod
    def _code(self, w: Writer) -> str:
        """Return the instructions before the return, each line with its end."""

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics that loads, stores and sums of the types call."""
        others = (getattr(self.types, role) for _, role in self.parameters)
        texts = (w.declarations(), *(w.typed(each).declarations() for each in others))
        lines = (line for text in texts for line in text.splitlines())
        return "\n".join(dict.fromkeys(lines)) + "\n"

    @property
    def _computes_in(self) -> DType:
        """The type of the vectors; ValueError for a kernel of one type whose types differ."""
        if self.types.uniform is None:
            raise ValueError(f"{type(self).__name__} computes in one type, not {self.types.name}")
        return self.types.uniform

    def _memory(self, w: Writer, role: Role) -> Elements:
        """Return the elements behind pointers of a role, for vectors that the kernel computes."""
        return Elements(w, getattr(self.types, role), self._computes_in)

    def ir(self) -> str:
        """Return the LLVM IR of a module with the kernel; ValueError for types that differ."""
        w = Writer(self._computes_in, self.lanes, fused=self.fused)
        code = self._code(w)
        parameters = ", ".join(f"ptr {name}" for name, _ in self.parameters)
        return f"""{self.declarations(w)}{w.constants}
define void @{FUNCTION}({parameters}) {{
{code}  ret void
}}
"""
