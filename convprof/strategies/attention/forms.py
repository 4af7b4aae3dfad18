"""The form in which a block of queries, keys and values is multiplied.

f32 and f64 are read in place. Short floats are copied to the scratch memory of the block first: in
pairs along the sums, where an instruction multiplies pairs and every head has whole pairs; else
widened to f32. A copy is read by as many products as the block has queries or keys. Bytes are
copied in groups of four.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.codegen.kernels.dot_products import Shifted
from convprof.codegen.kernels.multiply import FMA, Multiply
from convprof.codegen.kernels.ways import bf16_dot, bytes_dot
from convprof.dtypes import Types, find, of_one

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
    of_signed_keys: Multiply | None = None
    """How keys are multiplied, if not as weights are: bytes as they are, not copied as u8."""

    @property
    def pairs(self) -> int:
        """Elements along a sum that are multiplied together: 1 or 2, or 4 bytes."""
        return self.multiply.k_group

    @property
    def of_bytes(self) -> bool:
        """Whether the operands are bytes."""
        return self.types.accumulator.is_exact

    @property
    def of_keys(self) -> Multiply:
        """How keys and queries are multiplied."""
        return self.of_signed_keys or self.multiply

    @property
    def copied(self) -> Types:
        """The types of a copy: from the problem's elements to the elements that are multiplied."""
        if self.types.source == self.outside.source:
            return of_one(self.types.source)
        return replace(self.outside, accumulator=self.types.source, result=self.types.source)


def form(types: Types, isa: Isa, dim: int) -> Form:
    """Return the form of some types on an instruction set, for heads of ``dim`` elements."""
    total = types.accumulator
    if total.is_exact:
        return _of_bytes(types, isa)
    if types.source == total:
        return Form(types, FMA, copies=False, outside=types)
    dot = bf16_dot(isa) if types.source.name == "bf16" else None
    if dot is not None and dim % dot.k_group == 0:
        return Form(replace(types, result=total), dot, copies=True, outside=types)
    return Form(of_one(total), FMA, copies=True, outside=types)


def _of_bytes(types: Types, isa: Isa) -> Form:
    """Return the form of bytes: weights in u8 times values in s8, keys times queries in s8.

    128 more in each key is the same number in all scores of a query, which changes no weight. So
    keys are u8, unless the CPU multiplies signed bytes only.
    """
    products = replace(types, source=find("u8"), result=types.accumulator)
    how = bytes_dot(isa, "u8")
    signed = bytes_dot(isa, "s8") if isinstance(how, Shifted) else None
    return Form(products, how, copies=True, outside=types, of_signed_keys=signed)
