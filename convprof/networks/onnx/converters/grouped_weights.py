"""Products with weights of 4 or 8 bits and factors for groups of them, in the file's own bits.

``MatMulNBits`` is ONNX Runtime's operator, ``DequantizeLinear`` with a ``block_size`` before a
product the standard form. For the former a file has a row for each column of the matrix: groups of
weights, two of 4 bits to a byte, the lower half first. Zero points are packed in the same way;
without them the middle of the range is 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.integers import ceil_div
from convprof.networks.onnx.converters.rearranging import on_last_axis
from convprof.networks.onnx.node import Constant, Recipe, Value
from convprof.problems.grouped_weights import GROUPS, WIDTHS, GroupedWeights
from convprof.problems.ops import Bias, GroupedLinear

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode
    from convprof.problems.shapes import Shape

    Array = np.ndarray[Any, Any]

_ZEROS, _ORDER, _BIAS = 3, 4, 5
"""The places of the inputs that may be left out: zero points, the groups' order, a bias."""
_BYTE = 8


def _of_bits(net: Importer, node: FileNode) -> Value:
    k, n = node.integer("K", 0), node.integer("N", 0)
    bits, group = node.integer("bits", 4), node.integer("block_size", 0)
    x = net.activation(node)
    if x.shape[-1:] != (k,) or n < 1:
        raise node.refused(f"a matrix of {(k, n)} does not fit {x.shape}")
    if bits not in WIDTHS.values() or group < 1:
        raise node.refused(f"weights of {bits} bits in groups of {group}: use 4 or 8 bits")
    if node.has(_ORDER):
        raise node.refused("groups in another order (g_idx) are not supported")
    of = _weights_of(bits, min(group, k), zeros=node.has(_ZEROS))
    tensors = _tensors(net, node, (k, n), of)
    bias = [net.constant(node, _BIAS)] if node.has(_BIAS) else []
    y = on_last_axis(net, node, GroupedLinear(n, of), x, tensors)
    return _with_bias(net, node, of, y, bias)


def _weights_of(bits: int, group: int, *, zeros: bool) -> GroupedWeights:
    """Return the weights of some bits, with zero points or without."""
    return GroupedWeights(f"{'uint' if zeros else 'int'}{bits}", group)


def _tensors(net: Importer, node: FileNode, shape: Shape, of: GroupedWeights) -> list[Constant]:
    """Return weights, scales and perhaps zero points as ``GroupedWeights`` has them in memory."""
    (k, n), bits, group = shape, of.bits, node.integer("block_size", 0)
    words, scales = net.constant(node, 1), net.constant(node, 2)
    groups = ceil_div(k, group)
    blocks = n * groups
    if (words.elements, scales.elements) != (blocks * ceil_div(group * bits, _BYTE), blocks):
        raise node.refused(f"tensors of {words.shape} and {scales.shape} do not fit {shape}")

    def weights(packed: Array) -> Array:
        return _in_memory(_apart(packed, n, bits)[:, :k].T, of)

    tensors = [
        _rearranged(words, (ceil_div(k * bits, _BYTE), n), weights),
        _rearranged(scales, (groups, n), lambda a: a.reshape(n, groups).T),
    ]
    if of.has_zero_points:
        zeros = _zeros(net, node, n * ceil_div(groups * bits, _BYTE))
        points = _rearranged(zeros, (groups, n), lambda a: _apart(a, n, bits)[:, :groups].T)
        tensors.append(points)
    return tensors


def _zeros(net: Importer, node: FileNode, expected: int) -> Constant:
    """Return the packed zero points."""
    zeros = net.constant(node, _ZEROS)
    if zeros.elements != expected or zeros.stored not in ("", "UINT8"):
        raise node.refused("its zero points are not bytes for each group; others are not supported")
    return zeros


def _rearranged(
    constant: Constant, shape: tuple[int, int], function: Callable[[Array], Array]
) -> Constant:
    """Return a constant of another shape, computed when its numbers are needed."""
    return Constant(shape, stored=constant.stored, recipe=Recipe(function, (constant,)))


def _apart(packed: Array, rows: int, bits: int) -> Array:
    """Return the numbers of each row, a byte each."""
    whole = packed.reshape(rows, -1).astype(np.uint8)
    if bits == _BYTE:
        return whole
    halves: Array = np.stack([whole & 15, whole >> 4], axis=-1).reshape(rows, -1)
    return halves


def _in_memory(matrix: Array, of: GroupedWeights) -> Array:
    """Return unsigned numbers ``(k, n)`` as ``GroupedWeights`` has them in memory."""
    if of.bits == _BYTE:
        return matrix if of.has_zero_points else (matrix ^ 128).view(np.int8)
    even = np.pad(matrix, ((0, len(matrix) % 2), (0, 0)))
    halves: Array = even[::2] | even[1::2] << 4
    return halves


_STORED = {"INT4": 4, "UINT4": 4, "INT8": 8, "UINT8": 8}
"""By the file's type of whole numbers, the bits of a weight."""


def in_own_bits(
    net: Importer, node: FileNode, a: Value, b: Constant, bias: Sequence[Constant]
) -> Value | None:
    """Return rows times a matrix that DequantizeLinear gives; None for any other matrix."""
    blocks, k, n = b.blocks, *b.shape
    if blocks is None or blocks.axis != 0 or blocks.whole.stored not in _STORED:
        return None
    bits, signed = _STORED[blocks.whole.stored], blocks.whole.stored.startswith("I")
    groups = ceil_div(k, blocks.size)
    if blocks.size not in GROUPS or blocks.scales.shape != (groups, n):
        return None
    is_symmetric = signed and blocks.zeros is None
    of = _weights_of(bits, blocks.size, zeros=not is_symmetric)

    def unsigned(array: Array) -> Array:
        return (array.astype(np.int16) + (signed << (bits - 1))).astype(np.uint8)

    shape = ceil_div(k * bits, _BYTE), n
    weights = _rearranged(blocks.whole, shape, lambda a: _in_memory(unsigned(a), of))
    scales = replace(blocks.scales, name="")  # no tie: the weights themselves are rearranged
    tensors = [weights, scales]
    if not is_symmetric:
        zeros = blocks.zeros or Constant.of(np.zeros((groups, n), np.uint8))
        tensors.append(_rearranged(zeros, (groups, n), unsigned))
    y = on_last_axis(net, node, GroupedLinear(n, of), a, tensors)
    return _with_bias(net, node, of, y, bias)


def _with_bias(
    net: Importer, node: FileNode, of: GroupedWeights, y: Value, bias: Sequence[Constant]
) -> Value:
    """Return a product, with its bias as an operation of its own, and note its weights."""
    net.note(f"weights in their own {of.bits} bits, in groups of {of.group}")
    net.in_own_bits.update(node.inputs[1:])
    return net.emit(node, Bias(), y, part="bias", weights=bias) if bias else y


CONVERTERS = {"MatMulNBits": _of_bits}
