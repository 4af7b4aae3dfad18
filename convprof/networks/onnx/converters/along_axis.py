"""CumSum, ArgMax and ArgMin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks.onnx.converters.rearranging import reshaped
from convprof.networks.onnx.folding import axis_in
from convprof.problems.ops import Place, RunningSum

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value


def _running_sum(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    numbers = net.integers(node, 1, "the axis")
    if len(numbers) != 1:
        raise node.refused("its axis must be one number")
    axis = axis_in(node, numbers[0], len(x.shape))
    reverse, exclusive = (bool(node.integer(key, 0)) for key in ("reverse", "exclusive"))
    return net.emit(node, RunningSum(axis, reverse=reverse, exclusive=exclusive), x)


def _place(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    axis = axis_in(node, node.integer("axis", 0), len(x.shape))
    last = bool(node.integer("select_last_index", 0))
    op = Place(axis, of="largest" if node.kind == "ArgMax" else "smallest", last=last)
    places = net.emit(node, op, x)
    if not node.integer("keepdims", 1):
        return places
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return reshaped(net, node, places, shape, "axis")


CONVERTERS: dict[str, Callable[[Importer, FileNode], Value]] = {
    "ArgMax": _place,
    "ArgMin": _place,
    "CumSum": _running_sum,
}
