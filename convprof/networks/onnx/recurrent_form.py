"""A recurrent layer in ONNX's operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convprof.networks.onnx.writer import Writer
    from convprof.problems.graph import Node
    from convprof.problems.ops import Recurrent


def recurrent(w: Writer, node: Node, op: Recurrent) -> None:
    """Write LSTM, GRU or RNN; kept rows are joined to the results of the steps."""
    x, *others = node.inputs
    states, lengths = others[: op.states], others[op.states :]
    columns = w.add(node, "Transpose", w.weight(node, "weight"), perm=[1, 0], last=False)
    shape = w.integers(node, op.directions, op.gates * op.units, -1)
    matrix = w.add(node, "Reshape", columns, shape, last=False)
    bias = w.weight(node, "bias") if op.bias else ""
    counts = [w.cast(node, each, "INT32") for each in lengths] or [""]
    settings: dict[str, Any] = {"hidden_size": op.units, "direction": op.direction}
    if op.cell == "gru":
        settings["linear_before_reset"] = int(not op.reset_first)
    if op.function != "tanh":
        settings["activations"] = [op.function.title()] * op.directions
    inputs = [x, matrix, w.weight(node, "recurrent"), bias, *counts, *states]
    while not inputs[-1]:
        inputs.pop()
    if not op.kept:
        w.append(op.cell.upper(), inputs, w.result_name(node), **settings)
        return
    last = w.fresh(node) if op.keeps_last else ""
    cells = [w.fresh(node)] if op.keeps_cells else []
    y = w.fresh(node)
    w.append(op.cell.upper(), inputs, y, last, *cells, **settings)
    rows = [
        w.add(node, "Unsqueeze", state, w.integers(node, 0), last=False)
        for state in (last, *cells)
        if state
    ]
    w.add(node, "Concat", y, *rows, axis=0)
