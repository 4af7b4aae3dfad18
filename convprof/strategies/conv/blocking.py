"""How a convolution on register tiles is cut."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConvBlocking:
    """The sizes of the blocks and register tiles of the output."""

    vectors: int
    """Vectors of output channels across a register tile."""
    rows: int
    """Pixels down a register tile, at most."""
    block_rows: int
    """Output rows per block: its input stays in the second-level cache for all channels."""
    fixed: int = 1
    """1: static schedule, every thread takes the same equal share of the tasks in each run, and its
    part of the operands is in its own cache; 0: a free thread takes the next tasks."""
    unroll: int = 0
    """The largest unroll factor of the inner loop; 0: chosen by the number of vectors."""

    @property
    def parts(self) -> int:
        """Parts of the input channels; each part has sums of its own, which a last stage adds."""
        return 1


@dataclass(frozen=True)
class PartedBlocking(ConvBlocking):
    """How a convolution is cut whose sums are computed in parts."""

    parts: int = 2
