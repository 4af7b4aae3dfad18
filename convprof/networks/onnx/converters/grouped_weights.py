"""MatMulNBits, ONNX Runtime's product with weights of 4 or 8 bits, in the file's own bits.

The file has a row for each column of the matrix: groups of ``block_size`` weights, two of 4 bits to
a byte, the lower half first. Zero points are packed in the same way; without them the middle of the
range is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.integers import ceil_div
from convprof.networks.onnx.converters.rearranging import on_last_axis
from convprof.networks.onnx.node import Constant, Recipe, Value
from convprof.problems.grouped_weights import WIDTHS, GroupedWeights
from convprof.problems.ops import Bias, GroupedLinear

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode

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
    groups = ceil_div(k, group)
    words = (net.constant(node, 1), n * groups * ceil_div(group * bits, _BYTE))
    scales = (net.constant(node, 2), n * groups)
    zeros = _zeros(net, node, n * ceil_div(groups * bits, _BYTE))
    for constant, expected in (words, scales):
        if constant.elements != expected:
            raise node.refused(f"a tensor of {constant.shape} does not fit {(k, n)}")
    named = [name for name, width in WIDTHS.items() if width == bits]
    of = GroupedWeights(named[1 if zeros else 0], min(group, k) if groups == 1 else group)
    tensors = [
        _rearranged(words[0], (ceil_div(k * bits, _BYTE), n), lambda a: _weights(a, (k, n), of)),
        _rearranged(scales[0], (groups, n), lambda a: a.reshape(n, groups).T),
    ]
    if zeros is not None:
        shape = (groups, n)
        tensors.append(_rearranged(zeros, shape, lambda a: _apart(a, n, bits)[:, :groups].T))
    net.note(f"weights in their own {bits} bits, in groups of {of.group}")
    y = on_last_axis(net, node, GroupedLinear(n, of), x, tensors)
    if not node.has(_BIAS):
        return y
    return net.emit(node, Bias(), y, part="bias", weights=[net.constant(node, _BIAS)])


def _zeros(net: Importer, node: FileNode, expected: int) -> Constant | None:
    """Return the packed zero points; None without."""
    if not node.has(_ZEROS):
        return None
    zeros = net.constant(node, _ZEROS)
    if zeros.elements != expected or zeros.stored not in ("", "UINT8"):
        raise node.refused("its zero points are not bytes for each group; others are not supported")
    return zeros


def _rearranged(constant: Constant, shape: tuple[int, int], function: Any) -> Constant:
    """Return a constant of another shape, computed when its numbers are asked for."""
    return Constant(shape, stored=constant.stored, recipe=Recipe(function, (constant,)))


def _apart(packed: Array, rows: int, bits: int) -> Array:
    """Return the numbers of each row, a byte each."""
    whole = packed.reshape(rows, -1).astype(np.uint8)
    if bits == _BYTE:
        return whole
    halves: Array = np.stack([whole & 15, whole >> 4], axis=-1).reshape(rows, -1)
    return halves


def _weights(packed: Array, shape: tuple[int, int], of: GroupedWeights) -> Array:
    """Return the matrix of ``shape`` as ``GroupedWeights`` has it in memory."""
    k, n = shape
    matrix = _apart(packed, n, of.bits)[:, :k].T
    if of.bits == _BYTE:
        return matrix if of.has_zero_points else (matrix ^ 128).view(np.int8)
    even = np.pad(matrix, ((0, k % 2), (0, 0)))
    halves: Array = even[::2] | even[1::2] << 4
    return halves


CONVERTERS = {"MatMulNBits": _of_bits}
