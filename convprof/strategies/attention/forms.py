"""The form in which a block of queries, keys and values is multiplied.

f32 and f64 are read in place. Short floats are copied to the scratch memory of the block first: in
pairs along the sums, where an instruction multiplies pairs and every head has whole pairs; else
widened to f32. A copy is read by as many products as the block has queries or keys.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.codegen.kernels.multiply import FMA, Multiply
from convprof.codegen.kernels.ways import bf16_dot
from convprof.dtypes import Types, of_one

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa


@dataclass(frozen=True)
class Form:
    """How the operands of a block's products are in memory."""

    types: Types
    """Of the products: their results are sums of the accumulator's type."""
    multiply: Multiply
    copies: bool
    """Whether keys and values are copied, and the results are rounded from sums in scratch."""
    outside: Types
    """Of the problem."""

    @property
    def pairs(self) -> int:
        """Elements along a sum that are multiplied together: 1 or 2."""
        return self.multiply.k_group

    @property
    def copied(self) -> Types:
        """The types of a copy: from the problem's elements to the elements that are multiplied."""
        if self.types.source == self.outside.source:
            return of_one(self.types.source)
        return replace(self.outside, accumulator=self.types.source, result=self.types.source)


def form(types: Types, isa: Isa, dim: int) -> Form:
    """Return the form of some types on an instruction set, for heads of ``dim`` elements."""
    total = types.accumulator
    if types.source == total:
        return Form(types, FMA, copies=False, outside=types)
    dot = bf16_dot(isa) if types.source.name == "bf16" else None
    if dot is not None and dim % dot.k_group == 0:
        return Form(replace(types, result=total), dot, copies=True, outside=types)
    return Form(of_one(total), FMA, copies=True, outside=types)
