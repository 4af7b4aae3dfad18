"""Elementary functions of whole vectors: see ``problems.ops.Elementary``.

NaN stays NaN, and infinite or too large inputs give the function's limit.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from convprof.codegen.kernels.exp2 import MOST, polynomial, power
from convprof.codegen.kernels.logarithm import logarithm

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.codegen.writer import Writer
    from convprof.problems.ops.elementary import ElementaryFunction

_LOG2_E = math.log2(math.e)


def _bounded(w: Writer, x: str, most: float) -> str:
    return w.smaller(w.larger(x, w.splat(-most)), w.splat(most))


def _largest(w: Writer) -> float:
    """Return the largest x, rounded down, for which e**x and e**-x are normal numbers."""
    return math.floor(MOST[w.element] * math.log(2))


def _exp(w: Writer, x: str) -> str:
    """Write the square of e**(x / 2): it becomes infinite, or 0, where e**x does."""
    half = power(w, _bounded(w, x, 2 * _largest(w)), _LOG2_E / 2)
    return w.times(half, half)


def _log(w: Writer, x: str) -> str:
    """Write log x; of denormal numbers as log(2**k x) - k log 2."""
    v = w.vector
    shift = _MANTISSAS[w.element] + 1
    is_small = w.add(f"fcmp ogt {v} {w.splat(2.0 ** -MOST[w.element])}, {x}")
    normal = w.select(is_small, w.times(x, w.splat(2.0**shift)), x)
    term = w.select(is_small, w.splat(w.rounded(-shift * math.log(2))), w.splat(0.0))
    y = w.plus(logarithm(w, normal), term)
    infinity, nan = _infinity(w), w.add(f"fsub {v} {_infinity(w)}, {_infinity(w)}")
    y = w.select(w.add(f"fcmp oeq {v} {x}, {infinity}"), x, y)
    y = w.select(w.add(f"fcmp oge {v} {x}, {w.splat(0.0)}"), y, nan)
    return w.select(w.add(f"fcmp oeq {v} {x}, {w.splat(0.0)}"), w.minus(w.splat(0.0), infinity), y)


def _infinity(w: Writer) -> str:
    return f"splat ({w.element} 0x7FF0000000000000)"


def _softplus(w: Writer, x: str) -> str:
    """Write max(x, 0) + log(1 + exp(-|x|))."""
    near = _bounded(w, _absolute(w, x), _largest(w))
    little = logarithm(w, w.plus(power(w, near, -_LOG2_E), w.splat(1.0)))
    return w.plus(w.larger(x, w.splat(0.0)), little)


def _mish(w: Writer, x: str) -> str:
    """Write x n / (n + 2), with n = e**x (e**x + 2): it is tanh(log(1 + e**x)) x.

    Beyond x = 20 the quotient is 1; smaller x are replaced where it is practically 0.
    """
    x = w.larger(x, w.splat(-_largest(w)))
    e = power(w, w.smaller(x, w.splat(20.0)), _LOG2_E)
    n = w.times(e, w.plus(e, w.splat(2.0)))
    return w.times(x, w.add(f"fdiv {w.vector} {n}, {w.plus(n, w.splat(2.0))}"))


def _absolute(w: Writer, x: str) -> str:
    return w.add(f"call {w.vector} @llvm.fabs.{w.suffix}({w.vector} {x})")


# Whole numbers near a number. Adding and subtracting 2**mantissa leaves no bits for a fraction.

_MANTISSAS = {"float": 23, "double": 52}
"""Explicit bits of the mantissa."""


def _round(w: Writer, x: str) -> str:
    """Write the nearest whole number, of halves the even one; large numbers are whole already."""
    v = w.vector
    size, least = _absolute(w, x), w.splat(2.0 ** _MANTISSAS[w.element])
    nearest = w.minus(w.plus(size, least), least)
    kept = w.select(w.add(f"fcmp ogt {v} {least}, {size}"), nearest, size)
    return _with_sign_of(w, kept, x)


def _with_sign_of(w: Writer, size: str, x: str) -> str:
    whole, sign = _whole(w), 8 * w.size - 1
    bits = w.add(f"bitcast {w.vector} {x} to {whole}")
    one = f"splat (i{8 * w.size} {-(2**sign)})"
    own = w.add(f"and {whole} {bits}, {one}")
    joined = w.add(f"or {whole} {w.add(f'bitcast {w.vector} {size} to {whole}')}, {own}")
    return w.add(f"bitcast {whole} {joined} to {w.vector}")


def _whole(w: Writer) -> str:
    return f"<{w.lanes} x i{8 * w.size}>"


def _floor(w: Writer, x: str) -> str:
    near = _round(w, x)
    return _corrected(w, near, w.add(f"fcmp ogt {w.vector} {near}, {x}"), -1.0)


def _ceil(w: Writer, x: str) -> str:
    near = _round(w, x)
    return _corrected(w, near, w.add(f"fcmp ogt {w.vector} {x}, {near}"), 1.0)


def _corrected(w: Writer, near: str, is_wrong: str, by: float) -> str:
    """Write the nearest whole number, plus ``by`` where it is on the wrong side of x."""
    return w.plus(near, w.select(is_wrong, w.splat(by), w.splat(0.0)))


def _sign(w: Writer, x: str) -> str:
    v, zero = w.vector, w.splat(0.0)
    below = w.select(w.add(f"fcmp ogt {v} {zero}, {x}"), w.splat(-1.0), x)
    return w.select(w.add(f"fcmp ogt {v} {x}, {zero}"), w.splat(1.0), below)


# Sine and cosine: x = n pi / 2 + r, with r of size pi / 4 at most; n decides which polynomial of r.

_PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")


class _Format(NamedTuple):
    """The constants of an element type."""

    parts: tuple[int, int]
    """Bits of the first two parts of pi / 2: their products with n of few bits are exact."""
    terms: int
    """Of each of the series in r: what is left out is less than a unit of the last place of 1."""


_FORMATS = {"float": _Format((12, 12), 5), "double": _Format((27, 27), 9)}


def _sine(w: Writer, x: str, quarters: int) -> str:
    """Write sin(x + quarters pi / 2), with an error of a few units of the last place of 1.

    In f32 for x up to 6 million, or 6,400 without fused multiply-adds.
    """
    number, terms = f"i{8 * w.size}", _FORMATS[w.element].terms
    r, bits = _reduced(w, x)
    if quarters:
        bits = w.add(f"add {_whole(w)} {bits}, splat ({number} {quarters})")
    square = w.times(r, r)
    odd = [(-1) ** i / math.factorial(2 * i + 1) for i in range(1, terms + 1)]
    even = [(-1) ** i / math.factorial(2 * i) for i in range(terms + 1)]
    sine = w.fma(w.times(w.times(square, r), polynomial(w, square, odd)), w.splat(1.0), r)
    cosine = polynomial(w, square, even)
    first = w.add(f"and {_whole(w)} {bits}, splat ({number} 1)")
    is_odd = w.add(f"icmp ne {_whole(w)} {first}, zeroinitializer")
    size = w.select(is_odd, cosine, sine)
    second = w.add(f"and {_whole(w)} {bits}, splat ({number} 2)")
    turned = w.add(f"shl {_whole(w)} {second}, splat ({number} {8 * w.size - 2})")
    both = w.add(f"xor {_whole(w)} {w.add(f'bitcast {w.vector} {size} to {_whole(w)}')}, {turned}")
    return w.add(f"bitcast {_whole(w)} {both} to {w.vector}")


def _reduced(w: Writer, x: str) -> tuple[str, str]:
    """Write r, and n in the lowest bits of whole numbers."""
    shift = w.splat(1.5 * 2 ** _MANTISSAS[w.element])
    rounded = w.fma(x, w.splat(w.rounded(2 / math.pi)), shift)
    n, r = w.minus(rounded, shift), x
    for part in _parts(w):
        r = w.fma(n, w.splat(-part), r)
    return r, w.add(f"bitcast {w.vector} {rounded} to {_whole(w)}")


def _parts(w: Writer) -> list[float]:
    """Return pi / 2 as a sum of three numbers of the element type."""
    rest, parts = _PI / 2, []
    for bits in _FORMATS[w.element].parts:
        scale = Fraction(2) ** (bits - 1 - math.floor(math.log2(rest)))
        parts.append(math.floor(rest * scale) / scale)
        rest -= parts[-1]
    return [*map(float, parts), w.rounded(float(rest))]


WRITERS: dict[ElementaryFunction, Callable[[Writer, str], str]] = {
    "exp": _exp,
    "log": _log,
    "softplus": _softplus,
    "mish": _mish,
    "sin": lambda w, x: _sine(w, x, 0),
    "cos": lambda w, x: _sine(w, x, 1),
    "floor": _floor,
    "ceil": _ceil,
    "round": _round,
    "sign": _sign,
}
