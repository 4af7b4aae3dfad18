"""``microkernel`` in f32 on instructions for bf16: each number is the sum of two or three bf16.

The image is split into its pieces by a stage of its own, the weights when they are bound. Products
of pieces are segments of one sum, as filter taps are: so the tiles of ``microkernel``, in vector
registers and in the tile registers of AMX, multiply them. (``gemm.split`` has the arithmetic.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convprof.codegen import isa as isas
from convprof.codegen.kernels.split import SplitRow
from convprof.strategies import pieces
from convprof.strategies.base import Role
from convprof.strategies.conv.amx_tiles import AmxPlan, product_of
from convprof.strategies.conv.dense_tiles import DensePlan
from convprof.strategies.conv.microkernel import Microkernel
from convprof.strategies.pieces import ADDED_ERRORS, PIECES
from convprof.strategies.plan import Buffer

if TYPE_CHECKING:
    import numpy as np

    from convprof.problems import Conv2d
    from convprof.strategies.base import Setting
    from convprof.strategies.conv.register_tiles import TilePlan
    from convprof.strategies.plan import Stage

    Array = np.ndarray[Any, Any]

X_PIECES = "x_pieces"
PAIR = 2
"""Elements of a sum that an instruction multiplies at once."""


class _Split2(DensePlan):
    """Tiles on numbers of two pieces, in vector registers."""

    pieces = 2

    def pieces_of(self, w: Array) -> Array:
        """Return the pieces of the weights."""
        return pieces.split(w, self.pieces)

    def whole_shares(self) -> None:
        """Return nothing: parts would be tiles on whole numbers."""


class _Split3(_Split2):
    """Tiles on numbers of three pieces, in vector registers."""

    pieces = 3


class _AmxSplit2(AmxPlan, _Split2):
    """Tiles on numbers of two pieces, in tile registers."""


class _AmxSplit3(_AmxSplit2):
    """Tiles on numbers of three pieces, in tile registers."""

    pieces = 3


_IN_VECTORS = {2: _Split2, 3: _Split3}
_IN_TILES = {2: _AmxSplit2, 3: _AmxSplit3}


class Split3(Microkernel):
    """Two pieces, three products."""

    name = "split3"
    summary = f"f32 as two bf16, three products: {pieces.SLOWER} microkernel"
    role = Role.VARIANT
    dtypes = ("f32",)
    pieces = 2
    added_error = ADDED_ERRORS[pieces]

    def why_not(self, problem: Conv2d, setting: Setting) -> str | None:
        """Return why the CPU, the channels or the length of the sums do not suit; else None."""
        reason = super().why_not(problem, setting)
        if reason is None and problem.cg % PAIR:
            reason = f"{self.name} needs an even number of channels per group; got {problem.cg}"
        if reason is not None:
            return reason
        terms = problem.r * problem.s * problem.cg
        isa = isas.find(setting.isa)
        return pieces.refusal(self.name, isa, "sums of channels and taps", terms)

    def tiles(self, p: Conv2d, setting: Setting) -> TilePlan:
        """Return the tiles on pieces: in tile registers where most kernels fill them."""
        inner = replace(setting, dtype=PIECES)
        product = product_of(inner)
        if product is not None:
            tiles = _IN_TILES[self.pieces](p, inner, product)
            if tiles.pays:
                return tiles
        return _IN_VECTORS[self.pieces](p, inner)

    def copies(
        self, source: str, p: Conv2d, tiles: TilePlan, setting: Setting
    ) -> tuple[list[Stage], str]:
        """Return the stage that splits the lines of the image."""
        image, line = p.n * p.h * p.w * p.c, p.w * p.c
        row = SplitRow(pieces.SPLITTING, tiles.lanes, self.pieces, line, image)
        return [pieces.stage(row, p.n * p.h, line, setting, (source, X_PIECES))], X_PIECES

    def copied(self, p: Conv2d, tiles: TilePlan, setting: Setting) -> dict[str, Buffer]:  # noqa: ARG002
        """Return the buffer of the pieces of the image."""
        shape = (self.pieces, *p.x_shape("nhwc"))
        return {X_PIECES: Buffer(shape, tiles.types.source)}


class Split6(Split3):
    """Three pieces, six products: the error of f32."""

    name = "split6"
    summary = f"f32 as three bf16, six products: {pieces.SLOWER} microkernel"
    pieces = 3
    added_error = ADDED_ERRORS[pieces]
