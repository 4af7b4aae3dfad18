"""The element types: the only table of them, and the types of the tensors of one problem.

A new type is a row of ``DTYPES``. What has to be known of a type elsewhere is a field of ``DType``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np


@dataclass(frozen=True, slots=True)
class DType:
    """The properties of an element type."""

    name: str
    """The short name of oneDNN: ``f32``."""
    numpy: str
    """The name that ``numpy.dtype`` takes: ``float32``. ``array_type`` has the type itself."""
    llvm: str
    """The type of an element in memory in LLVM's intermediate representation: ``float``. Floats of
    16 bits are integers there, which kernels convert. Empty where no kernel is generated for the
    type, so that there is no peak of this machine to compare with."""
    bytes: int
    accumulator: str
    """The name of the type in which a sum of products of this type is kept."""
    epsilon: float
    """The unit roundoff: the largest relative error of rounding to nearest; 0 for whole numbers."""
    lowest: float
    """A number below every score that is computed, from which a difference can still be taken."""

    @property
    def bits(self) -> int:
        """Bits per element."""
        return 8 * self.bytes

    @property
    def array_type(self) -> np.dtype[Any]:
        """The type of NumPy arrays; ``ml_dtypes`` has the one that NumPy itself lacks, bf16."""
        import numpy as np  # late: `convprof --help` must not load it

        if self.numpy == "bfloat16":
            import ml_dtypes

            bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
            return bfloat16
        return np.dtype(self.numpy)

    @property
    def has_fma(self) -> bool:
        """Whether CPUs multiply and add elements without converting them."""
        return self.llvm in {"half", "float", "double"}

    @property
    def is_exact(self) -> bool:
        """Whether sums are not rounded, because the type holds whole numbers."""
        return self.epsilon == 0


DTYPES: dict[str, DType] = {
    "f32": DType("f32", "float32", "float", 4, "f32", 2.0**-24, -3.0e38),
    "f64": DType("f64", "float64", "double", 8, "f64", 2.0**-53, -1.7e308),
    "bf16": DType("bf16", "bfloat16", "i16", 2, "f32", 2.0**-8, -3.0e38),
    "f16": DType("f16", "float16", "i16", 2, "f32", 2.0**-11, -6.0e4),
    "s32": DType("s32", "int32", "i32", 4, "s32", 0.0, -(2.0**31)),
    "s8": DType("s8", "int8", "i8", 1, "s32", 0.0, -(2.0**7)),
    "u8": DType("u8", "uint8", "i8", 1, "s32", 0.0, 0.0),
}
"""By name."""
COMMON = ("f32", "f64")
"""The types that every strategy computes."""
SHORT_FLOATS = ("bf16", "f16")
"""Floats that are computed with as f32."""
SHORT = {"int8": "u8:s8:s32"}
"""Short names of mixtures. An activation after ReLU has no sign, and the x86 instruction for four
products (``vpdpbusd``) takes unsigned and signed bytes."""
OWN = {"attention": {"int8": "s8:s8:f32"}}
"""Short names with another meaning for a kind of problems: in attention q, k and v have signs, and
the results are means."""
FLOAT_PRODUCTS = (*COMMON, "bf16", "f16", "bf16:bf16:f32", "f16:f16:f32")
"""The floats, and mixtures of floats, of matrix products."""
PRODUCTS = (
    *FLOAT_PRODUCTS,
    *("u8:s8:s32", "s8:s8:s32"),
    *("u8:s8:u8", "u8:s8:s8", "s8:s8:u8", "s8:s8:s8"),
    *("u8:s8:f32", "s8:s8:f32"),
)
"""The types, and mixtures of types, of matrix products."""
ATTENTION_BYTES = ("s8:s8:f32", "s8:s8:s8", "s8:s8:u8")
"""The mixtures of attention: q, k and v, result."""
GROUPED = ("f32", "bf16")
"""The types of activations that weights of 8 and 4 bits are multiplied with."""
WORD = DType("s64", "int64", "i64", 8, "s64", 0.0, -(2.0**63))
"""The integers of tables and counters; a problem has no tensors of them."""
S16 = DType("s16", "int16", "i16", 2, "s32", 0.0, -(2.0**15))
"""Sums of a few bytes, between the stages of a convolution; a problem has no tensors of them."""


def find(name: str) -> DType:
    """Return the type of that name; UnknownNameError names what was meant, or the types."""
    if name not in DTYPES:
        raise UnknownNameError(f"unknown dtype {name[:40]!r}: {hint(name)}")
    return DTYPES[name]


def known() -> str:
    """Return the types of problems, for a message: bytes are only parts of a mixture."""
    alone = (name for name, dtype in DTYPES.items() if not dtype.is_exact)
    return f"{', '.join((*alone, *SHORT))} or SOURCE:WEIGHTS:RESULT such as {SHORT['int8']}"


def hint(text: str, only: Iterable[str] = ()) -> str:
    """Return what a message about an unknown type says after its colon.

    ``only``: the types that are possible, if not all.
    """
    names = [short_name(name) for name in only]
    meant = suggestion(text)
    if meant is not None and (not names or meant in names):
        return f"did you mean {meant}?"
    if not names and text.count(":") == PARTS - 1:
        return f"use three of {listed(DTYPES, 'and')}, such as {SHORT['int8']}"
    return f"use {listed(names, 'or') if names else known()}"


def suggestion(text: str) -> str | None:
    """Return the type of problems that another spelling means; None if no type is near.

    Other spellings are NumPy's (``float32``), ``fp16``, ``i8``, a type of bytes alone and the
    beginning of a mixture (``u8:s8``).
    """
    lower = text.strip().lower()
    others = {dtype.numpy: name for name, dtype in DTYPES.items()}
    others |= {f"fp{dtype.bits}": name for name, dtype in DTYPES.items() if name[0] == "f"}
    others |= {"half": "f16", "float": "f32", "double": "f64", "i8": "int8"}
    name = lower if lower in SHORT else ":".join(others.get(p, p) for p in lower.split(":"))
    if name != text and (name in PRODUCTS or name in SHORT):
        return short_name(name)
    if name in DTYPES and not DTYPES[name].is_exact:
        return name if name != text else None
    mixture = next((each for each in PRODUCTS if each.startswith(f"{name}:")), None)
    if mixture is not None:
        return short_name(mixture)
    import difflib

    near = difflib.get_close_matches(name, (*SHORT, *PRODUCTS), n=1, cutoff=0.75)
    return short_name(near[0]) if near and near[0] != text else None


def listed(names: Iterable[str], last: str) -> str:
    """Return ``f32, f64 or bf16``: some names with ``last`` before the last one."""
    *some, end = names
    return f"{', '.join(some)} {last} {end}" if some else end


@dataclass(frozen=True, slots=True)
class Types:
    """The element types of the tensors of one problem, by role.

    ``source``: activations. ``weights``: what is constant between calls. ``accumulator``: sums of
    products, and a bias that is added to such sums. ``result``: what is written.
    """

    source: DType
    weights: DType
    accumulator: DType
    result: DType

    @property
    def name(self) -> str:
        """``f32``, or ``u8:s8:f32`` where source, weights and result differ.

        ``s8:s8:s8`` in full: s8 alone is the type of what is moved and not computed.
        """
        names = (self.source.name, self.weights.name, self.result.name)
        return ":".join(names) if len(set(names)) > 1 or self.requantises else names[0]

    @property
    def requantises(self) -> bool:
        """Whether sums of whole numbers become bytes or f32, by scales and zero points."""
        return self.accumulator.is_exact and self.result != self.accumulator

    @property
    def scale(self) -> DType:
        """The type of the factors of requantisation."""
        return find("f32")

    @property
    def zero_point(self) -> DType:
        """The type of the zero points of weights of 8 and 4 bits."""
        return find("u8")

    @property
    def has_peak(self) -> bool:
        """Whether this machine's peak can be measured: kernels are generated for the types."""
        return self.name in PRODUCTS

    def has(self, name: str) -> bool:
        """Whether any tensor has elements of the type of that name."""
        return name in {self.source.name, self.weights.name, self.result.name}

    @property
    def uniform(self) -> DType | None:
        """The type, if all four are the same; kernels of one type need it."""
        same = len({self.source, self.weights, self.accumulator, self.result}) == 1
        return self.source if same else None


