"""Weights that several nodes of a network share: one tensor in memory, one set of parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


@dataclass(frozen=True, slots=True)
class Tie:
    """``weight`` of ``node`` is the tensor that an earlier node reads first: that node owns it."""

    node: str
    weight: str
    owner: str
    owned: str
    """The owner's name for it."""
    transposed: bool = False
    """Whether one of the two nodes reads the transposed matrix."""

    def to_json(self) -> dict[str, str | bool]:
        """Return the fields under the names of the result format."""
        names = {"node": self.node, "weight": self.weight, "owner": self.owner, "owned": self.owned}
        return {**names, "transposed": self.transposed}

    def seen(self, tensor: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """Return the owner's tensor as this node reads it, of that shape, without a copy.

        The same object where nothing has to be changed.
        """
        if tensor.shape == shape and not self.transposed:
            return tensor
        return tensor.reshape(shape[::-1]).T if self.transposed else tensor.reshape(shape)


def shared_text(ties: Sequence[Tie]) -> str:
    """Return ``1 weight is used by 2 layers``; nothing without ties."""
    if not ties:
        return ""
    weights = {(tie.owner, tie.owned) for tie in ties}
    layers = {name for tie in ties for name in (tie.owner, tie.node)}
    verb = "weight is" if len(weights) == 1 else "weights are"
    return f"{len(weights)} {verb} used by {len(layers)} layer{'s' if len(layers) > 1 else ''}"
