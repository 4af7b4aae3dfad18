"""Powers of two of whole vectors: range reduction and a polynomial.

x = n + r with n whole and r in [-1/2, 1/2]; 2**r is a polynomial, and n is added to its exponent.
This is enough for a softmax: e**x is 2**(x log2 e), and the factor can be part of an earlier
product. Otherwise ``power`` multiplies, without the rounding of a separate product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.codegen.writer import Writer


@dataclass(frozen=True)
class _Format:
    """The constants of an element type."""

    mantissa: int
    """Explicit bits of the mantissa."""
    coefficients: tuple[float, ...]
    """The coefficients of the polynomial for 2**r, constant first: 2**0 is exactly 1."""
    least: float
    """Smaller exponents are replaced by this one: its power is far below the last bit of a sum, and
    products with the power are not denormal numbers, which take a hundred cycles each."""


SHORT = (1.0, 0.6931469776, 0.2402224208, 0.05550733745, 0.009671512812, 0.001326472721)
"""The polynomial of degree 5 with the smallest maximum of the relative error on [-1/2, 1/2],
9.2e-8: computed by least squares, with larger weights where the error was large (Lawson 1961)."""
OF_BYTES = (0.99992807, 0.69326099, 0.24261117, 0.05517169)
"""The polynomial of degree 3 with the smallest maximum of the relative error, 7.5e-5: a byte is
rounded to 1/510 of the largest one."""
LONG = tuple(math.log(2) ** k / math.factorial(k) for k in range(14))
"""Taylor's series of 2**r; the first omitted term is below 1e-17."""
_FORMATS = {"float": _Format(23, SHORT, -100.0), "double": _Format(52, LONG, -900.0)}
MOST = {"float": 126.0, "double": 1022.0}
"""The exponents, of either sign, up to which powers are neither infinite nor denormal."""


def exp2(w: Writer, x: str, factor: float = 1.0) -> str:
    """Write ``2**(factor x)`` for products of at most 100, within 2.5 units of the last place.

    The rounding of ``factor`` adds up to 0.7 units for each unit of the exponent. Below -100 (f32)
    or -900 (f64) the result is the power of the limit; NaN stays NaN.
    """
    v, element = w.vector, _FORMATS[w.element]
    least = w.splat(w.rounded(element.least / factor))
    x = w.larger(x, least)
    # Adding 1.5 * 2**mantissa leaves no bits for a fraction: the sum's lowest bits are n.
    shift, times = w.splat(1.5 * 2**element.mantissa), w.splat(w.rounded(factor))
    rounded = w.fma(x, times, shift)
    r = w.fma(x, times, w.add(f"fsub {v} {shift}, {rounded}"))
    return _raised(w, polynomial(w, r, element.coefficients), rounded)


def times_exp2(
    w: Writer, x: str, factor: str, coefficients: Sequence[float] = SHORT, most: float = 1.0
) -> str:
    """Write ``most * 2**(factor x)`` of f32 for a vector of factors, and products of -100 to 0.

    ``coefficients``: of the polynomial for 2**r.
    """
    v, shift = w.vector, w.splat(1.5 * 2 ** _FORMATS[w.element].mantissa)
    rounded = w.fma(x, factor, shift)
    r = w.fma(x, factor, w.add(f"fsub {v} {shift}, {rounded}"))
    return _raised(w, polynomial(w, r, [most * c for c in coefficients]), rounded)


def power(w: Writer, x: str, factor: float) -> str:
    """Write ``2**(factor x)`` within 3 units of the last place.

    ``factor x`` is between ``-MOST`` and ``MOST``; a quiet NaN without payload does not change.
    """
    r, rounded = _parts(w, x, factor)
    return _raised(w, polynomial(w, r, _FORMATS[w.element].coefficients), rounded)


def power_less_one(w: Writer, x: str, factor: float) -> str:
    """Write ``2**(factor x) - 1`` within 8 units of the last place, even for the smallest x.

    ``factor x`` as for ``power``. In 2**n (2**r - 1) + (2**n - 1) no leading digits cancel.
    """
    v = w.vector
    r, rounded = _parts(w, x, factor)
    _, *rest = _FORMATS[w.element].coefficients  # the first is exactly 1
    little = w.add(f"fmul {v} {r}, {polynomial(w, r, rest)}")
    whole = _raised(w, w.splat(1.0), rounded)
    return w.fma(whole, little, w.add(f"fsub {v} {whole}, {w.splat(1.0)}"))


def _parts(w: Writer, x: str, factor: float) -> tuple[str, str]:
    """Write ``factor x`` as n + r; return r, and n in the lowest bits of a vector."""
    v = w.vector
    near = w.rounded(factor)
    high, low = w.splat(near), w.splat(w.rounded(factor - near))
    shift = w.splat(1.5 * 2 ** _FORMATS[w.element].mantissa)
    rounded = w.fma(x, high, shift)
    r = w.fma(x, high, w.add(f"fsub {v} {shift}, {rounded}"))
    return (w.fma(x, low, r) if factor != near else r), rounded


def polynomial(w: Writer, x: str, coefficients: Sequence[float]) -> str:
    """Write a polynomial, its constant first, by Horner's rule."""
    *lower, total = (w.splat(w.rounded(c)) for c in coefficients)
    for coefficient in reversed(lower):
        total = w.fma(total, x, coefficient)
    return total


def _raised(w: Writer, x: str, rounded: str) -> str:
    """Write ``2**n x``: n is added to the exponent."""
    whole = f"<{w.lanes} x i{8 * w.size}>"
    bits = w.add(f"bitcast {w.vector} {rounded} to {whole}")
    mantissa = _FORMATS[w.element].mantissa
    exponent = w.add(f"shl {whole} {bits}, splat (i{8 * w.size} {mantissa})")
    result = w.add(f"add {whole} {w.add(f'bitcast {w.vector} {x} to {whole}')}, {exponent}")
    return w.add(f"bitcast {whole} {result} to {w.vector}")