PARTS = 3


WITH_PEAK = (*COMMON, "bf16", SHORT["int8"])
"""The types whose peaks are listed. The other products are limited by the same instructions."""


def types(text: str) -> Types:
    """Return the types that ``f32``, or benchdnn's ``source:weights:result``, mean.

    One name is the type of all three, or a short name of a mixture: ``int8``. The accumulator is
    the one that the table has for the source. UnknownNameError for an unknown name, or another
    number of names.
    """
    names = SHORT.get(text, text).split(":")
    if len(names) not in (1, PARTS) or not set(names) <= DTYPES.keys():
        raise UnknownNameError(f"unknown dtype {text[:40]!r}: {hint(text)}")
    source, weights, result = map(find, names * PARTS if len(names) == 1 else names)
    return Types(source, weights, find(source.accumulator), result)


def is_part(text: str) -> bool:
    """Whether it is a type of whole numbers, which a problem has in mixtures only."""
    return text in DTYPES and DTYPES[text].is_exact


def of_one(dtype: DType) -> Types:
    """Return the types of what moves elements of one type and computes nothing."""
    return Types(dtype, dtype, dtype, dtype)


F32 = types("f32")
"""For what is the same for all types, such as shapes."""


def short_name(name: str, kind: str = "") -> str:
    """Return ``int8`` for ``u8:s8:s32``: the short name of a mixture, if it has one.

    ``kind``: of the problem, if it is known.
    """
    meanings = SHORT | OWN.get(kind, {})
    return next((short for short, mixture in meanings.items() if mixture == name), name)


