"""SI inside, scale at the edge: one unit per table column, chosen from its values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MINUTE_S = 60
_MOST_DECIMALS = 9
_FEWEST = 2
_TIME = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_RATE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_BINARY = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


@dataclass(frozen=True)
class Unit:
    """A name and the SI value of one of it: ``Unit("ms", 1e-3)``."""

    name: str
    value: float

    def scale(self, si: float) -> float:
        """Return the SI value in this unit."""
        return si / self.value


def time_unit(seconds: Iterable[float]) -> Unit:
    """Return the largest time unit in which the middle of the positive values is at least 1.

    One unit for a whole column: most of it reads well, and its ends can still be compared.
    """
    middle = _middle(seconds)
    for value, name in _TIME:
        if middle >= value:
            return Unit(name, value)
    return Unit("ns", 1e-9)


def table_unit(seconds: Iterable[float]) -> Unit:
    """Return the time unit in which the largest value is at most some thousand, and at least 2.

    For columns of very different values that are parts of one total: the large ones count.
    """
    largest = max((value for value in seconds), default=0.0)
    for value, name in _TIME:
        if largest >= _FEWEST * value:
            return Unit(name, value)
    return Unit("ns", 1e-9)


def count_unit(counts: Iterable[float]) -> Unit:
    """Return the prefix (``G``, ``M``, ``k`` or none) in which the middle count is at least 1."""
    middle = _middle(counts)
    for value, name in _RATE:
        if middle >= value:
            return Unit(name, value)
    return Unit("", 1.0)


def _middle(values: Iterable[float]) -> float:
    """Return the lower median of the positive values; 1 if there are none."""
    ordered = sorted(value for value in values if value > 0)
    return ordered[(len(ordered) - 1) // 2] if ordered else 1.0


def digits(value: float, significant: int = 3) -> str:
    """Return the number with that many significant digits and no exponent: 0.0123, 4.56, 789."""
    if value == 0:
        return "0"
    if not math.isfinite(value):  # of a file with numbers that cannot be
        return str(value)
    # Rounded first: 9.996 has three digits as 10.0, not as 10.00.
    exponent = int(f"{abs(value):.{significant - 1}e}".partition("e")[2])
    return f"{value:,.{min(max(0, significant - 1 - exponent), _MOST_DECIMALS)}f}"


def time(seconds: float) -> str:
    """Return a time for running text: ``1.23 ms``."""
    unit = time_unit([seconds])
    return f"{digits(unit.scale(seconds))} {unit.name}"


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    for size, name in steps:
        if abs(value) >= size:
            return value / size, name
    return value / steps[-1][0], steps[-1][1]


def si(value: float, base: str) -> str:
    """Return a quantity with an SI prefix for running text: ``217 GFLOP/s``, ``3.1 GHz``."""
    scaled, prefix = _scaled(value, _RATE)
    return f"{digits(scaled)} {prefix}{base}"


def size(number: float) -> str:
    """Return a number of bytes with a binary prefix: ``48 KiB``, ``1.5 MiB``."""
    scaled, name = _scaled(number, _BINARY)
    text = f"{scaled:.1f}".removesuffix(".0") if name != "B" else f"{scaled:.0f}"
    return f"{text} {name}"


def duration(seconds: float) -> str:
    """Return ``8 s`` or ``3 min 20 s``."""
    whole = max(1, round(seconds))
    if whole < _MINUTE_S:
        return f"{whole} s"
    minutes, rest = divmod(whole, _MINUTE_S)
    return f"{minutes} min {rest} s"
