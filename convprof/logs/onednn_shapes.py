"""The problem at the end of a line of oneDNN, as a problem of convprof."""

from __future__ import annotations

import math
import re

from convprof.errors import InputError
from convprof.logs.products import product
from convprof.problems import descriptor
from convprof.problems.base import Problem, Trainable
from convprof.problems.gemm import Gemm
from convprof.problems.gradients import BackwardData, BackwardWeights

_LONGEST = 400
_NUMBER = "([0-9]{1,10})"
_INNER = re.compile(
    rf"mb{_NUMBER}ic{_NUMBER}(?:id{_NUMBER})?(?:ih{_NUMBER})?(?:iw{_NUMBER})?oc{_NUMBER}"
)
_MNK = re.compile(rf"(?:b{_NUMBER})?m{_NUMBER}n{_NUMBER}k{_NUMBER}")
"""A product in 1.x."""
_SIZES = re.compile(r"[0-9]{1,10}(?:x[0-9]{1,10}){1,11}")


def problem(kind: str, prop: str, text: str) -> Problem | None:
    """Return the problem; None if convprof does not compute it."""
    if kind not in _READERS or len(text) > _LONGEST:
        return None
    try:
        forward = _READERS[kind](text)
        return None if forward is None else _pass(forward, prop)
    except InputError:
        return None


def _pass(forward: Trainable, prop: str) -> Problem:
    if prop == "backward_data":
        return BackwardData(forward)
    if prop.startswith("backward_weights"):
        return BackwardWeights(forward)
    return forward


def _convolution(text: str) -> Trainable | None:
    forward = descriptor.parse(text.replace("_", ""))
    return forward if isinstance(forward, Trainable) else None


def _inner_product(text: str) -> Trainable | None:
    match = _INNER.fullmatch(text.replace("_", ""))
    if match is None:
        return None
    mb, ic, *image, oc = (int(size or 1) for size in match.groups())
    return Gemm(m=mb, k=ic * math.prod(image), n=oc)


def _matmul(text: str) -> Trainable | None:
    old = _MNK.fullmatch(text)
    if old is not None:
        batch, m, n, k = (int(size or 1) for size in old.groups())
        return Gemm(batch=batch, m=m, n=n, k=k)
    tensors = text.split(":")
    if len(tensors) not in (2, 3) or not all(_SIZES.fullmatch(tensor) for tensor in tensors):
        return None
    a, b = ([int(size) for size in tensor.split("x")] for tensor in tensors[:2])
    return product(a, b)


_READERS = {
    "convolution": _convolution,
    "inner_product": _inner_product,
    "matmul": _matmul,
    "gemm_api": _matmul,
}
