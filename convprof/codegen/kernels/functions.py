"""Functions of one element, vector by vector: the activations of networks.

NaN stays NaN, and infinite or too large inputs give the function's limit. Constants are splats:
LLVM keeps them in registers or reads them from memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from convprof.codegen.kernels.exp2 import MOST, polynomial, power, power_less_one
from convprof.problems.functions import GELU_CUBE, GELU_SLOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.codegen.writer import Writer
    from convprof.problems.epilogue import Function


def apply(w: Writer, function: Function, x: str) -> str:
    """Write ``function(x)`` for a vector and return its name.

    The largest error is 1e-6 (f32) or 2e-14 (f64) of the largest result of a tensor.
    """
    return WRITERS[function](w, x)


def over_rows(
    w: Writer, function: Function, rows: Sequence[int], columns: Sequence[tuple[int, str | None]]
) -> str:
    """Return the loop over stored ``rows`` of ``%c``, in L1 by now, that applies the function.

    ``columns``: the offset and the mask of each vector of a row. Written out between sums in
    registers, a long function would spill them, and would be more code than the cache of decoded
    instructions holds.
    """
    for offset, mask in columns:
        where = w.at("%c_now", offset)
        w.store(apply(w, function, w.load(where, mask)), where, mask)
    count, offsets = len(rows), ", ".join(f"i64 {row}" for row in rows)
    w.constants += f"@tile_rows = private constant [{count} x i64] [{offsets}]\n"
    return f"""
  br label %late
late:
  br label %late_row
late_row:
  %row = phi i64 [ 0, %late ], [ %row_next, %late_row ]
  %row_where = getelementptr i64, ptr @tile_rows, i64 %row
  %row_offset = load i64, ptr %row_where
  %c_now = getelementptr {w.element}, ptr %c, i64 %row_offset
{w.taken()}
  %row_next = add i64 %row, 1
  %row_more = icmp ult i64 %row_next, {count}
  br i1 %row_more, label %late_row, label %late_end
