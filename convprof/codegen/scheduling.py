"""The choice of LLVM's scheduling model for this CPU.

LLVM derives the name of the CPU from family and model numbers, which virtual machines often invent.
The name selects the scheduling model, which orders instructions. With some models LLVM moves loads
so far ahead that a register tile no longer fits into the registers: the 14x32 tile of AVX-512 then
accesses the stack 8 times per iteration of its inner loop and loses 6 to 8 % of its speed. The
instruction set comes from the CPU's feature flags. The model is chosen by the generated code of our
own kernels: LLVM's name first, then other names, until a model gives no access to the stack.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof import choice_store
from convprof.codegen import disassembly, isa, target
from convprof.codegen.isa import Isa, register_rows
from convprof.codegen.kernels.gemm import Tile
from convprof.dtypes import F32

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MODELS: Mapping[str, Sequence[str]] = {
    "x86_64": ("sapphirerapids", "alderlake", "haswell", "znver2"),
    "aarch64": ("neoverse-n1", "neoverse-v2", "apple-m1", "cortex-a76"),
}
"""Further names to try if LLVM's name for the host gives code that spills, the best first."""

KIND = "scheduling"
"""The folder of stored choices."""

_RUN = 192
"""Steps of the reduction: 64 channels of a 3x3 filter's row, far more than a kernel unrolls."""
_ROW = 64
"""Elements from one row of an operand to the next."""


@dataclass(frozen=True)
class Model:
    """The scheduling model that kernels are generated with."""

    name: str
    """LLVM's name of the CPU whose model is used."""
    host: str
    """LLVM's name for this CPU."""
    spills: int
    """Accesses to the stack in the loops of the test kernels, generated with ``name``."""
    host_spills: int
    """The accesses to the stack with ``host``."""


@functools.cache
def model() -> Model:
    """Return the model for this CPU: stored, or chosen now in some tenths of a second."""
    host = target.target()
    kernels = probes([isa.ISAS[name] for name in isa.widths()])
    text = "".join(ir for ir, _ in kernels)
    key = {
        "llvm": host.llvm_version,
        "cpu": host.cpu,
        "features": host.features,
        "kernels": hashlib.sha256(text.encode()).hexdigest(),
    }
    names = MODELS.get(host.arch, ())
    known = _known(choice_store.load(KIND, key), host.cpu, names)
    if known is not None:
        return known
    chosen = choose(host.cpu, names, lambda name: _spills(name, kernels))
    choice = {"model": chosen.name, "spills": chosen.spills, "host_spills": chosen.host_spills}
    choice_store.save(KIND, key, choice, choice_store.Made(host.llvm_version))
    return chosen


def choose(host: str, names: Sequence[str], spills: Callable[[str], int]) -> Model:
    """Return the first model without accesses to the stack, else the one with the fewest.

    ``host`` is tried first, then ``names`` in their order; ``spills(name)`` counts the accesses.
    """
    first = spills(host)
    best = Model(host, host, first, first)
    for name in names:
        if not best.spills:
            break
        count = spills(name) if name != host else first
        if count < best.spills:
            best = Model(name, host, count, first)
    return best


def probes(isas: Sequence[Isa]) -> list[tuple[str, tuple[str, ...]]]:
    """Return register tiles that need every register: their IR, and the features to switch off.

    The tiles have one, two and three vectors across, and one packs ``b`` while it computes. For
    each of them there is a model with which only this tile spills.
    """
    tiles = []
    for each in isas:
        tiles += [(each, _tile(each, vectors, 3, _RUN)) for vectors in (1, 2, 3)]
        tiles.append((each, replace(_tile(each, 2, 1, 4 * _RUN), pack_row=_ROW)))
    return [(tile.ir(), each.without) for each, tile in tiles]


def _tile(which: Isa, vectors: int, segments: int, run: int) -> Tile:
    lanes = which.lanes(4)
    rows = register_rows(vectors, which)
    return Tile(
        types=F32,
        lanes=lanes,
        rows=tuple(i * _ROW for i in range(rows)),
        segments=tuple((g * rows * _ROW, g * run) for g in range(segments)),
        run=run,
        vectors=vectors,
        b_row=vectors * lanes,
        c_rows=tuple(i * _ROW for i in range(rows)),
        columns=vectors * lanes,
        fused=which.fused,
    )


def _spills(cpu: str, kernels: Sequence[tuple[str, tuple[str, ...]]]) -> int:
    """Return the accesses to the stack in the loops of all kernels generated for ``cpu``."""
    return sum(
        code.spills
        for ir, without in kernels
        for code in disassembly.loops(target.assembly(ir, cpu, without))
    )


def _known(choice: Mapping[str, object] | None, host: str, names: Sequence[str]) -> Model | None:
    """Return the stored model if its name is a candidate here and its counts are valid."""
    if choice is None:
        return None
    name, counts = choice.get("model"), [choice.get(key) for key in ("spills", "host_spills")]
    spills, host_spills = (count if type(count) is int and count >= 0 else None for count in counts)
    if not isinstance(name, str) or name not in {host, *names}:
        return None
    if spills is None or host_spills is None:
        return None
    return Model(name, host, spills, host_spills)
