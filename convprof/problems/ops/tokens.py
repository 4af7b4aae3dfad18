"""From an image to tokens and back to one vector (Dosovitskiy et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from convprof.problems.ops.base import Op

if TYPE_CHECKING:
    from convprof.problems.ops.base import Array
    from convprof.problems.shapes import Shape

__all__ = ["ClassToken", "PositionEmbedding", "SelectToken", "Tokens"]


class _OnTokens(Op):
    """An operation on (n, t, c)."""

    __slots__ = ()

    def tokens(self, *inputs: Shape) -> tuple[int, int, int]:
        """Return the only input as (n, t, c)."""
        (x,) = self.checked(inputs)
        if len(x) != len(("n", "t", "c")):
            raise self.misfit(x, "it needs tokens (n, t, c)")
        n, t, c = x
        return n, t, c


@dataclass(frozen=True, slots=True)
class Tokens(Op):
    """(n, c, h, w) -> (n, h w, c): every pixel a token, row by row. A view of NHWC."""

    kind: ClassVar[str] = "tokens"
    keeps_images: ClassVar[bool] = False
    is_view: ClassVar[bool] = True

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, h w, c)."""
        n, c, h, w = self.image(*inputs)
        return n, h * w, c

    def reference(self, *operands: Array) -> Array:
        """Return one row per pixel."""
        (x,) = operands
        n, c, h, w = x.shape
        return x.reshape(n, c, h * w).swapaxes(1, 2)


@dataclass(frozen=True, slots=True)
class ClassToken(_OnTokens):
    """(n, t, c) -> (n, 1 + t, c): a learned token before the others, the same for every image."""

    kind: ClassVar[str] = "class token"

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, 1 + t, c)."""
        n, t, c = self.tokens(*inputs)
        return n, 1 + t, c

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` (c,)."""
        return {"weight": (self.output(*inputs)[2],)}

    def reference(self, *operands: Array) -> Array:
        """Return the learned token, then the others."""
        x, weight = operands
        first = np.broadcast_to(weight, (x.shape[0], 1, x.shape[2]))
        return np.concatenate([first, x], axis=1)


@dataclass(frozen=True, slots=True)
class PositionEmbedding(_OnTokens):
    """(n, t, c) -> (n, t, c): a learned term per token and channel, the same for every image."""

    kind: ClassVar[str] = "position"

    def output(self, *inputs: Shape) -> Shape:
        """Return the same shape."""
        return self.tokens(*inputs)

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` (t, c)."""
        return {"weight": self.output(*inputs)[1:]}

    def flops(self, *inputs: Shape) -> int:
        """Return one per element."""
        return math.prod(self.output(*inputs))

    def reference(self, *operands: Array) -> Array:
        """Return the tokens plus the learned terms."""
        x, weight = operands
        return x + weight


@dataclass(frozen=True, slots=True)
class SelectToken(_OnTokens):
    """(n, t, c) -> (n, c): one token of every image."""

    kind: ClassVar[str] = "select token"
    is_view: ClassVar[bool] = True

    index: int = 0

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, c)."""
        n, t, c = self.tokens(*inputs)
        if not 0 <= self.index < t:
            raise self.misfit(inputs[0], f"it has no token {self.index}")
        return n, c

    def reference(self, *operands: Array) -> Array:
        """Return the token at ``index``."""
        (x,) = operands
        return x[:, self.index]
