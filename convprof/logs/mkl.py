"""A line of ``MKL_VERBOSE``.

    MKL_VERBOSE SGEMM(N,N,1000,64,512,0x7ffd0a10,...) 41.32us CNR:OFF Dyn:1 FastMM:1 TID:0  NThr:2

The arguments are the Fortran routine's: integers as numbers, scalars and arrays as addresses.
Fortran stores columns, so a product ``(m, k) (k, n)`` of row-major matrices shows n before m, and
its second operand first. Source: oneMKL Developer Guide, "Call Description Line".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.logs.operation import Call, Operation, is_time, word
from convprof.problems.gemm import Gemm

if TYPE_CHECKING:
    from convprof.logs.operation import Reading

LIBRARY = "MKL"
PREFIX = b"MKL_VERBOSE "

_CALL = re.compile(
    r"([A-Za-z_][A-Za-z_0-9]{0,79})\(([^()]{0,2000})\)\s+([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s)(?:\s|$)"
)
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_HEADER = re.compile(
    r"(?:oneMKL|Intel\(R\) (?:oneAPI Math Kernel Library|MKL))\s+(.{1,60}?) Product"
)
_THREADS = re.compile(r"NThr:([0-9]{1,6})\b")
_GEMM = re.compile(r"([A-Z0-9]+?)GEMM(?:_(?:64|COMPUTE|BATCH_STRIDED))?_?")
_TYPES = {"S": "f32", "D": "f64", "H": "f16"}
_MIXED = {"GEMM_BF16BF16F32": "bf16:bf16:f32", "GEMM_F16F16F32": "f16:f16:f32",
          "GEMM_S8U8S32": "u8:s8:s32"}  # fmt: skip
_BATCH_STRIDED = "BATCH_STRIDED"
_TRANSPOSED = {"N": "ab", "T": "ba", "C": "ba"}


def read(body: str, reading: Reading) -> Call | None:
    """Return the call of a line behind ``PREFIX``; None for a message or a line that is cut."""
    match = _CALL.match(body)
    if match is None:
        _message(body, reading)
        return None
    name, arguments, number, unit = match.groups()
    seconds = float(number) * _UNITS[unit]
    if not is_time(seconds):
        reading.unread += 1
        return None
    threads = _THREADS.search(body, match.end())
    if threads is not None:
        reading.on_threads(LIBRARY, int(threads[1]))
    return Call(_operation(name, arguments.split(",")), seconds, "execution")


def _message(body: str, reading: Reading) -> None:
    header = _HEADER.match(body)
    if header is None:
        reading.unread += 1
        return
    reading.messages += 1
    reading.begin(LIBRARY, header[1])


def _operation(name: str, arguments: list[str]) -> Operation:
    upper = name.upper().removeprefix("CBLAS_")
    # An address is another one in each call, and says nothing.
    words = [a for a in (text.strip() for text in arguments) if not a.startswith("0x")]
    types = _MIXED.get(upper, "")
    gemm = _GEMM.fullmatch(upper)
    if gemm is not None:
        types = _TYPES.get(gemm[1], "")
    plain = bool(types) and len(words) > 4 and {*words[:2]} <= {*_TRANSPOSED}  # noqa: PLR2004
    if not plain:
        return Operation(LIBRARY, word(name), word(",".join(words)), types)
    problem = _product(words, batched=upper.endswith(_BATCH_STRIDED))
    # Rows for columns: the second operand comes first.
    layout = f"{_TRANSPOSED[words[1]]}:{_TRANSPOSED[words[0]]}"
    text = ",".join(words) if problem is None else problem.descriptor
    return Operation(LIBRARY, word(name), word(text), types, layout, "", problem)


def _product(words: list[str], *, batched: bool) -> Gemm | None:
    try:
        n, m, k = (int(size) for size in words[2:5])
        return Gemm(m=m, n=n, k=k, batch=int(words[-1]) if batched else 1)
    except (InputError, ValueError):
        return None
