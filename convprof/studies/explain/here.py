"""What the pages need of this machine, and what is assumed where it is unknown."""

from __future__ import annotations

from dataclasses import dataclass

from convprof.codegen import isa as isas
from convprof.codegen.cache_line import LINE_BYTES
from convprof.dtypes import F32
from convprof.machine import facts
from convprof.results import NATIVE


@dataclass(frozen=True)
class Here:
    """This machine, as far as a page needs it."""

    isa: str
    lanes: int
    """f32 elements in the widest vector that kernels are generated for."""
    registers: int
    line_bytes: int
    line_assumed: bool
    caches: tuple[tuple[str, int], ...]
    """Name and bytes of each data cache, smallest of its level first; () when unknown."""


def here() -> Here:
    """Return what is known about this machine, without measuring."""
    isa = isas.find(NATIVE)
    sizes: dict[int, int] = {}
    lines = []
    for cache in facts().caches:
        if cache.kind == "instruction":
            continue
        if cache.line_bytes:
            lines.append(cache.line_bytes)
        if cache.size_bytes:
            sizes[cache.level] = min(cache.size_bytes, sizes.get(cache.level, cache.size_bytes))
    return Here(
        isa=isa.name,
        lanes=isa.lanes(F32.accumulator.bytes),
        registers=isa.registers,
        line_bytes=lines[0] if lines else LINE_BYTES,
        line_assumed=not lines,
        caches=tuple((f"L{level}", sizes[level]) for level in sorted(sizes)),
    )
