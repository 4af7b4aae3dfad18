"""The schedule tuned by hand: sums in registers, weights in panels, blocks that stay in L2.

A register tile of ``rows`` by ``vectors`` is summed completely and then stored. The weights are
packed once into panels as wide as the tile, so that a step reads them in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.integers import ceil_div, round_up
from convprof.strategies import memory
from convprof.strategies.peers.halide.forms import Form
from convprof.strategies.peers.halide.ladder import Step, pad, power_below
from convprof.strategies.peers.halide.sharing import share

if TYPE_CHECKING:
    from convprof.dtypes import DType
    from convprof.strategies.peers.halide.algorithm import Nest, Shape
    from convprof.strategies.peers.halide.sharing import Share

MOST_VECTORS, MOST_ROWS = 4, 14
ENOUGH_CHAINS = 8
"""Independent sums that hide the latency of an FMA: 4 cycles on 2 ports."""


@dataclass(frozen=True, slots=True)
class Core:
    """The vector registers of a core."""

    vector: int
    """Elements in a vector."""
    registers: int


@dataclass(frozen=True)
class Tile:
    """The axes of the register tile, and its size."""

    column: str
    row: str
    vector: int
    vectors: int
    rows: int
    form: Form
    """The order of the weights in memory."""

    @property
    def width(self) -> int:
        """Columns of the tile."""
        return self.vector * self.vectors

    @property
    def packed(self) -> bool:
        """Whether the weights are padded to full tiles, so that the last one is summed whole."""
        return self.form.width > 1


def chosen(shape: Shape, core: Core) -> Tile:
    """Return the tile for a shape.

    Columns are output channels (of a product: its columns). Where a group has too few of them for
    a vector, they are groups in NHWC if each has one channel, and pixels in NCHW.
    """
    sizes, order = shape.sizes, shape.y.order
    if order == "zij":
        return _panels(shape, "j", "i", "zJtj", core)
    if order == "npqgk" and sizes["k"] == 1 < sizes["g"]:
        return _inwards(shape, "g", "q", Form("krscg"), core)
    if order == "npqgk":
        return _panels(shape, "k", "q", "gKrsck", core)
    if sizes["k"] >= core.vector // 2:
        return _panels(shape, "k", "q", "gKcrsk", core)
    return _inwards(shape, "q", "k" if sizes["k"] > 1 else "p", shape.usual, core)


def _panels(shape: Shape, column: str, row: str, order: str, core: Core) -> Tile:
    """Return a tile with weights in panels of its width; the last panel is filled with zeros."""
    sizes, vector = shape.sizes, core.vector
    while vector > 1 and vector // 2 >= sizes[column]:
        vector //= 2
    rows, vectors = _fit(sizes[row], sizes[column], vector, core.registers)
    width = vectors * vector
    form = Form(order, width) if width > 1 else shape.usual
    return Tile(column, row, vector, vectors, rows, form)


def _inwards(shape: Shape, column: str, row: str, form: Form, core: Core) -> Tile:
    """Return a tile no wider than its axis: the last tile and its input are moved inwards."""
    sizes = shape.sizes
    vector = power_below(sizes[column], core.vector)
    whole = sizes[column] // vector
    rows, vectors = _fit(sizes[row], whole * vector, vector, core.registers)
    return Tile(column, row, vector, min(vectors, whole), rows, form)


def _fit(rows: int, columns: int, vector: int, registers: int) -> tuple[int, int]:
    """Return the rows and vectors of the tile with the least waste.

    A step of it multiplies ``rows * vectors`` times, two a cycle, and loads ``rows + vectors``
    times, two a cycle as well; the sums, the step's weights and a row's value need registers.
    """

    def quality(shape: tuple[int, int]) -> tuple[float, int]:
        high, vectors = shape
        wide = vectors * vector
        used = rows * columns / (round_up(rows, high) * (round_up(columns, wide)))
        sums = high * vectors
        slowdown = max(1.0, (high + vectors) / sums, ENOUGH_CHAINS / sums)
        return used / slowdown, sums

    return max(
        (
            (high, vectors)
            for vectors in range(1, MOST_VECTORS + 1)
            for high in range(1, min(rows, MOST_ROWS) + 1)
            if high * vectors + vectors + 1 < registers
        ),
        key=quality,
    )


def scheduled(nest: Nest, tile: Tile, threads: int, weights: DType) -> Any:
    """Schedule the nest and return the Func to compile."""
    pad(nest, Step.UNROLL, threads, tile.vector)
    hl, tails = nest.hl, nest.hl.TailStrategy
    result = hl.Func("result")
    result[nest.at()] = nest.sums[nest.at()]
    loops, within = _tiled(nest, tile, result)
    order = _order(nest, tile, weights)
    steps = _steps(nest, tile)
    shared = share({axis: steps[axis] for axis in reversed(order)}, threads)
    strip, block = _strip_and_block(nest, tile, steps[tile.row], shared, weights)
    outermost = []
    if shared:
        outermost, inner = [hl.Var("strip")], hl.Var("within")
        result.split(loops[shared.axis], outermost[0], inner, strip, tails.ShiftInwards)
        loops[shared.axis] = inner
    nested = [loops[axis] for axis in order]
    if block:
        outer, inner = hl.Var("block"), hl.Var("ro")
        result.split(loops[tile.row], outer, inner, block, tails.ShiftInwards)
        nested[:2] = inner, nested[1], outer
    result.reorder(within[tile.column], within[tile.row], *nested, *outermost)
    if outermost:
        result.parallel(outermost[0])
    result.vectorize(within[tile.column], tile.vector).unroll(within[tile.column])
    result.unroll(within[tile.row])
    _in_registers(nest, tile, result, nested[0])
    return result


def _tiled(nest: Nest, tile: Tile, result: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cut rows and columns into tiles: return the loops over tiles and inside tiles, by axis."""
    tails = nest.hl.TailStrategy
    loops, within = dict(nest.loops), {}
    inwards = tails.ShiftInwards
    for axis, size, tail in (
        (tile.row, tile.rows, inwards),
        (tile.column, tile.width, tails.GuardWithIf if tile.packed else inwards),
    ):
        loops[axis], within[axis] = nest.hl.Var(axis + "o"), nest.hl.Var(axis + "i")
        result.split(nest.loops[axis], loops[axis], within[axis], size, tail)
    return loops, within


