"""The operators of PyTorch that are problems of convprof, from the arguments in a trace.

``Input Dims`` has the shapes of tensors, ``Concrete Inputs`` the other arguments as texts, both in
the order of the operator's schema (PyTorch, ``aten/src/ATen/native/native_functions.yaml``).
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.logs.products import product
from convprof.problems.attention import CAUSAL, NO_MASK, OF_KEYS, OF_PAIRS, Attention
from convprof.problems.conv2d import Conv2d

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems.base import Problem
    from convprof.problems.gemm import Gemm

Arguments = dict[str, Any]
FIELDS = ("Input type", "Input Dims", "Input Strides", "Concrete Inputs")
"""The fields of the arguments that are read."""
_TYPES = {"float": "f32", "double": "f64", "c10::BFloat16": "bf16", "c10::Half": "f16",
          "signed char": "s8", "unsigned char": "u8", "int": "s32", "long int": "s64",
          "long": "s64"}  # fmt: skip
_PAIR = re.compile(r"\[([0-9]{1,10})(?:, ([0-9]{1,10}))?\]")
_IMAGE, _MATRIX, _HEADS = 4, 2, 4
_LONGEST = 64
_MOST_DIMS = 16
_FIRST_OF_STACK = 3


def problem(name: str, arguments: Arguments) -> Problem | None:
    """Return the problem of an operator; None if convprof does not compute it."""
    reader = _READERS.get(name)
    if reader is None:
        return None
    try:
        return reader(arguments)
    except (InputError, ValueError):
        return None


def types(arguments: Arguments) -> str:
    """Return the type of the first tensor; empty if the trace has none."""
    names = arguments.get("Input type")
    first = names[0] if isinstance(names, list) and names else ""
    return _TYPES.get(first, "") if isinstance(first, str) else ""


def layout(arguments: Arguments) -> str:
    """Return ``nchw`` or ``nhwc`` for an operator whose first tensor is an image; else nothing."""
    strides = _lists(arguments.get("Input Strides"))
    dims = _lists(arguments.get("Input Dims"))
    if not strides or not dims or len(strides[0]) != _IMAGE or len(dims[0]) != _IMAGE:
        return ""
    # With one channel, or one pixel, both layouts are the same memory.
    return "nhwc" if strides[0][1] == 1 and dims[0][1] > 1 else "nchw"


def shapes(arguments: Arguments) -> list[list[int]]:
    """Return the shapes of the arguments; an argument that is not a tensor has an empty shape."""
    return _lists(arguments.get("Input Dims"))


def _lists(value: Any) -> list[list[int]]:
    lists = []
    for item in value[:_LONGEST] if isinstance(value, list) else ():
        sizes = item[:_MOST_DIMS] if isinstance(item, list) else []
        lists.append(sizes if all(isinstance(size, int) for size in sizes) else [])
    return lists


def _texts(arguments: Arguments, count: int) -> list[str]:
    """Return the arguments that are not tensors; ValueError for fewer than ``count``."""
    value = arguments.get("Concrete Inputs")
    texts = [str(item) for item in value[:_LONGEST]] if isinstance(value, list) else []
    if len(texts) < count:
        raise ValueError("too few arguments")
    return texts


def _pair(text: str) -> tuple[int, int]:
    match = _PAIR.fullmatch(text)
    if match is None:
        raise ValueError("not a pair")
    return int(match[1]), int(match[2] or match[1])


def _tensors(arguments: Arguments, *ranks: int) -> list[list[int]]:
    """Return the first shapes; ValueError if their ranks are others."""
    first = shapes(arguments)[: len(ranks)]
    if [len(shape) for shape in first] != list(ranks):
        raise ValueError("tensors of another rank")
    return first


def _conv(
    arguments: Arguments, *, stride: int, padding: int, dilation: int, groups: int
) -> Conv2d | None:
    x, weights = _tensors(arguments, _IMAGE, _IMAGE)
    texts = _texts(arguments, 1 + max(stride, padding, dilation, groups))
    n, c, h, w = x
    k, per_group, r, s = weights
    group_count = int(texts[groups])
    if per_group * group_count != c:
        return None
    return Conv2d(
        n=n, c=c, h=h, w=w, k=k, r=r, s=s, stride=_pair(texts[stride]), pad=_pair(texts[padding]),
        dilation=_pair(texts[dilation]), groups=group_count,
    )  # fmt: skip


def _conv2d(arguments: Arguments) -> Conv2d | None:
    return _conv(arguments, stride=3, padding=4, dilation=5, groups=6)


def _convolution(arguments: Arguments) -> Conv2d | None:
    transposed = _texts(arguments, 7)[6] != "False"
    return None if transposed else _conv(arguments, stride=3, padding=4, dilation=5, groups=8)


def _pointwise(arguments: Arguments) -> Conv2d | None:
    """Read ``mkldnn::_convolution_pointwise`` of compiled programs: its padding comes first."""
    return _conv(arguments, stride=4, padding=3, dilation=5, groups=6)


def _linear(arguments: Arguments) -> Gemm | None:
    sizes = shapes(arguments)
    if len(sizes) < 2 or not sizes[0] or len(sizes[1]) != _MATRIX:  # noqa: PLR2004
        return None
    outputs, inputs = sizes[1]
    return product(sizes[0], [inputs, outputs])


def _mm(arguments: Arguments) -> Gemm | None:
    a, b = shapes(arguments)[:2]
    return product(a, b)


def _addmm(arguments: Arguments) -> Gemm | None:
    _, a, b = shapes(arguments)[:3]
    return product(a, b)


def _attention(arguments: Arguments, *, is_causal: int) -> Attention | None:
    """Read an operator whose argument number ``is_causal`` asks for a causal mask."""
    q, k, v = _tensors(arguments, _HEADS, _HEADS, _HEADS)
    batch, heads, tokens, dim = q
    _, key_heads, keys, _ = k
    added = [shape for shape in shapes(arguments)[_FIRST_OF_STACK:] if shape]
    causal = _texts(arguments, 1 + is_causal)[is_causal] == "True"
    if k != v or k != [batch, key_heads, keys, dim] or not key_heads * keys:
        return None
    if causal and (added or keys != tokens):
        return None
    mask = CAUSAL if causal else NO_MASK
    if added:
        mask = OF_KEYS if added[0][-2:-1] in ([], [1]) else OF_PAIRS
    return Attention(
        batch=batch, heads=heads, tokens=tokens, dim=dim, key_heads=key_heads, keys=keys, mask=mask
    )


_READERS: dict[str, Callable[[Arguments], Problem | None]] = {
    "aten::conv2d": _conv2d,
    "aten::convolution": _convolution,
    "aten::_convolution": _convolution,
    "mkldnn::_convolution_pointwise": _pointwise,
    "aten::linear": _linear,
    "mkldnn::_linear_pointwise": _linear,
    "aten::mm": _mm,
    "aten::bmm": _mm,
    "aten::addmm": _addmm,
    "aten::baddbmm": _addmm,
    "aten::scaled_dot_product_attention": functools.partial(_attention, is_causal=5),
    "aten::_scaled_dot_product_flash_attention_for_cpu": functools.partial(_attention, is_causal=4),
}
