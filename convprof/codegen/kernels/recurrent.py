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
    from collections.abc import Sequence

    from convprof.codegen.kernels.elements import Elements
    from convprof.dtypes import DType
    from convprof.problems.ops.recurrent import Cell, RnnFunction

_UNROLL = 4
"""Elements of the sums per iteration, and sums that a long product needs: an addition takes four
cycles."""
RESET, HIDDEN, OF_INPUT = 1, 2, 3
"""Of a GRU: gates, and the bias of the input's product that the reset does not scale."""
SHARED: Pointers = (
    ("%r", "weights"), ("%bias", "accumulator"), ("%cells", "accumulator"),
    ("%state", "accumulator"),
)  # fmt: skip
MOVED: Pointers = (
    ("%x", "accumulator"), ("%h", "source"), ("%y", "result"), ("%alive", "accumulator"),
)  # fmt: skip
"""The pointers that move from step to step."""


@dataclass(frozen=True)
class Step(Kernel):
    """The common part of the kernels of a step: a vector of units, some items.

    Pointers: ``r``: a panel of the recurrent matrix, (depth, gates, lanes). ``cells``: of an LSTM;
    of a GRU the results of the step before; updated. ``state``: of an LSTM or RNN the results of
    the step before, updated if ``keeps_results``. Then ``x``: products of the input, gate by gate;
    ``h``: all results of the step before; ``y``; ``alive``: for each item whether the step is one
    of its own. The second direction has its own last four, after the first direction's.
    """

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
    keeps_results: bool = False
    """Whether the results are also stored in ``state``; a GRU has its results in ``cells``."""
    is_masked: bool = False
    """Whether ``alive`` says which items keep their state."""
    direction: int = 0
    function: RnnFunction = "tanh"
    """Of an RNN."""

    moved: ClassVar[Pointers] = MOVED

    @property
    def parameters(self) -> Pointers:
        """The pointers, with the unused ones of the first direction before the second's."""
        unused = tuple((f"{name}_first", role) for name, role in self.moved) * self.direction
        return (*SHARED, *unused, *self.moved)

    @property
    def title(self) -> str:
        """``lstm of 1 x 16``."""
        return f"{self.cell} of {self.items} x {self.alive}"

    @property
    def elements(self) -> int:
        """Results."""
        return self.items * self.alive

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    @property
    def _multiplied_gates(self) -> range:
        """The gates whose products this kernel sums."""
        return range(self.gates)

    @property
    def fmas(self) -> int:
        """Vector multiply-adds of the recurrent product."""
        return self.items * len(self._multiplied_gates) * self.units * int(self.has_state)

    def _biases(self, w: Writer, row: int, mask: str | None) -> str:
        """Write a row of the biases, or zeros."""
        if not self.bias:
            return w.splat(0.0)
        biases = self._memory(w, "accumulator")
        return biases.load(biases.at("%bias", row * self.units), mask)

    def _of_input(self, w: Writer, item: int, gate: int, mask: str | None) -> str:
        """Write the product of the input of a gate."""
        x = self._memory(w, "accumulator")
        return x.load(self._x(w, item, gate), mask)

    def _x(self, w: Writer, item: int, gate: int) -> str:
        return self._memory(w, "accumulator").at("%x", item * self.x_row + gate * self.units)

    def _products(self, w: Writer, mask: str | None, h: Elements, h_row: int) -> list[list[str]]:
        """Write each item's sums of the gates, with their biases.

        Few sums are divided into several, so that no addition waits for the one before it.
        """
        gates = self._multiplied_gates
        biases = [self._biases(w, gate, mask) for gate in gates]
        width = self.items * len(gates)
        sums = biases * self.items
        if self.has_state:
            apart = max(1, _UNROLL // width)
            sums += [w.splat(0.0)] * (width * (apart - 1))
            sums = self._summed(w, h, h_row, sums)
            for start in range(width, len(sums), width):
                sums[:width] = map(w.plus, sums[:width], sums[start : start + width])
        return [sums[item * len(gates) : (item + 1) * len(gates)] for item in range(self.items)]

    def _summed(self, w: Writer, h: Elements, h_row: int, sums: list[str]) -> list[str]:
        """Write the sums over all results before; in turn, if there are several of each."""
        width = self.items * len(self._multiplied_gates)
        sets = len(sums) // width

        def add(k: str, number: int, sums: list[str]) -> None:
            start = number % sets * width
            own = slice(start, start + width)
            sums[own] = self._multiplied(w, h, h_row, k, sums[own])

        def iteration(index: str, sums: list[str]) -> list[str]:
            following = list(sums)
            first = w.add(f"mul i64 {index}, {_UNROLL}")
            for place in range(_UNROLL):
                add(w.add(f"add i64 {first}, {place}"), place, following)
            return following

        iterations = self.units // _UNROLL
        sums = list(counted(w, iterations, iteration, sums))
        for number, k in enumerate(range(iterations * _UNROLL, self.units)):
            add(str(k), number, sums)
        return sums

    def _multiplied(
        self, w: Writer, h: Elements, h_row: int, k: str, sums: Sequence[str]
    ) -> list[str]:
        """Write the sums plus element ``k`` of every item's results before, times its weights."""
        r, gates = self._memory(w, "weights"), self._multiplied_gates
        panel = r.at("%r", w.add(f"mul i64 {k}, {self.gates * self.lanes}"))
        columns = [r.load(r.at(panel, gate * self.lanes)) for gate in gates]
        following = []
        for item in range(self.items):
            place = w.add(f"add i64 {k}, {item * h_row}")
            factor = h.broadcast(h.at("%h", place))
            own = sums[item * len(gates) : (item + 1) * len(gates)]
            following += [w.fma(factor, c, s) for c, s in zip(columns, own, strict=True)]
        return following

    def _before(self, w: Writer, pointer: str, item: int, mask: str | None) -> str:
        """Write the cells or the results of the step before, of the kernel's units."""
        if not self.has_state:
            return w.splat(0.0)
        cells = self._memory(w, "accumulator")
        return cells.load(cells.at(pointer, item * self.units), mask)

    def _finish(self, w: Writer, item: int, y: str, cells: str | None, mask: str | None) -> None:
        """Write the stores of an item's results and cells; masked items keep what they had."""
        kept = {"%cells": cells}
        if self.keeps_results:
            kept["%state"] = y
        memory, result = self._memory(w, "accumulator"), self._memory(w, "result")
        for pointer, new in kept.items():
            if new is None:
                continue
            state = self._chosen(w, item, new, pointer, mask) if self.is_masked else new
            memory.store(state, memory.at(pointer, item * self.units), mask)
            if new == y:
                y = state
        result.store(y, result.at("%y", item * self.units), mask)

    def _chosen(self, w: Writer, item: int, new: str, pointer: str, mask: str | None) -> str:
        alive = self._memory(w, "accumulator")
        flags = alive.broadcast(alive.at("%alive", item))
        true = w.add(f"fcmp une {w.vector} {flags}, {w.splat(0.0)}")
        return w.select(true, new, self._before(w, pointer, item, mask))


@dataclass(frozen=True)
class RecurrentStep(Step):
    """A step of an LSTM, an RNN, or a GRU whose reset gate scales the product."""

    def _code(self, w: Writer) -> str:
        mask = w.mask(self.alive)
        sums = self._products(w, mask, self._memory(w, "source"), self.units)
        for item, own in enumerate(sums):
            of_input = [self._of_input(w, item, gate, mask) for gate in range(self.gates)]
            y, cells = self._joined(w, of_input, own, item, mask)
            self._finish(w, item, y, cells, mask)
        return f"{w.taken()}\n"

    def _joined(
        self, w: Writer, x: list[str], sums: list[str], item: int, mask: str | None
    ) -> tuple[str, str | None]:
        """Write the results of a step, and the cells for the next step; None for an RNN."""
        if self.cell == "gru":
            y = self._of_gru(w, x, sums, self._before(w, "%cells", item, mask), mask)
            return y, y
        inner = [w.plus(a, b) for a, b in zip(x, sums, strict=True)]
        if self.cell == "rnn":
            return apply(w, self.function, inner[0]), None
        input_gate, output_gate, forget_gate = (apply(w, "sigmoid", each) for each in inner[:3])
        new = w.times(input_gate, apply(w, "tanh", inner[3]))
        cells = w.fma(forget_gate, self._before(w, "%cells", item, mask), new)
        return w.times(output_gate, apply(w, "tanh", cells)), cells

    def _of_gru(
        self, w: Writer, x: list[str], sums: list[str], before: str, mask: str | None
    ) -> str:
        update, reset = (apply(w, "sigmoid", w.plus(x[g], sums[g])) for g in (0, RESET))
        of_input = w.plus(x[HIDDEN], self._biases(w, OF_INPUT, mask))
        new = apply(w, "tanh", w.fma(reset, sums[HIDDEN], of_input))
        return _mixed(w, update, before, new)


@dataclass(frozen=True)
class ResetGates(Step):
    """The first part of a step of a GRU that resets first: both gates, stored in their products.

    The update gate replaces the input's product of the update gate; the results before, times the
    reset gate, replace the input's product of the reset gate.
    """

    @property
    def title(self) -> str:
        """``gates of 1 x 16``."""
        return f"gates of {self.items} x {self.alive}"

    @property
    def _multiplied_gates(self) -> range:
        return range(HIDDEN)

    def _code(self, w: Writer) -> str:
        mask, memory = w.mask(self.alive), self._memory(w, "accumulator")
        sums = self._products(w, mask, self._memory(w, "source"), self.units)
        for item, own in enumerate(sums):
            update, reset = (
                apply(w, "sigmoid", w.plus(self._of_input(w, item, gate, mask), own[gate]))
                for gate in (0, RESET)
            )
            memory.store(update, self._x(w, item, 0), mask)
            scaled = w.times(reset, self._before(w, "%cells", item, mask))
            memory.store(scaled, self._x(w, item, RESET), mask)
        return f"{w.taken()}\n"


@dataclass(frozen=True)
class HiddenGate(Step):
    """The second part of a step of a GRU that resets first: the product with the scaled results.

    ``h`` begins at the scaled results of the first item, which are as far apart as ``x``.
    """

    moved: ClassVar[Pointers] = (MOVED[0], ("%h", "accumulator"), *MOVED[2:])

    @property
    def _multiplied_gates(self) -> range:
        return range(HIDDEN, HIDDEN + 1)

    def _code(self, w: Writer) -> str:
        mask = w.mask(self.alive)
        sums = self._products(w, mask, self._memory(w, "accumulator"), self.x_row)
        for item, (own,) in enumerate(sums):
            new = apply(w, "tanh", w.plus(self._of_input(w, item, HIDDEN, mask), own))
            update = self._of_input(w, item, 0, mask)
            y = _mixed(w, update, self._before(w, "%cells", item, mask), new)
            self._finish(w, item, y, y, mask)
        return f"{w.taken()}\n"


def _mixed(w: Writer, update: str, before: str, new: str) -> str:
    """Write (1 - update) new + update before."""
    return w.fma(update, w.minus(before, new), new)
