"""Recurrent layers: LSTM, GRU and the one without gates (RNN), over all steps of a sequence.

Formulas, order of the gates and names as in ONNX's operators LSTM, GRU and RNN, with their default
activations. The reset gate of a GRU scales the product with the results before (ONNX's
``linear_before_reset``, as in PyTorch and Keras), or with ``reset_first`` the results themselves
(Hochreiter & Schmidhuber 1997; Cho et al. 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np

from convprof.problems.checks import size
from convprof.problems.epilogue import STEPS
from convprof.problems.functions import FUNCTIONS
from convprof.problems.ops.base import Array, Op

if TYPE_CHECKING:
    from convprof.problems.shapes import Shape

__all__ = ["Recurrent"]

Cell: TypeAlias = Literal["lstm", "gru", "rnn"]
RnnFunction: TypeAlias = Literal["tanh", "relu", "sigmoid"]
Direction: TypeAlias = Literal["forward", "reverse", "bidirectional"]
GATES: dict[Cell, int] = {"lstm": 4, "gru": 3, "rnn": 1}
"""Products behind one unit: input, output, forget, cell; update, reset, hidden; hidden."""
_SIGMOID, _TANH = STEPS["sigmoid"], STEPS["tanh"]
_STEPS: dict[Cell, int] = {
    "lstm": 4 + 3 * _SIGMOID + 2 * _TANH + 4,
    "gru": 3 + 2 * _SIGMOID + _TANH + 5,
    "rnn": 1,
}
"""Operations for a unit and step besides products and biases: sums of both products, functions of
gates, and what joins the gates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrent(Op):
    """(steps, n, c) -> (steps, directions, n, units): what each unit gives after each step.

    With ``has_states`` the inputs after the first are the initial states (directions, n, units): of
    the results, and in an LSTM of the cells. Without, they are 0. With ``has_lengths`` the last
    input (n,) is the number of steps of each item, at least 1: results after these are 0, and a
    direction backwards begins at the item's own last step. With ``keeps_last`` each item's last
    result, and with ``keeps_cells`` its last cells, are one more row of the result, in this order.
    """

    kind: ClassVar[str] = "recurrent"
    keeps_images: ClassVar[bool] = False
    arity: ClassVar[int] = 0

    cell: Cell
    units: int
    direction: Direction = "forward"
    bias: bool = True
    reset_first: bool = False
    """Of a GRU: whether the reset gate scales the results before, not their product."""
    function: RnnFunction = "tanh"
    """Of an RNN."""
    has_states: bool = False
    has_lengths: bool = False
    keeps_last: bool = False
    keeps_cells: bool = False

    @property
    def text(self) -> str:
        """``lstm 256 bidirectional``; ``gru 256 reset first, with lengths``."""
        way = "" if self.direction == "forward" else f" {self.direction}"
        other = self.function != "tanh"
        variants = {
            self.function: other,
            "reset first": self.reset_first,
            "with lengths": self.has_lengths,
        }
        more = ", ".join(name for name, has in variants.items() if has)
        return f"{self.cell} {self.units}{way}" + (f" {more}" if more else "")

    @property
    def directions(self) -> int:
        """One, or two."""
        return 2 if self.direction == "bidirectional" else 1

    @property
    def gates(self) -> int:
        """Products behind one unit."""
        return GATES[self.cell]

    @property
    def states(self) -> int:
        """How many initial states there are among the inputs."""
        return int(self.has_states) * (2 if self.cell == "lstm" else 1)

    @property
    def kept(self) -> int:
        """How many rows of the result follow the steps."""
        return int(self.keeps_last) + int(self.keeps_cells)

    def is_backwards(self, direction: int) -> bool:
        """Whether a direction takes the last step first."""
        return self.direction == "reverse" or direction == 1

    def order(self, direction: int, steps: int) -> range:
        """Return the steps in the order in which a direction takes them."""
        return range(steps - 1, -1, -1) if self.is_backwards(direction) else range(steps)

    def output(self, *inputs: Shape) -> Shape:
        """Return (steps, directions, n, units), with one more step for each kept row."""
        x, *others = self.checked(inputs)
        if len(x) != len(("steps", "n", "c")):
            raise self.misfit(x, "it needs a sequence (steps, n, c)")
        state = self.directions, x[1], size("units", self.units)
        if others != [state] * self.states + [(x[1],)] * int(self.has_lengths):
            lengths = f" and the lengths of {x[1]} items" if self.has_lengths else ""
            raise self.misfit(x, f"it needs {self.states} initial states {state}{lengths}")
        if self.keeps_cells and self.cell != "lstm":
            raise self.misfit(x, "only an LSTM has cells")
        if self.function != "tanh" and self.cell != "rnn":
            raise self.misfit(x, "only an RNN has one function")
        if self.reset_first and self.cell != "gru":
            raise self.misfit(x, "only a GRU has a reset gate")
        return (x[0] + self.kept, *state)

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return the matrices of the inputs and of the results before, and two biases.

        ``weight`` (c, directions x gates x units), ``recurrent`` (directions, gates x units,
        units), ``bias`` (directions, 2 x gates x units): of the first matrix, then of the second.
        """
        columns = self.gates * self.units
        shapes = {
            "weight": (inputs[0][-1], self.directions * columns),
            "recurrent": (self.directions, columns, self.units),
        }
        return shapes | ({"bias": (self.directions, 2 * columns)} if self.bias else {})

    def places(self, *inputs: Shape) -> int:
        """Return the largest length."""
        return inputs[0][0] if self.has_lengths else 0

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:  # noqa: ARG002
        """Return the deviation with which PyTorch's layers begin."""
        return 0.0, 1 / math.sqrt(3 * self.units)

    def macs(self, *inputs: Shape) -> int:
        """Return the multiply-accumulates of both products of every step, whatever the lengths."""
        steps, n, c = inputs[0]
        return steps * n * self.directions * self.gates * self.units * (c + self.units)

    def flops(self, *inputs: Shape) -> int:
        """Return 2 per MAC, and for each unit and step the biases, functions and sums."""
        steps, n, _ = inputs[0]
        others = (
            _STEPS[self.cell]
            + (STEPS[self.function] if self.cell == "rnn" else 0)
            + 2 * self.gates * int(self.bias)
        )
        return 2 * self.macs(*inputs) + steps * n * self.directions * self.units * others

    def reference(self, *operands: Array) -> Array:
        """Return the definition, step by step."""
        x, *rest = operands
        states, rest = rest[: self.states], rest[self.states :]
        lengths, rest = rest[: int(self.has_lengths)], rest[int(self.has_lengths) :]
        weight, recurrent, *bias = rest
        steps, n, _ = x.shape
        shape = self.directions, n, self.units
        h, c = (states + [np.zeros(shape)] * 2)[:2]
        columns = self.gates * self.units
        both = bias[0] if bias else np.zeros((self.directions, 2 * columns))
        count = np.maximum(lengths[0], 1) if lengths else np.full(n, steps)
        alive = np.arange(steps)[:, None, None] < count[:, None]
        result = np.empty((steps + self.kept, *shape))
        for d in range(self.directions):
            products = x @ weight[:, d * columns : (d + 1) * columns] + both[d, :columns]
            hidden, cells = h[d], c[d]
            for step in self.order(d, steps):
                new = self._stepped(
                    products[step], recurrent[d].T, both[d, columns:], hidden, cells
                )
                hidden, cells = (
                    np.where(alive[step], *each) for each in zip(new, (hidden, cells), strict=True)
                )
                result[step, d] = np.where(alive[step], hidden, 0.0)
            last = [hidden] * self.keeps_last + [cells] * self.keeps_cells
            for row, state in enumerate(last, steps):
                result[row, d] = state
        return result

    def _stepped(
        self, a: Array, matrix: Array, bias: Array, hidden: Array, cells: Array
    ) -> tuple[Array, Array]:
        """Return results and cells after a step; ``a``: products of the input."""
        sigmoid = FUNCTIONS["sigmoid"]
        b = hidden @ matrix + bias
        of_input, of_before = (np.split(each, self.gates, axis=-1) for each in (a, b))
        if self.cell == "rnn":
            return FUNCTIONS[self.function](a + b), cells
        if self.cell == "gru":
            update, reset = (sigmoid(of_input[g] + of_before[g]) for g in (0, 1))
            last = slice(2 * self.units, None)
            scaled = (
                (reset * hidden) @ matrix[:, last] + bias[last]
                if self.reset_first
                else reset * of_before[2]
            )
            new = np.tanh(of_input[2] + scaled)
            return (1 - update) * new + update * hidden, cells
        sums = [x + y for x, y in zip(of_input, of_before, strict=True)]
        input_gate, output_gate, forget_gate = map(sigmoid, sums[:3])
        cells = forget_gate * cells + input_gate * np.tanh(sums[3])
        return output_gate * np.tanh(cells), cells
