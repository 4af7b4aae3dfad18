"""The operations of text models in ONNX's operators: see ``forms``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems import ops

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.networks.onnx.writer import Writer
    from convprof.problems.graph import Node

_RELATIONS = {
    "equal": "Equal",
    "not equal": "Equal",
    "less": "Less",
    "at most": "LessOrEqual",
    "more": "Greater",
    "at least": "GreaterOrEqual",
}


def _embedding(w: Writer, node: Node, _: ops.Embedding) -> None:
    (ids,) = node.inputs
    w.add(node, "Gather", w.weight(node, "weight"), w.cast(node, ids, "INT64"), axis=0)


def _converted(w: Writer, node: Node, _: ops.Converted) -> None:
    w.add(node, "Identity", *node.inputs)


def _known(w: Writer, node: Node, _: ops.Known) -> None:
    w.add(node, "Identity", w.weight(node, "values"))


def _compare(w: Writer, node: Node, op: ops.Compare) -> None:
    a, *others = node.inputs
    b = others[0] if others else _number(w, node, op.number)
    true = w.add(node, _RELATIONS[op.relation], a, b, last=False)
    if op.relation == "not equal":
        true = w.add(node, "Not", true, last=False)
    w.cast(node, true, "FLOAT", last=True)


def _select(w: Writer, node: Node, op: ops.Select) -> None:
    condition, *others = node.inputs
    a = others.pop(0) if op.then is None else _number(w, node, op.then)
    b = others.pop(0) if op.otherwise is None else _number(w, node, op.otherwise)
    w.add(node, "Where", w.cast(node, condition, "BOOL"), a, b)


def _number(w: Writer, node: Node, number: float | None) -> str:
    return w.constant(node, np.array(number, np.float32))


def _power(w: Writer, node: Node, op: ops.Power) -> None:
    (x,) = node.inputs
    if op.exponent == -1:
        w.add(node, "Reciprocal", x)
    elif op.exponent > 0:
        w.add(node, "Sqrt", x)
    else:
        w.add(node, "Reciprocal", w.add(node, "Sqrt", x, last=False))


def _expand(w: Writer, node: Node, op: ops.Expand) -> None:
    w.add(node, "Expand", *node.inputs, w.integers(node, *op.shape))


def _divide(w: Writer, node: Node, _: ops.Divide) -> None:
    w.add(node, "Div", *node.inputs)


def _rms_norm(w: Writer, node: Node, op: ops.RmsNorm) -> None:
    """Write the steps: the operator is newer than the version that is written."""
    (x,) = node.inputs
    square = w.add(node, "Mul", x, x, last=False)
    mean = w.add(node, "ReduceMean", square, w.integers(node, -1), keepdims=1, last=False)
    inside = w.add(node, "Add", mean, _number(w, node, op.eps), last=False)
    root = w.add(node, "Sqrt", inside, last=False)
    normal = w.add(node, "Div", x, root, last=False)
    w.add(node, "Mul", normal, w.weight(node, "weight"))


def _running_sum(w: Writer, node: Node, op: ops.RunningSum) -> None:
    axis = w.constant(node, np.array(op.axis, np.int64))
    settings: dict[str, Any] = {"reverse": int(op.reverse), "exclusive": int(op.exclusive)}
    w.add(node, "CumSum", *node.inputs, axis, **settings)


def _place(w: Writer, node: Node, op: ops.Place) -> None:
    kind = "ArgMax" if op.of == "largest" else "ArgMin"
    kept = int(len(w.reads(node)[0]) == 1)
    settings: dict[str, Any] = {
        "axis": op.axis,
        "select_last_index": int(op.last),
        "keepdims": kept,
    }
    places = w.add(node, kind, *node.inputs, last=False, **settings)
    w.cast(node, places, "FLOAT", last=True)


def _chosen_row(w: Writer, node: Node, _: ops.ChosenRow) -> None:
    x, places = node.inputs
    whole = w.cast(node, places, "INT64")
    column = w.add(node, "Unsqueeze", whole, w.integers(node, 1), last=False)
    w.add(node, "GatherND", x, column, batch_dims=1)


TOKEN_FORMS: dict[type[ops.Op], Callable[[Writer, Node, Any], None]] = {
    ops.ChosenRow: _chosen_row,
    ops.Compare: _compare,
    ops.Converted: _converted,
    ops.Divide: _divide,
    ops.Embedding: _embedding,
    ops.Expand: _expand,
    ops.Known: _known,
    ops.Place: _place,
    ops.Power: _power,
    ops.RmsNorm: _rms_norm,
    ops.RunningSum: _running_sum,
    ops.Select: _select,
}
