"""A recurrent layer in ONNX's operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convprof.networks.onnx.writer import Writer
    from convprof.problems.graph import Node
    from convprof.problems.ops import Recurrent


def recurrent(w: Writer, node: Node, op: Recurrent) -> None:
    """Write LSTM, GRU or RNN; kept cells are joined to the results of the steps."""
    x, *states = node.inputs
    columns = w.add(node, "Transpose", w.weight(node, "weight"), perm=[1, 0], last=False)
    shape = w.integers(node, op.directions, op.gates * op.units, -1)
    matrix = w.add(node, "Reshape", columns, shape, last=False)
    bias = w.weight(node, "bias") if op.bias else ""
    settings: dict[str, Any] = {"hidden_size": op.units, "direction": op.direction}
    if op.cell == "gru":
        settings["linear_before_reset"] = 1
    inputs = x, matrix, w.weight(node, "recurrent"), bias, *([""] if states else []), *states
    if not op.keeps_cells:
        w.append(op.cell.upper(), inputs, w.result_name(node), **settings)
        return
    y, cells = w.fresh(node), w.fresh(node)
    w.append(op.cell.upper(), inputs, y, "", cells, **settings)
    row = w.add(node, "Unsqueeze", cells, w.integers(node, 0), last=False)
    w.add(node, "Concat", y, row, axis=0)
