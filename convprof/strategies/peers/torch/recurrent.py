"""Recurrent layers in PyTorch, whose gates have another order than ONNX's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.problems.ops import Recurrent
from convprof.strategies.peers.torch.state import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convprof.problems.ops import Op
    from convprof.problems.shapes import Shape

    Tensor = Any

_ORDER = {"lstm": [0, 2, 3, 1], "gru": [1, 0, 2], "rnn": [0]}
"""By cell, the places of PyTorch's gates among ONNX's."""
_CALLS = {"lstm": "lstm", "gru": "gru", "rnn": "rnn"}


def lacks(op: Op) -> bool:
    """Whether an op is a recurrent layer that PyTorch's call does not compute."""
    match op:
        case Recurrent(reset_first=reset_first, has_lengths=has_lengths, keeps_last=keeps_last):
            return reset_first or has_lengths or keeps_last or op.function == "sigmoid"
    return False


def recurrent(
    op: Recurrent, inputs: tuple[Shape, ...], w: Mapping[str, Tensor]
) -> Callable[..., Tensor]:
    """Return PyTorch's call over all steps; a layer of one direction backwards turns the steps."""
    t = torch().module
    call, parameters = getattr(t, _call(op)), _parameters(op, w)
    steps, n, _ = inputs[0]
    shape = op.directions, n, op.units
    both, backwards = op.directions > 1, op.direction == "reverse"

    def run(x: Tensor, *states: Tensor) -> Tensor:
        first = states or [x.new_zeros(shape)] * (2 if op.cell == "lstm" else 1)
        state = tuple(first) if op.cell == "lstm" else first[0]
        x = x.flip(0) if backwards else x
        y, *last = call(x, state, parameters, op.bias, 1, 0.0, False, both, False)
        y = y.flip(0) if backwards else y
        y = y.reshape(steps, n, op.directions, op.units).transpose(1, 2)
        return t.cat((y, last[1][None])) if op.keeps_cells else y

    return run


def _call(op: Recurrent) -> str:
    own = _CALLS[op.cell]
    return f"{own}_{op.function}" if op.cell == "rnn" else own


def _parameters(op: Recurrent, w: Mapping[str, Tensor]) -> list[Tensor]:
    """Return each direction's matrices and biases, as PyTorch's layers have them."""
    matrices = w["weight"].t().reshape(op.directions, op.gates * op.units, -1)
    parameters = []
    for d in range(op.directions):
        biases = w["bias"][d].reshape(2, -1).unbind() if op.bias else ()
        parameters += [_in_order(op, each) for each in (matrices[d], w["recurrent"][d], *biases)]
    return parameters


def _in_order(op: Recurrent, tensor: Tensor) -> Tensor:
    gates = tensor.reshape(op.gates, op.units, *tensor.shape[1:])
    return gates[_ORDER[op.cell]].reshape(tensor.shape).contiguous()
