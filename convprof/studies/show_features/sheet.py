"""What the sheet shows: sections of panels, each a plane of numbers and how to read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, np.dtype[np.float32]]

WITHIN = 99.5
"""Per cent of a panel's pixels that its scale covers; a few outliers would leave the rest grey."""
LONGEST_NAME = 32
"""Letters of a file's name in a title, which then fits however wide they are."""
_LEAST = 1e-6
"""End of the scale of a plane that is 0 but for rounding."""


@dataclass(frozen=True)
class Frame:
    """A square to mark, in pixels."""

    label: str
    x: int
    y: int
    side: int


@dataclass(frozen=True)
class Panel:
    """One picture of the sheet."""

    title: str
    values: Array
    """(h, w), or (h, w, 3) from 0 to 1."""
    limit: float = 1.0
    """End of the scale."""
    signed: bool = False
    """Whether the scale goes from -limit to limit, 0 in its middle; else from 0."""
    kernel: Array | None = None
    """The filter, (r, s) or (r, s, 3), to be drawn into the corner."""
    note: str = ""
    frames: tuple[Frame, ...] = ()
    heat: Array | None = None
    """(rows, columns) of patches to lay over ``values`` as heat from 0 to ``limit``."""
    patch: int = 1
    """Pixels on a side of the heat's patches."""


@dataclass(frozen=True)
class Section:
    """Panels that belong together."""

    title: str
    caption: str
    panels: tuple[Panel, ...]
    small: bool = False
    """Whether twice as many panels go into a row."""


def limit(planes: Sequence[Array]) -> float:
    """Return the end of a common scale of some planes: ``WITHIN`` % of the values are in it."""
    sizes = np.concatenate([np.abs(plane).ravel() for plane in planes])
    return max(float(np.percentile(sizes, WITHIN)), _LEAST)


def file_name(path: str) -> str:
    """Return a file's name for a title, without its folder, the middle of a long one left out."""
    name = PurePath(path).name
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[: half - 1]}...{name[2 - half :]}"
