"""Powers of two of whole vectors: range reduction and a polynomial.

x = n + r with n whole and r in [-1/2, 1/2]; 2**r is a polynomial, and n is added to its exponent. A
softmax needs no more: e**x is 2**(x log2 e), and the factor goes into what x is made of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.simd.writer import Writer


@dataclass(frozen=True)
class _Format:
    """What is particular to an element type."""

    mantissa: int
    """Explicit bits of the mantissa."""
    coefficients: tuple[float, ...]
    """Of the polynomial for 2**r, constant first: 2**0 is exactly 1."""
    least: float
    """Smaller exponents count as this one: as a share of a sum it is far below the last bit, and
    products with it are no denormal numbers, which cost a hundred cycles each."""


SHORT = (1.0, 0.6931469776, 0.2402224208, 0.05550733745, 0.009671512812, 0.001326472721)
"""The polynomial of degree 5 whose largest relative error on [-1/2, 1/2] is the least, 9.2e-8:
found by least squares, with the weights raised where the error was large (Lawson 1961)."""
LONG = tuple(math.log(2) ** k / math.factorial(k) for k in range(14))
"""Taylor's series of 2**r; the first term left out is below 1e-17."""
_FORMATS = {"float": _Format(23, SHORT, -100.0), "double": _Format(52, LONG, -900.0)}


def exp2(w: Writer, x: str) -> str:
    """Write ``2**x`` for a vector ``x`` of at most 100, within 2.5 units of the last place.

    Below -100 (f32) or -900 (f64) the result is that of the limit; NaN stays NaN.
    """
    v, made = w.vector, _FORMATS[w.element]
    whole = f"<{w.lanes} x i{8 * w.size}>"
    least = w.splat(made.least)
    below = w.add(f"fcmp ogt {v} {least}, {x}")
    x = w.add(f"select <{w.lanes} x i1> {below}, {v} {least}, {v} {x}")
    # Adding 1.5 * 2**mantissa leaves no bits for a fraction: the sum's lowest bits are n.
    shift = w.splat(1.5 * 2**made.mantissa)
    rounded = w.add(f"fadd {v} {x}, {shift}")
    n = w.add(f"fsub {v} {rounded}, {shift}")
    r = w.add(f"fsub {v} {x}, {n}")
    *lower, power = (w.splat(w.rounded(c)) for c in made.coefficients)
    for coefficient in reversed(lower):
        power = w.fma(power, r, coefficient)
    bits = w.add(f"bitcast {v} {rounded} to {whole}")
    exponent = w.add(f"shl {whole} {bits}, splat (i{8 * w.size} {made.mantissa})")
    result = w.add(f"add {whole} {w.add(f'bitcast {v} {power} to {whole}')}, {exponent}")
    return w.add(f"bitcast {whole} {result} to {v}")
