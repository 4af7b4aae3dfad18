"""One step of a recurrent layer for some units: the product with the results before, and the gates.

The sums of all gates of the units stay in registers, so that no sum is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.functions import apply
from convprof.codegen.writer import Writer, counted

if TYPE_CHECKING:
    from convprof.codegen.kernels.elements import Elements
    from convprof.dtypes import DType
    from convprof.problems.ops.recurrent import Cell

_UNROLL = 4
"""Elements of the sums per iteration."""
RESET, HIDDEN, OF_INPUT = 1, 2, 3
"""Of a GRU: gates, and the bias of the input's product that the reset does not scale."""


@dataclass(frozen=True)
class RecurrentStep(Kernel):
    """``void tile(A *x, T *h, W *r, A *bias, A *cells, T *y)``: a vector of units, some items.

    ``x``: products of the input, gate by gate. ``r``: a panel of the recurrent matrix, (depth,
    gates, lanes). ``cells``: of an LSTM; of a GRU the results of the step before; both are updated.
    """

    pointers: ClassVar[Pointers] = (
        ("%x", "accumulator"), ("%h", "source"), ("%r", "weights"), ("%bias", "accumulator"),
        ("%cells", "accumulator"), ("%y", "result"),
    )  # fmt: skip

    cell: Cell
    gates: int
    items: int
    alive: int
    """Units of the vector."""
    units: int
    """All units of a direction: the terms of a sum, and the elements from one gate to the next."""
    x_row: int
    """Elements of ``x`` from one item to the next."""
    bias: bool
    has_state: bool
    """Without, results and cells before are 0, and not read."""

    @property
    def title(self) -> str:
        """``lstm of 1 x 16``."""
        return f"{self.cell} of {self.items} x {self.alive}"

    @property
    def fmas(self) -> int:
        """Vector multiply-adds of the recurrent product."""
        return self.items * self.gates * self.units * int(self.has_state)

    @property
    def elements(self) -> int:
        """Results."""
        return self.items * self.alive

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        mask = w.mask(self.alive)
        sums = self._products(w, mask)
        x, result = self._memory(w, "accumulator"), self._memory(w, "result")
        for item in range(self.items):
            own = sums[item * self.gates : (item + 1) * self.gates]
            of_input = [
                x.load(x.at("%x", item * self.x_row + gate * self.units), mask)
                for gate in range(self.gates)
            ]
            cells = x.at("%cells", item * self.units)
            before = x.load(cells, mask) if self.has_state else w.splat(0.0)
            y, state = self._joined(w, of_input, own, before, mask)
            if state is not None:
                x.store(state, cells, mask)
            result.store(y, result.at("%y", item * self.units), mask)
        return f"{w.taken()}\n"

    def _biases(self, w: Writer, row: int, mask: str | None) -> str:
        """Write a row of the biases, or zeros."""
        if not self.bias:
            return w.splat(0.0)
        biases = self._memory(w, "accumulator")
        return biases.load(biases.at("%bias", row * self.units), mask)

    def _products(self, w: Writer, mask: str | None) -> list[str]:
        """Write the sums of each item's gates, and their biases."""
        biases = [self._biases(w, gate, mask) for gate in range(self.gates)]
        sums = biases * self.items
        if not self.has_state:
            return sums
        h, r = self._memory(w, "source"), self._memory(w, "weights")

        def add(k: str, sums: list[str]) -> list[str]:
            start = w.add(f"mul i64 {k}, {self.gates * self.lanes}")
            panel = r.at("%r", start)
            columns = [r.load(r.at(panel, gate * self.lanes)) for gate in range(self.gates)]
            return self._multiplied(w, h, k, columns, sums)

        def iteration(index: str, sums: list[str]) -> list[str]:
            first = w.add(f"mul i64 {index}, {_UNROLL}")
            for place in range(_UNROLL):
                sums = add(w.add(f"add i64 {first}, {place}"), sums)
            return sums

        iterations = self.units // _UNROLL
        sums = counted(w, iterations, iteration, sums)
        for k in range(iterations * _UNROLL, self.units):
            sums = add(str(k), sums)
        return sums

    def _multiplied(
        self, w: Writer, h: Elements, k: str, columns: list[str], sums: list[str]
    ) -> list[str]:
        """Write the sums plus element ``k`` of every item's results before, times its weights."""
        following = []
        for item in range(self.items):
            place = w.add(f"add i64 {k}, {item * self.units}")
            factor = h.broadcast(h.at("%h", place))
            own = sums[item * self.gates : (item + 1) * self.gates]
            following += [w.fma(factor, c, s) for c, s in zip(columns, own, strict=True)]
        return following

    def _joined(
        self, w: Writer, x: list[str], sums: list[str], before: str, mask: str | None
    ) -> tuple[str, str | None]:
        """Write the results of a step, and the cells for the next step; None for an RNN."""
        if self.cell == "gru":
            return self._of_gru(w, x, sums, before, mask)
        inner = [w.plus(a, b) for a, b in zip(x, sums, strict=True)]
        if self.cell == "rnn":
            return apply(w, "tanh", inner[0]), None
        input_gate, output_gate, forget_gate = (apply(w, "sigmoid", each) for each in inner[:3])
        new = w.times(input_gate, apply(w, "tanh", inner[3]))
        cells = w.fma(forget_gate, before, new)
        return w.times(output_gate, apply(w, "tanh", cells)), cells

    def _of_gru(
        self, w: Writer, x: list[str], sums: list[str], before: str, mask: str | None
    ) -> tuple[str, str]:
        update, reset = (apply(w, "sigmoid", w.plus(x[g], sums[g])) for g in (0, RESET))
        of_input = w.plus(x[HIDDEN], self._biases(w, OF_INPUT, mask))
        new = apply(w, "tanh", w.fma(reset, sums[HIDDEN], of_input))
        y = w.fma(update, w.minus(before, new), new)  # (1 - update) new + update before
        return y, y
