"""Halide's schedules and the rungs: which schedule has which idea."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from convprof.strategies.peers.package import PEERS, install

PACKAGE = "halide"

SERIAL: dict[str, dict[str, str | None]] = {
    "gemm": {
        "default": "naive",
        "reorder": "reordered",
        "tile": "tiled",
        "tile-vectorize": "vectorized",
        "unroll": "unrolled",
        "tuned": "packed",
    },
    "conv2d": {
        "default": "direct",
        "reorder": "reordered",
        "tile": "tiled",
        "tile-vectorize": None,
        "unroll": None,
        "tuned": "microkernel",
    },
}
"""Schedules on one thread, and the rung that each is compared with; None where no rung has that
idea alone."""
SHARED: dict[str, str | None] = {
    "parallel": None,
    "tuned": "parallel",
    "mullapudi2016": None,
    "li2018": None,
    "adams2019": None,
}
"""The same on all threads."""


@dataclass(frozen=True)
class Schedule:
    """A schedule that takes part, and the rung with the same idea."""

    rung: str | None
    strategy: str
    threads: int


def missing() -> str | None:
    """Return why Halide cannot take part, and the way out; None if it is there."""
    if importlib.util.find_spec(PACKAGE) is None:
        return f"{PACKAGE} is not installed: {install(PEERS)}"
    return None


def schedules(kind: str, threads: int) -> list[Schedule]:
    """Return the schedules that take part, in the order of the rungs.

    On one thread `parallel` would be the schedule before it once more; it is left out.
    """
    serial = SERIAL[kind]
    shared = {
        name: rung
        for name, rung in SHARED.items()
        if threads > 1 or (name not in serial and name != "parallel")
    }
    return [
        *(Schedule(rung, f"halide-{name}", 1) for name, rung in serial.items()),
        *(Schedule(rung, f"halide-{name}", threads) for name, rung in shared.items()),
    ]