late_end:"""


def _relu(w: Writer, x: str) -> str:
    return w.larger(x, w.splat(0.0))


def _relu6(w: Writer, x: str) -> str:
    return _smaller(w, _relu(w, x), 6.0)


def _hardsigmoid(w: Writer, x: str) -> str:
    line = w.fma(x, w.splat(w.rounded(1 / 6)), w.splat(0.5))
    return _smaller(w, w.larger(line, w.splat(0.0)), 1.0)


def _hardswish(w: Writer, x: str) -> str:
    """Write x min(x + 3, 6) / 6 for x from -3: for smaller x, and minus infinity, 0."""
    v = w.vector
    x = w.larger(x, w.splat(-3.0))
    upper = _smaller(w, w.add(f"fadd {v} {x}, {w.splat(3.0)}"), 6.0)
    return w.add(f"fmul {v} {w.add(f'fmul {v} {x}, {upper}')}, {w.splat(w.rounded(1 / 6))}")


def _sigmoid(w: Writer, x: str) -> str:
    v, one = w.vector, w.splat(1.0)
    below = power(w, _within(w, x, _largest(w)), -math.log2(math.e))
    return w.add(f"fdiv {v} {one}, {w.add(f'fadd {v} {one}, {below}')}")


def _silu(w: Writer, x: str) -> str:
    """Write x / (1 + exp(-x)); smaller x are replaced where the quotient is practically 0."""
    v, most = w.vector, _largest(w)
    x = w.larger(x, w.splat(-most))
    below = power(w, _smaller(w, x, most), -math.log2(math.e))
    return w.add(f"fdiv {v} {x}, {w.add(f'fadd {v} {w.splat(1.0)}, {below}')}")


def _tanh(w: Writer, x: str) -> str:
    """Write (exp(2x) - 1) / (exp(2x) - 1 + 2), which is x for the smallest x; 1 beyond x = 20."""
    v = w.vector
    over = power_less_one(w, _within(w, x, 20.0), 2 * math.log2(math.e))
    return w.add(f"fdiv {v} {over}, {w.add(f'fadd {v} {over}, {w.splat(2.0)}')}")


def _gelu(w: Writer, x: str) -> str:
    """Write max(x, 0) - a Q(a): a = |x|, Q(a) = erfc(a / sqrt 2) / 2 is the normal's upper tail.

    Q(a) = exp(-a^2 / 2) T(a): the exponential decreases like the tail, so that T is smooth, and no
    digits are lost where Q is small.
    """
    v, tail = w.vector, _TAILS[w.element]
    a = _smaller(w, w.add(f"call {v} @llvm.fabs.{w.suffix}({v} {x})"), tail.end)
    beyond = w.add(f"fadd {v} {a}, {w.splat(tail.middle)}")
    near = w.add(f"fdiv {v} {w.splat(2 * tail.middle)}, {beyond}")
    smooth = polynomial(w, near, tail.coefficients)
    # The square is rounded already: a factor with more digits than an element would not help.
    factor = w.rounded(-0.5 * math.log2(math.e))
    fall = power(w, w.add(f"fmul {v} {a}, {a}"), factor)
    part = w.add(f"fneg {v} {w.add(f'fmul {v} {a}, {fall}')}")
    return w.fma(part, smooth, _relu(w, x))


def _gelu_tanh(w: Writer, x: str) -> str:
    """Write x / (1 + exp(-2 u)) with u = sqrt(2 / pi) (x + 0.044715 x^3), as silu is written."""
    v = w.vector
    # Beyond 12, 2 u is over 140: the result is x or practically 0, and the power has no overflow.
    near = _within(w, x, 12.0)
    square = w.add(f"fmul {v} {near}, {near}")
    slope = w.fma(
        square, w.splat(w.rounded(2 * GELU_SLOPE * GELU_CUBE)), w.splat(w.rounded(2 * GELU_SLOPE))
    )
    twice = _within(w, w.add(f"fmul {v} {near}, {slope}"), _largest(w))
    below = power(w, twice, -math.log2(math.e))
    x = w.larger(x, w.splat(-12.0))
    return w.add(f"fdiv {v} {x}, {w.add(f'fadd {v} {w.splat(1.0)}, {below}')}")


def elu(w: Writer, x: str, below: str, above: str) -> str:
    """Write ``above`` max(x, 0) + ``below`` (exp(min(x, 0)) - 1), with two vectors as factors."""
    v = w.vector
    low = w.larger(_smaller(w, x, 0.0), w.splat(-_ELU_END))
    little = power_less_one(w, low, math.log2(math.e))
    return w.fma(little, below, w.add(f"fmul {v} {_relu(w, x)}, {above}"))


WRITERS: dict[Function, Callable[[Writer, str], str]] = {
    "relu": _relu,
    "relu6": _relu6,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "hardsigmoid": _hardsigmoid,
    "hardswish": _hardswish,
}


_ELU_END = 40.0
"""exp(-40) is less than a unit of the last place of 1."""


class _Tail(NamedTuple):
    """T(a) = exp(a^2 / 2) erfc(a / sqrt 2) / 2 as a polynomial in t = 2 middle / (middle + a).

    The coefficients are from least squares at Chebyshev points of t, with larger weights where the
    relative error was large (Lawson 1961), compared with values of 40 digits.
    """

    end: float
    """At this a the exponential is near the smallest normal number: larger a are replaced by it."""
    middle: float
    """The a at which t is 1, the middle of its range."""
    coefficients: tuple[float, ...]
    """The coefficients, constant first."""


# fmt: off
_TAILS = {
    "float": _Tail(13.0, 2.5, (  # 7e-8 at most, 3e-7 with the roundings of f32
        -1.292216138e-05, 0.07996189487, 0.03890415483, 0.01990163697, -0.0009122696447,
        0.007959542001, -0.005897491004, 0.001583356713, -0.0001565620347,
    )),
    "double": _Tail(37.5, 7.0, (  # 1e-14 at most
        -7.087719300358231e-10, 0.028495896433392693, 0.014247694830185944,
        0.006980492444511913, 0.0033335030186207606, 0.0016069764172162253,
        0.0005852362890245151, 0.0006302329346351788, -0.00046936177981752735,
        0.0010043533135300838, -0.0011794021841274192, 0.0012511381846799835,
        -0.001040434779643173, 0.0007105338302024751, -0.00038596796631627285,
        0.00016599535853905657, -5.4723449090449925e-05, 1.3338847206683156e-05,
        -2.233814598093108e-06, 2.2545487930873066e-07, -1.023371955127435e-08,
    )),
}
# fmt: on


def _largest(w: Writer) -> float:
    """Return the largest x, rounded down, for which e**x and e**-x are normal numbers."""
    return math.floor(MOST[w.element] * math.log(2))


def _within(w: Writer, x: str, most: float) -> str:
    return _smaller(w, w.larger(x, w.splat(-most)), most)


def _smaller(w: Writer, x: str, limit: float) -> str:
    """Write the smaller of a vector and a number; NaN stays NaN."""
    return w.smaller(x, w.splat(limit))