def of_kind(name: str, kind: str) -> str:
    """Return the types that a name means for a kind of problems; ``int8`` has two meanings."""
    return OWN.get(kind, {}).get(short_name(name), name)


# The tolerance of a result.

GROWTH = 2.0**7
"""How many unit roundoffs of the accumulator a result may be wrong by, per root of a term. What is
reached: 0.6 by sums one after the other, 2.4 by the Fourier transform, 12.5 by Winograd F(4x4), 23
by F(6x6)."""
QUANTISED = 2.0**-8
"""The error of a byte, as a part of the largest number that bytes of its scale mean."""
MOST = 2.0**14
"""At most as many unit roundoffs of the accumulator: 1e-3 for f32, however long the sum is."""


def tolerance(of: Types, terms: int, roundings: int = 1) -> float:
    """Return the largest ``max|y - y64| / max|y64|`` that rounding explains.

    One rounding to the result's type, and a sum of ``terms`` rounded products in the accumulator's
    type. The error of such a sum grows as the root of ``terms`` where roundings are independent
    (Higham & Mary 2019, "A new approach to probabilistic rounding error analysis"), as the
    largest of many results does. The factor leaves room for algorithms that transform the operands
    (Winograd: Lavin & Gray 2016). A misplaced element gives an error near 1. Sums of whole numbers
    are exact. ``roundings``: of results to the result's type, one after the other, as in the layers
    of a network; their errors grow as the root of their number.
    """
    if of.requantises and not of.result.is_exact:
        return GROWTH * of.result.epsilon  # exact sums; then a factor, an epilogue
    growth = min(MOST, GROWTH * math.sqrt(max(1, terms)))
    in_bytes = of.accumulator.is_exact and roundings > 1  # the layers of a network, between scales
    epsilon = QUANTISED if in_bytes else of.result.epsilon
    rounded = 2 * math.sqrt(roundings) * epsilon
    return rounded + growth * of.accumulator.epsilon
