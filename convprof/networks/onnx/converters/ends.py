"""The inputs and the results of a file: a network here has one of each, a row of all per image."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import InputError
from convprof.networks.onnx.converters.rearranging import reshaped
from convprof.networks.onnx.named_tensors import NamedTensors
from convprof.networks.onnx.names import plain
from convprof.networks.onnx.node import FileNode, Value
from convprof.networks.onnx.type_names import EXACT, TRUTH
from convprof.problems.checks import shown
from convprof.problems.graph import INPUT
from convprof.problems.ops import ChosenRow, Concat, Embedding, Expand, Part, Recurrent
from convprof.problems.whole_inputs import LARGEST, WholeNumbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.networks.onnx.importer import Importer
    from convprof.problems.graph import Node

    Array = np.ndarray[Any, Any]

MOST_NUMBERS = 1 << 24
"""Of an image's inputs with ids or masks: the limits of each number take tens of bytes."""
_PAIRED = 31
"""Bits of the least number."""
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

    Numbers that are rows of a table, whatever was done to their order before, are at most its rows;
    lengths of sequences are at most the steps.
    """
    kinds = {name: kind for name in inputs.shapes if (kind := net.types.of(name)) in EXACT}
    if not kinds:  # there may be too many numbers to count each
        return ()
    rows = _rows_of_tables(net, inputs, nodes)
    whole: list[WholeNumbers] = []
    for name, kind in kinds.items():
        start = inputs.start(name)
        stop = start + inputs.elements(name)
        others = (0, 1) if kind == TRUTH else (-LARGEST, LARGEST)
        whole += _limited(WholeNumbers(name, start, stop, *others), rows[:, start:stop])
    return tuple(whole)


def _limited(numbers: WholeNumbers, rows: Array) -> Iterator[WholeNumbers]:
    """Yield the numbers of one input by their limits: see ``_rows_of_tables``.

    InputError for numbers that nothing but 0 may be, and 0 may not be.
    """
    pairs = rows[0] + (rows[1] << _PAIRED)  # one number for both: much quicker than rows are
    limits = np.unique(pairs)
    for limit in map(int, limits):
        least, count = limit & ((1 << _PAIRED) - 1), limit >> _PAIRED
        places = () if len(limits) == 1 else tuple(map(int, np.flatnonzero(pairs == limit)))
        if 0 < count <= least:
            raise InputError(
                f"input {shown(numbers.name)}: its numbers are rows of a table of {count}, and of "
                f"sequences the lengths, which are at least {least}"
            )
        if count:
            yield replace(numbers, least=least, most=count - 1, are_rows=True, places=places)
        else:
            yield replace(numbers, places=places)


def _rows_of_tables(net: Importer, inputs: NamedTensors, nodes: Sequence[Node]) -> Array:
    """Return the least number and the rows of the smallest table, 0 rows without a table.

    (2, numbers of an image's input).
    """
    _, *axes = inputs.joined
    if math.prod(axes) > MOST_NUMBERS:
        raise InputError(
            f"the inputs have {math.prod(axes)} numbers; of inputs with ids or masks at most "
            f"{MOST_NUMBERS} are read: give open dimensions smaller sizes"
        )
    columns = np.arange(math.prod(axes), dtype=np.int32).reshape(1, *axes)
    places: dict[str, Array] = {INPUT: np.broadcast_to(columns, inputs.joined)}
    least, rows = limits = np.zeros((2, math.prod(axes)), np.int64)
    for node in nodes:
        numbers, first, count = _looked_up(net, node)
        if numbers in places:
            read_by = np.unique(places[numbers])
            known = rows[read_by]
            rows[read_by] = np.where(known, np.minimum(known, count), count)
            least[read_by] = np.maximum(least[read_by], first)
        read = [places[name] for name in node.inputs if name in places]
        if len(read) < len(node.inputs):
            continue
        match node.op:
            case Concat() | Expand():
                places[node.name] = node.op.reference(*read)
            case op if op.only_rearranges:
                places[node.name] = op.reference(*read)
    return limits


def _looked_up(net: Importer, node: Node) -> tuple[str, int, int]:
    """Return the name of the numbers of rows that a node reads, the first row, and the end."""
    match node.op:
        case Embedding(rows):
            return node.inputs[0], 0, rows
        case ChosenRow():
            table, numbers = node.inputs
            _, rows, _ = net.value(table).shape
            return numbers, 0, rows
        case Recurrent(has_lengths=True):
            steps, _, _ = net.value(node.inputs[0]).shape
            return node.inputs[-1], 1, steps + 1
    return "", 0, 0


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