def _in_registers(nest: Nest, tile: Tile, result: Any, loop: Any) -> None:
    """Compute the sums of one tile in registers."""
    sums, column, row = nest.sums, nest.loops[tile.column], nest.loops[tile.row]
    others = [var for var in nest.at() if var.name() not in (column.name(), row.name())]
    sums.compute_at(result, loop).reorder_storage(column, row, *others)
    sums.bound_extent(column, tile.width).bound_extent(row, tile.rows)
    for stage, taps in ((sums, ()), (sums.update(), nest.taps)):
        stage.reorder(column, row, *taps, *others)
        stage.vectorize(column, tile.vector).unroll(column).unroll(row)


def _steps(nest: Nest, tile: Tile) -> dict[str, int]:
    """Return the steps of each of y's loops, in tiles where it has them."""
    size = {tile.column: tile.width, tile.row: tile.rows}
    return {a: ceil_div(nest.shape.sizes[a], size.get(a, 1)) for a in nest.shape.y.order}


def _order(nest: Nest, tile: Tile, weights: DType) -> list[str]:
    """Return y's axes, innermost first: weights that fit L2 are read again for each row of y."""
    others = [a for a in reversed(nest.shape.y.order) if a not in (tile.column, tile.row)]
    fits = nest.shape.weight_elements() * weights.bytes <= memory.l2_bytes() // 2
    if fits or not others or nest.shape.y.order == "zij":
        return [tile.row, tile.column, *others]
    # All rows of the images use a panel of weights before the next panel.
    inner = [a for a in others if a == "p"]
    return [tile.row, *inner, tile.column, *(a for a in others if a not in inner)]


def _strip_and_block(
    nest: Nest, tile: Tile, steps: int, shared: Share | None, weights: DType
) -> tuple[int, int]:
    """Return the steps of a thread's strip, and of the blocks of a product's rows (0: none).

    A block of rows stays in L2 while the panels of weights pass. The last block or strip is moved
    inwards where it would be too long, and computes some tiles again. The size with the least waste
    is chosen.
    """
    strip = shared.strip if shared else 0
    if nest.shape.y.order != "zij":
        return strip, 0
    of_rows = shared is not None and shared.axis == tile.row
    steps = strip if of_rows else steps
    room = memory.l2_bytes() // 2 // (tile.rows * nest.shape.sizes["t"] * weights.bytes)
    if steps <= 2 * max(1, room):
        return strip, 0
    sizes = range(max(1, room // 2), 2 * max(1, room) + 1)
    block = min(sizes, key=lambda size: (round_up(steps, size), -size))
    return (round_up(strip, block) if of_rows else strip), block
