"""The inputs and the results of a file: a network here has one of each, a row of all per image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.networks.onnx.converters.rearranging import reshaped
from convprof.networks.onnx.named_tensors import NamedTensors
from convprof.networks.onnx.names import plain
from convprof.networks.onnx.node import FileNode, Value
from convprof.networks.onnx.type_names import EXACT, TRUTH
from convprof.problems.graph import INPUT
from convprof.problems.ops import Concat, Embedding, Part
from convprof.problems.whole_inputs import LARGEST, WholeNumbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.networks.onnx.importer import Importer
    from convprof.problems.graph import Node

_INPUTS = FileNode("Inputs", "inputs", (), (), number=-1)
_OUTPUTS = FileNode("Outputs", "outputs", (), (), number=-2)
"""Not nodes of the file: what messages and the names of operations say."""


def read_inputs(net: Importer, inputs: NamedTensors) -> None:
    """Put the inputs among the values: parts of the network's input, where there are several."""
    whole = Value(INPUT, inputs.joined)
    for name, shape in inputs.shapes.items():
        net.values[name] = whole
        if len(inputs.shapes) > 1:
            row = (inputs.images, inputs.elements(name))
            op = Part(inputs.start(name), shape if shape[0] == inputs.images else row)
            value = net.emit(_INPUTS, op, whole, part=plain(name))
            net.values[name] = reshaped(net, _INPUTS, value, shape, plain(name))


def whole_inputs(
    net: Importer, inputs: NamedTensors, nodes: Sequence[Node]
) -> tuple[WholeNumbers, ...]:
    """Return the parts of the input that are whole numbers in the file, and their limits.

    Numbers that an embedding reads, whatever was done to their shape before, are its rows.
    """
    tables = _tables(nodes)
    whole = []
    for name in inputs.shapes:
        kind = net.types.of(name)
        if kind not in EXACT:
            continue
        start = inputs.start(name)
        stop = start + inputs.elements(name)
        rows = min((rows for place, rows in tables if start <= place < stop), default=None)
        if rows is not None:
            limits = 0, rows - 1
        else:
            limits = (0, 1) if kind == TRUTH else (-LARGEST, LARGEST)
        whole.append(WholeNumbers(name, start, stop, *limits, are_rows=rows is not None))
    return tuple(whole)


def _tables(nodes: Sequence[Node]) -> list[tuple[int, int]]:
    """Return a place in the input and the rows of the table, for each embedding of the input."""
    by_name = {node.name: node for node in nodes}
    tables = []
    for node in nodes:
        match node.op:
            case Embedding(rows):
                place = _place(node.inputs[0], by_name)
                if place is not None:
                    tables.append((place, rows))
    return tables


def _place(name: str, by_name: Mapping[str, Node]) -> int | None:
    """Return where a value begins in the input, of which it is a part; None for other values."""
    place = 0
    while (node := by_name.get(name)) is not None:
        if not node.op.only_rearranges:
            return None
        match node.op:
            case Part(start):
                place = start
        name = node.inputs[0]
    return place


def outputs_of(net: Importer) -> NamedTensors:
    """Return the results that depend on an input; InputError if none does."""
    values = {name: net.values[name] for name in net.source.outputs}
    shapes = {name: each.shape for name, each in values.items() if isinstance(each, Value)}
    net.source.left_out += [name for name in values if name not in shapes]
    if not shapes:
        raise InputError("the output does not depend on the input")
    return NamedTensors(shapes)


def result_nodes(net: Importer, outputs: NamedTensors) -> tuple[Node, ...]:
    """Return the nodes that the results depend on; the last one's result has all of them."""
    values = {name: each for name in outputs.shapes if isinstance(each := net.values[name], Value)}
    if len(values) == 1:
        return net.needed(*values.values())
    rows = [
        reshaped(net, _OUTPUTS, each, (outputs.images, outputs.elements(name)), plain(name))
        for name, each in values.items()
    ]
    return net.needed(net.emit(_OUTPUTS, Concat(axis=1), *rows))
