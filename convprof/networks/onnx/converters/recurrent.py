"""LSTM, GRU and RNN: one layer each, with their results taken out of the layer's."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from convprof.networks.onnx.converters.rearranging import reshaped
from convprof.networks.onnx.node import Constant, Value
from convprof.networks.onnx.weights import numbers_within
from convprof.problems.ops import Concat, Recurrent, Slice
from convprof.problems.ops.recurrent import RnnFunction

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode
    from convprof.problems.ops.recurrent import Cell, Direction
    from convprof.problems.shapes import Shape

_CELLS: dict[str, Cell] = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}
_DIRECTIONS: dict[str, Direction] = {
    "forward": "forward",
    "reverse": "reverse",
    "bidirectional": "bidirectional",
}
_USUAL: dict[Cell, tuple[str, ...]] = {
    "lstm": ("sigmoid", "tanh", "tanh"),
    "gru": ("sigmoid", "tanh"),
    "rnn": ("tanh",),
}
"""The activations of a direction without the attribute."""
_AXES = 3
_BIAS, _LENGTHS, _FIRST_STATE, _PEEPHOLES = 3, 4, 5, 7
"""Places of inputs."""
_LAST, _CELLS_OUT = 1, 2
"""Places of the results after the first: of the last step, and an LSTM's cells."""


def _recurrent(net: Importer, node: FileNode) -> list[Value | None]:
    cell, x = _CELLS[node.kind], net.activation(node)
    weight, recurrent = net.constant(node, 1), net.constant(node, 2)
    direction = _DIRECTIONS.get(node.text("direction", "forward"))
    if direction is None or {len(each.shape) for each in (x, weight, recurrent)} != {_AXES}:
        raise node.refused(f"weights of {weight.shape} and {recurrent.shape} do not fit {x.shape}")
    units = recurrent.shape[-1]
    function = _function(node, cell, direction)
    lengths = _lengths(net, node, x.shape)
    states = _states(net, node, cell)
    used = [place for place, name in enumerate(node.outputs) if name and net.used(name)]
    op = Recurrent(
        cell=cell,
        units=units,
        direction=direction,
        bias=node.has(_BIAS),
        reset_first=cell == "gru" and not node.integer("linear_before_reset", 0),
        function=function,
        has_states=bool(states),
        has_lengths=bool(lengths),
        keeps_last=bool(lengths) and _LAST in used,
        keeps_cells=_CELLS_OUT in used,
    )
    if node.integer("hidden_size", units) != units:
        raise node.refused(f"hidden_size does not agree with its weights of {recurrent.shape}")
    columns = op.directions * op.gates * units
    if weight.shape != (op.directions, op.gates * units, x.shape[2]):
        raise node.refused(f"weights of {weight.shape} do not fit {x.shape} and {units} units")
    matrix = weight.reshaped((columns, x.shape[2])).transposed()
    biases = [net.constant(node, _BIAS)] if op.bias else []
    y = net.emit(node, op, x, *states, *lengths, weights=[matrix, recurrent, *biases])
    return _results(net, node, op, y, used)


def _function(node: FileNode, cell: Cell, direction: Direction) -> RnnFunction:
    """Return the function of an RNN; UnsupportedNodeError for a variant that has no kernel here."""
    directions = 2 if direction == "bidirectional" else 1
    usual = _USUAL[cell] * directions
    named = tuple(map(str.lower, node.texts("activations", usual)))
    function: RnnFunction = "tanh"
    for each in get_args(RnnFunction):
        if cell == "rnn" and named == (each,) * directions:
            function, named = each, usual
    others = ("activation_alpha", "activation_beta", "clip")
    if named != usual or any(key in node.attributes for key in others):
        raise node.unsupported("only the usual activations, without a limit, are supported")
    if node.integer("layout", 0) or node.integer("input_forget", 0) or node.has(_PEEPHOLES):
        raise node.unsupported("neither another layout, nor joined gates, nor peepholes")
    return function


def _lengths(net: Importer, node: FileNode, x: Shape) -> list[Value]:
    """Return the numbers of steps of the items; nothing if every item has all steps."""
    if not node.has(_LENGTHS):
        return []
    steps, n, _ = x
    lengths = net.values[node.input(_LENGTHS)]
    if lengths.shape != (n,):
        raise node.refused(f"lengths of {lengths.shape} do not fit {n} sequences")
    known = numbers_within(lengths) if isinstance(lengths, Constant) else None
    if known is not None and np.all(known == steps):
        return []
    if known is not None and not np.all((known >= 1) & (known <= steps)):
        raise node.unsupported(f"sequences of other lengths than 1 to {steps}")
    return [net.computed(node, _LENGTHS)]


def _states(net: Importer, node: FileNode, cell: Cell) -> list[Value]:
    """Return the initial states; none where all are 0."""
    places = range(_FIRST_STATE, _FIRST_STATE + (2 if cell == "lstm" else 1))
    present = [place for place in places if node.has(place)]
    if all(_is_zero(net.values[node.input(place)]) for place in present):
        return []
    if len(present) < len(places):
        raise node.unsupported("one of two initial states")
    return [net.computed(node, place) for place in places]


def _is_zero(state: Value | Constant) -> bool:
    numbers = numbers_within(state) if isinstance(state, Constant) else None
    return numbers is not None and not numbers.any()


def _results(
    net: Importer, node: FileNode, op: Recurrent, y: Value, used: list[int]
) -> list[Value | None]:
    """Return the results that something reads: of all steps, of the last one, and cells."""
    rows, directions, n, units = y.shape
    steps = rows - op.kept
    state = directions, n, units

    def row(step: int, part: str) -> Value:
        return net.emit(node, Slice(0, step, step + 1), y, part=part)

    results: list[Value | None] = [None, None, None]
    if 0 in used:
        results[0] = net.emit(node, Slice(0, 0, steps), y, part="y") if op.kept else y
    if op.keeps_last:
        results[_LAST] = reshaped(net, node, row(steps, "last"), state, "kept last")
    elif _LAST in used:
        ends = [(op.order(d, steps)[-1], d) for d in range(directions)]
        parts = [row(step, f"end{d}") for step, d in ends]
        if directions > 1:
            own = [
                net.emit(node, Slice(1, d, d + 1), part, part=f"direction{d}")
                for d, part in enumerate(parts)
            ]
            parts = [net.emit(node, Concat(1), *own, part="ends")]
        results[_LAST] = reshaped(net, node, parts[0], state, "last")
    if _CELLS_OUT in used:
        results[_CELLS_OUT] = reshaped(net, node, row(rows - 1, "cells"), state, "kept")
    return results


CONVERTERS: dict[str, Callable[[Importer, FileNode], list[Value | None]]] = dict.fromkeys(
    _CELLS, _recurrent
)
