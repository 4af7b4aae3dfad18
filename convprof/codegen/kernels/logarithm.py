"""The natural logarithm of whole vectors: the exponent, and a series of the rest.

x = 2**n m with m from sqrt(1/2) to sqrt(2), and log m = 2 (s + s**3 / 3 + s**5 / 5 + ...) with
s = (m - 1) / (m + 1): of size 0.172 at most.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from convprof.codegen.kernels.exp2 import polynomial

if TYPE_CHECKING:
    from convprof.codegen.writer import Writer

_MANTISSA = {"float": 23, "double": 52}
"""Explicit bits."""
_TERMS = {"float": 6, "double": 12}
"""Of the series: the first omitted term is less than a unit of the last place."""


def logarithm(w: Writer, x: str) -> str:
    """Write log x for a vector of normal numbers of more than 0, within a few units of rounding."""
    v, whole = w.vector, f"<{w.lanes} x i{8 * w.size}>"
    kind, mantissa = f"i{8 * w.size}", _MANTISSA[w.element]
    least = f"splat ({kind} {_bits(w, math.sqrt(0.5))})"
    bits = w.add(f"bitcast {v} {x} to {whole}")
    above = w.add(f"sub {whole} {bits}, {least}")
    n = w.add(f"ashr {whole} {above}, splat ({kind} {mantissa})")
    exponent = w.add(f"shl {whole} {n}, splat ({kind} {mantissa})")
    m = w.add(f"bitcast {whole} {w.add(f'sub {whole} {bits}, {exponent}')} to {v}")
    one = w.splat(1.0)
    s = w.add(f"fdiv {v} {w.add(f'fsub {v} {m}, {one}')}, {w.add(f'fadd {v} {m}, {one}')}")
    series = [2 / (2 * place + 1) for place in range(_TERMS[w.element])]
    rest = w.add(f"fmul {v} {s}, {polynomial(w, w.add(f'fmul {v} {s}, {s}'), series)}")
    power = w.add(f"sitofp {whole} {n} to {v}")
    return w.fma(power, w.splat(w.rounded(math.log(2))), rest)


def _bits(w: Writer, number: float) -> int:
    """Return the bits of a number of the element type as a whole number."""
    real, integer = ("<f", "<i") if w.size == struct.calcsize("<f") else ("<d", "<q")
    (bits,) = struct.unpack(integer, struct.pack(real, number))
    return int(bits)
