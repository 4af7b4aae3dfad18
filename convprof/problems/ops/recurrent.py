"""Recurrent layers: LSTM, GRU and the plain one, over all steps of a sequence.

Formulas, order of the gates and names as in ONNX's operators LSTM, GRU and RNN, with their default
activations; GRU with ``linear_before_reset``, as PyTorch and Keras have it (Hochreiter &
Schmidhuber 1997; Cho et al. 2014).
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
Direction: TypeAlias = Literal["forward", "reverse", "bidirectional"]
GATES: dict[Cell, int] = {"lstm": 4, "gru": 3, "rnn": 1}
"""Products behind one unit: input, output, forget, cell; update, reset, hidden; hidden."""
_SIGMOID, _TANH = STEPS["sigmoid"], STEPS["tanh"]
_STEPS: dict[Cell, int] = {
    "lstm": 4 + 3 * _SIGMOID + 2 * _TANH + 4,
    "gru": 3 + 2 * _SIGMOID + _TANH + 5,
    "rnn": 1 + _TANH,
}
"""Operations for a unit and step besides products and biases: sums of both products, functions,
and what joins the gates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrent(Op):
    """(steps, n, c) -> (steps, directions, n, units): what each unit gives after each step.

    With ``has_states`` the inputs after the first are the initial states (directions, n, units): of
    the results, and in an LSTM of the cells. Without, they are 0. With ``keeps_cells`` the cells
    after the last step are one more row of the result.
    """

    kind: ClassVar[str] = "recurrent"
    keeps_images: ClassVar[bool] = False
    arity: ClassVar[int] = 0

    cell: Cell
    units: int
    direction: Direction = "forward"
    bias: bool = True
    has_states: bool = False
    keeps_cells: bool = False

    @property
    def text(self) -> str:
        """``lstm 256 bidirectional``."""
        way = "" if self.direction == "forward" else f" {self.direction}"
        return f"{self.cell} {self.units}{way}"

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

    def order(self, direction: int, steps: int) -> range:
        """Return the steps in the order in which a direction takes them."""
        backwards = self.direction == "reverse" or direction == 1
        return range(steps - 1, -1, -1) if backwards else range(steps)

    def output(self, *inputs: Shape) -> Shape:
        """Return (steps, directions, n, units), with one more step if cells are kept."""
        x, *states = self.checked(inputs)
        if len(x) != len(("steps", "n", "c")):
            raise self.misfit(x, "it needs a sequence (steps, n, c)")
        state = self.directions, x[1], size("units", self.units)
        if len(states) != self.states or any(shape != state for shape in states):
            raise self.misfit(x, f"it needs {self.states} initial states {state}")
        return (x[0] + int(self.keeps_cells), *state)

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

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:  # noqa: ARG002
        """Return the deviation with which PyTorch's layers begin."""
        return 0.0, 1 / math.sqrt(3 * self.units)

    def macs(self, *inputs: Shape) -> int:
        """Return the multiply-accumulates of both products of every step."""
        steps, n, c = inputs[0]
        return steps * n * self.directions * self.gates * self.units * (c + self.units)

    def flops(self, *inputs: Shape) -> int:
        """Return 2 per MAC, and for each unit and step the biases, functions and sums."""
        steps, n, _ = inputs[0]
        others = _STEPS[self.cell] + 2 * self.gates * int(self.bias)
        return 2 * self.macs(*inputs) + steps * n * self.directions * self.units * others

    def reference(self, *operands: Array) -> Array:
        """Return the definition, step by step."""
        x, *rest = operands
        states, (weight, recurrent, *bias) = rest[: self.states], rest[self.states :]
        steps, n, _ = x.shape
        shape = self.directions, n, self.units
        h, c = (states + [np.zeros(shape)] * 2)[:2]
        columns = self.gates * self.units
        both = bias[0] if bias else np.zeros((self.directions, 2 * columns))
        result = np.empty(self.output(x.shape, *(state.shape for state in states)))
        for d in range(self.directions):
            products = x @ weight[:, d * columns : (d + 1) * columns] + both[d, :columns]
            hidden, cells = h[d], c[d]
            for step in self.order(d, steps):
                before = hidden @ recurrent[d].T + both[d, columns:]
                hidden, cells = self._stepped(products[step], before, hidden, cells)
                result[step, d] = hidden
            if self.keeps_cells:
                result[steps, d] = cells
        return result

    def _stepped(self, a: Array, b: Array, hidden: Array, cells: Array) -> tuple[Array, Array]:
        """Return results and cells after a step, from the products of the input and of before."""
        sigmoid = FUNCTIONS["sigmoid"]
        of_input, of_before = (np.split(each, self.gates, axis=-1) for each in (a, b))
        if self.cell == "rnn":
            return np.tanh(a + b), cells
        if self.cell == "gru":
            update, reset = (sigmoid(of_input[g] + of_before[g]) for g in (0, 1))
            new = np.tanh(of_input[2] + reset * of_before[2])
            return (1 - update) * new + update * hidden, cells
        sums = [x + y for x, y in zip(of_input, of_before, strict=True)]
        input_gate, output_gate, forget_gate = map(sigmoid, sums[:3])
        cells = forget_gate * cells + input_gate * np.tanh(sums[3])
        return output_gate * np.tanh(cells), cells
