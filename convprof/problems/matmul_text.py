"""Read a matrix product from benchdnn's text: ``MxK:KxN[:MxN][n"name"]``, batched ``BxMxK:BxKxN``.

Rules: oneDNN, tests/benchdnn/doc, ``driver_matmul.md``. Several batch dimensions multiply.
Broadcasting over the batch is refused: it is another problem, with other memory traffic.
"""

from __future__ import annotations

import math
import re

from convprof.errors import DescriptorError, NotComputedError
from convprof.problems.checks import MAX_SIZE, read_name, shown
from convprof.problems.gemm import Gemm

_BODY = re.compile(r"[0-9x:]*")
_MATRIX = 2  # the last two dimensions; those before them are the batch
_FORM = "write MxK:KxN, e.g. 1024x512:512x768"

# Reasons under which the report on a shape file counts what it leaves out.
_OTHER = "not a matrix product"
_BROADCAST = "matrix product with a broadcast batch"
_ZERO = "a size of 0"
_HUGE = "a size over 2**31 - 1"


def parse_gemm(text: str) -> Gemm:
    """Return the matrix product that the text means.

    Raises DescriptorError naming the field, NotComputedError for a text that is not such a product,
    ProblemError when the sizes are impossible.
    """
    body = _BODY.match(text)
    assert body is not None  # noqa: S101  # the pattern matches the empty text
    rest = text[body.end() :].lstrip("_")
    if rest and not rest.startswith("n"):
        raise DescriptorError(
            f'{shown(text[body.end() :])} at character {body.end() + 1}: only n"name" may follow'
        )
    name = read_name(rest[1:]) if rest else ""
    tensors = [_tensor(part) for part in body.group().split(":")]
    if len(tensors) not in (2, 3):
        raise NotComputedError(f"{len(tensors)} tensors: {_FORM}", _OTHER)
    a, b, *rest_tensors = tensors
    batch = _batch(a[:-_MATRIX], b[:-_MATRIX])
    (m, k), (k2, n) = a[-_MATRIX:], b[-_MATRIX:]
    if k != k2:
        raise NotComputedError(f"inner dimensions {k} and {k2} differ: {_FORM}", _OTHER)
    for c in rest_tensors:
        result = [*a[:-_MATRIX], m, n]
        if c != result:
            raise NotComputedError(
                f"the result is {_by_x(result)}, not {_by_x(c)}: leave it out", _OTHER
            )
    return Gemm(m=m, n=n, k=k, batch=batch, name=name)


def _tensor(text: str) -> list[int]:
    parts = text.split("x")
    if not all(parts):
        raise DescriptorError(f"{shown(text)} is not a matrix: {_FORM}")
    if len(parts) < _MATRIX:
        raise NotComputedError(f"{shown(text)} is not a matrix: {_FORM}", _OTHER)
    sizes = []
    for part in parts:
        number = int(part)
        if number == 0:
            raise NotComputedError(f"{shown(text)}: every dimension must be at least 1", _ZERO)
        if number > MAX_SIZE:
            raise NotComputedError(
                f"{shown(text)}: every dimension must be at most {MAX_SIZE} (2**31 - 1)", _HUGE
            )
        sizes.append(number)
    return sizes


def _batch(a: list[int], b: list[int]) -> int:
    if a == b:
        return math.prod(a)
    raise NotComputedError(
        f"batch {_by_x(a) or 'none'} of A and {_by_x(b) or 'none'} of B differ: "
        f"give both the same; broadcasting is not supported: its memory traffic differs",
        _BROADCAST,
    )


def _by_x(sizes: list[int]) -> str:
    return "x".join(map(str, sizes))
