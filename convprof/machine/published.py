"""What other sources say that instructions cost on known cores, to be compared with measurements.

The figures are in ``published.csv``: a line per core and instruction, latency and reciprocal
throughput in core cycles, an empty field where the source has no figure. To add a core, append its
lines. Two kinds of source:

LLVM: the scheduling models of LLVM 19.1.7, as its ``llvm-mca -mcpu=MODEL -instruction-info`` prints
them for the instructions that are measured here. They serve a compiler and are rough in places:
Golden Cove's has no divider, so that divisions and roots have the throughput of their port, and the
models of Ice Lake and Skylake give 102 cycles to any integer division. For conversions the latency
is half of the way there and back, as measured. For multiply-adds it is the latency of a chain
through the addend in llvm-mca's simulation, since some models forward addends.

OSACA: the machine models MODEL.yml of OSACA 0.7.1. Only entries that are marked there as measured
with ibench or asmbench, or as taken from the measurements of uops.info; for the Ice Lake client
only the latter. Conversions of scalars are left out, since OSACA counts their latencies otherwise,
and integer divisions, since OSACA does not distinguish their widths.

No figure is taken from convprof's own measurements. A row that differs from a measured one is a
question to both sides.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from importlib import resources

FILE = "published.csv"
LLVM = "scheduling model of LLVM 19.1.7"
OSACA = "measured entries of OSACA 0.7.1's model"
_SOURCES = {"llvm": LLVM, "osaca": OSACA}


@dataclass(frozen=True)
class Figures:
    """Cycles, each None where not known."""

    latency: float | None
    reciprocal_throughput: float | None


@dataclass(frozen=True)
class Core:
    """A core, and where its figures come from."""

    name: str
    source: str
    model: str
    """What the source calls the core."""
    figures: dict[str, Figures]
    """By the name of the instruction."""
    vendor: str
    """Who designed it, as the CPU itself says: ``AuthenticAMD``."""


@functools.cache
def cores(architecture: str) -> tuple[Core, ...]:
    """Return the cores of an architecture (``x86_64``, ``aarch64``), in the order of the file."""
    by_name: dict[str, Core] = {}
    text = resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8")
    for line in csv.DictReader(text.splitlines()):
        if line["architecture"] == architecture:
            source = _SOURCES[line["source"]]
            empty = Core(line["core"], source, line["model"], {}, line["vendor"])
            core = by_name.setdefault(line["core"], empty)
            core.figures[line["instruction"]] = Figures(
                _cycles(line["latency"]), _cycles(line["reciprocal_throughput"])
            )
    return tuple(by_name.values())


def most_ports(architecture: str, dtype: str, bits: int) -> int | None:
    """Return the most multiply-adds per cycle that a known core starts; None without a figure."""
    name = f"fma {dtype} {bits}"
    figures = [core.figures[name] for core in cores(architecture) if name in core.figures]
    counts = [round(1 / f.reciprocal_throughput) for f in figures if f.reciprocal_throughput]
    return max(counts, default=None)


def _cycles(text: str) -> float | None:
    return float(text) if text else None
