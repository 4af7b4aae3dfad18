"""Images as characters, the brighter the denser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

SHADES = " .:-=+*#%@"
ROWS = 2
"""Rows of pixels per character, which is about twice as high as wide."""


def shaded(image: Array, style: str = "") -> list[Text]:
    """Return an image (h, w) of non-negative values as lines: each is the mean of two rows."""
    h, w = image.shape
    whole = np.pad(image, ((0, h % ROWS), (0, 0)))
    means = whole.reshape(-1, ROWS, w).mean(axis=1)
    largest = float(image.max()) or 1.0
    levels = np.rint(means / largest * (len(SHADES) - 1)).astype(int)
    return [Text("".join(SHADES[level] for level in row), style=style) for row in levels]
