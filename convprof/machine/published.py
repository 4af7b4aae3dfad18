"""What other sources say that instructions cost on known cores, to be laid beside measurements.

Latency / reciprocal throughput in core cycles; ``-`` is unknown. Two kinds of source:

LLVM: the scheduling models of LLVM 19.1.7, as its ``llvm-mca -mcpu=MODEL -instruction-info`` prints
them for the very instructions that are measured here. They serve a compiler and are rough in
places: Golden Cove's has no divider, so that divisions and roots have the throughput of their
port, and those of Ice Lake and Skylake give 102 cycles to any integer division. For conversions
the latency is half of the way there and back, as measured; for multiply-adds it is that of a chain
through the addend in llvm-mca's simulation, since some models forward addends.

OSACA: the machine models MODEL.yml of OSACA 0.7.1, of these only entries that it marks as measured
with ibench or asmbench, or as taken from the measurements of uops.info; of the Ice Lake client
those of uops.info alone. Left out are conversions of scalars, whose latencies it counts otherwise,
and integer divisions, which it does not tell apart by width.

No figure is taken from convprof's own measurements. A row that differs from one measured is a
question to either side.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

LLVM = "scheduling model of LLVM 19.1.7"
OSACA = "measured entries of OSACA 0.7.1's model"


@dataclass(frozen=True)
class Figures:
    """Cycles, each None where not known."""

    latency: float | None
    reciprocal_throughput: float | None


@dataclass(frozen=True)
class Core:
    """One column: a core and where its figures come from."""

    name: str
    source: str
    model: str
    """What the source calls the core."""
    figures: dict[str, Figures]
    """By the name of the row."""


_COLUMNS = {
    "x86_64": (
        ("Golden Cove (LLVM)", LLVM, "sapphirerapids"),
        ("Golden Cove (OSACA)", OSACA, "spr"),
        ("Ice Lake (LLVM)", LLVM, "icelake-server"),
        ("Ice Lake client (OSACA)", OSACA, "icl"),
        ("Skylake-X (LLVM)", LLVM, "skylake-avx512"),
        ("Zen 3 (LLVM)", LLVM, "znver3"),
        ("Zen 3 (OSACA)", OSACA, "zen3"),
        ("Zen 4 (LLVM)", LLVM, "znver4"),
        ("Zen 4 (OSACA)", OSACA, "zen4"),
    ),
    "aarch64": (
        ("Neoverse N1 (LLVM)", LLVM, "neoverse-n1"),
        ("Neoverse V1 (LLVM)", LLVM, "neoverse-v1"),
        ("Neoverse V2 (LLVM)", LLVM, "neoverse-v2"),
    ),
}
"""The columns of the tables below, in this order."""

_TABLES = {
    # Rows as `Key.name` has them; commas stand for several. Columns as above.
    "x86_64": """
add i32,i64 scalar             | 1/0.2  | 1/0.2  | 1/0.25   | -      | 1/0.25   | 1/0.25 | -      | 1/0.25  | 1/0.25
sub i32,i64 scalar             | 1/0.2  | 1/0.2  | 1/0.25   | -      | 1/0.25   | 1/0.25 | 1/0.25 | 1/0.25  | 1/0.25
mul i32,i64 scalar             | 3/1    | 3/1    | 3/1      | 3/1    | 3/1      | 3/1    | 3/1    | 3/1     | -
div i32 scalar small,large     | 15/3   | -      | 102/16.5 | -      | 102/16.5 | 13/13  | -      | 13/13   | -
div i64 scalar small,large     | 18/3   | -      | 102/16.5 | -      | 102/16.5 | 17/17  | -      | 17/17   | -
add i32,i64 128,256            | 1/0.33 | 1/0.33 | 1/0.33   | 1/0.33 | 1/0.33   | 1/0.25 | 1/0.25 | 1/0.25  | 1/0.25
sub i32,i64 128,256            | 1/0.33 | -      | 1/0.33   | 1/0.33 | 1/0.33   | 1/0.25 | 1/0.25 | 1/0.25  | -
mul i32 128,256                | 10/1   | -      | 10/1     | 10/1   | 10/1     | 3/0.5  | 3/0.5  | 3/0.5   | -
mul i64 128,256                | 15/1.5 | -      | 15/1.5   | 15/1.5 | 15/1.5   | -      | -      | 3/0.5   | -
add i32,i64 512                | 1/0.5  | 1/0.5  | 1/0.33   | 1/0.5  | 1/0.33   | -      | -      | 1/0.5   | 1/0.5
sub i32,i64 512                | 1/0.5  | -      | 1/0.33   | 1/0.5  | 1/0.33   | -      | -      | 1/0.5   | -
mul i32 512                    | 10/2   | -      | 10/1     | 10/2   | 10/1     | -      | -      | 3/1     | -
mul i64 512                    | 15/3   | -      | 15/3     | 15/3   | 15/1.5   | -      | -      | 3/1     | -
add,sub f32 scalar             | 3/0.5  | 2/0.5  | 4/0.5    | 4/0.5  | 4/0.5    | 3/0.5  | 3/0.5  | 3/0.5   | 2/0.5
mul f32,f64 scalar,128,256     | 4/0.5  | 4/0.5  | 4/0.5    | 4/0.5  | 4/0.5    | 3/0.5  | 3/0.5  | 3/0.5   | 3/0.5
fma f32,f64 scalar             | 4/0.5  | 4/0.5  | 4/0.5    | 4/0.5  | 4/0.5    | 4/0.5  | 4/0.5  | 4/1     | 4/0.5
div f32 scalar,128 simple,full | 11/1   | 11/3   | 11/3     | 12/3   | 11/3     | 11/3   | 10/3.5 | 11/3    | 11/3
sqrt f32 scalar simple,full    | 12/1   | 12/3   | 12/3     | 13/3   | 12/3     | 15/5   | 14/5   | 15/5    | 15/5
add,sub f64 scalar             | 3/0.5  | 2/0.5  | 4/0.5    | 4/0.5  | 4/0.5    | 3/0.5  | 3/0.5  | 3/0.5   | 3/0.5
div f64 scalar,128 simple,full | 14/1   | 14/4   | 14/4     | 15/4   | 14/4     | 13/5   | 13/4.5 | 13/5    | 13/5
sqrt f64 scalar simple,full    | 18/1   | 13/6   | 18/6     | 19/6   | 18/6     | 21/9   | 20/8.5 | 21/9    | 21/8.5
add f32 128,256                | 3/0.5  | 3/0.5  | 4/0.5    | 4/0.5  | 4/0.5    | 3/0.5  | 3/0.5  | 3/0.5   | 3/0.5
sub f32,f64 128                | 3/0.5  | 2/0.5  | 4/0.5    | 4/0.5  | 4/0.5    | 3/0.5  | 3/0.5  | 3/0.5   | 3/1.5
fma f32,f64 128,256            | 4/0.5  | 4/0.5  | 4/0.5    | 4/0.5  | 4/0.5    | 4/0.5  | 4/0.5  | 4/0.5   | 4/0.5
sqrt f32 128 simple,full       | 12/1   | -      | 12/3     | 13/3   | 12/3     | 15/5   | 14/5   | 15/5    | -
add f64 128,256                | 3/0.5  | 2/0.5  | 4/0.5    | 4/0.5  | 4/0.5    | 3/0.5  | -      | 3/0.5   | 3/0.5
sqrt f64 128 simple,full       | 18/1   | -      | 18/6     | 19/6   | 18/6     | 21/9   | 20/8.5 | 21/9    | 21/8
sub f32,f64 256                | 3/0.5  | 2/0.5  | 4/0.5    | 4/0.5  | 4/0.5    | 3/0.5  | 3/0.5  | 3/0.5   | 3/0.5
div f32 256 simple,full        | 11/1   | 11/5   | 11/5     | 12/5   | 11/5     | 11/3   | 10/3.5 | 11/3    | 11/3
sqrt f32 256 simple,full       | 12/1   | -      | 12/6     | 13/6   | 12/6     | 15/5   | 14/5   | 15/5    | -
div f64 256 simple,full        | 14/1   | 14/8   | 14/8     | 15/8   | 14/8     | 13/5   | 13/4.5 | 13/5    | 13/5
sqrt f64 256 simple,full       | 18/1   | -      | 18/12    | 19/12  | 18/12    | 21/9   | 20/8.5 | 21/9    | 21/8
add,sub f32,f64 512            | 3/0.5  | 3/0.5  | 4/1      | 4/1    | 4/0.5    | -      | -      | 3/1     | 3/1
mul f32,f64 512                | 4/1    | 4/0.5  | 4/1      | 4/1    | 4/0.5    | -      | -      | 3/1     | 3/1
fma f32,f64 512                | 4/1    | 4/0.5  | 4/1      | 4/1    | 4/0.5    | -      | -      | 4/1     | 4/1
div f32 512 simple,full        | 17/2   | 18/10  | 18/10    | 17/10  | 18/10    | -      | -      | 11/6    | 11/6
sqrt f32 512 simple,full       | 19/2   | -      | 20/12    | 20/12  | 20/12    | -      | -      | 15/10   | -
div f64 512 simple,full        | 23/2   | 23/16  | 23/16    | 23/16  | 23/16    | -      | -      | 13/10   | 13/9
sqrt f64 512 simple,full       | 31/2   | -      | 32/24    | 32/24  | 32/24    | -      | -      | 21/18   | 21/16
i32->f32 scalar                | 7/1    | -      | 5.5/1    | -      | 5.5/1    | 3/1    | -      | 4.5/1   | -
f32->i32 scalar                | 7/1    | -      | 5.5/1    | -      | 5.5/1    | 3/1    | -      | 4.5/2.5 | -
i32->f64,i64->f64 scalar       | 7/1    | -      | 5.5/1    | -      | 5.5/1    | 3/1    | -      | 5/1     | -
f64->i32,f64->i64 scalar       | 7/1    | -      | 5.5/1    | -      | 5.5/1    | 3/1    | -      | 5/2.5   | -
f32->f64,f64->f32 scalar       | 5/1    | -      | 5/1      | -      | 5/1      | 3/0.5  | -      | 3/0.5   | -
i32->f32,f32->i32 128          | 4/0.5  | -      | 4/0.5    | 4/0.5  | 4/0.5    | 3/0.5  | 3/0.5  | 3/0.5   | -
i32->f64 128                   | 5/1    | -      | 4.5/0.5  | 5/1    | 4.5/0.5  | 3/0.5  | 3/0.5  | 3/0.5   | -
f64->i32 128                   | 5/1    | -      | 4.5/1    | 5/1    | 4.5/1    | 3/0.5  | 3/0.5  | 3/1     | -
i64->f64 128                   | 4/0.5  | -      | 4/0.5    | 4/0.5  | 4/0.5    | -      | -      | 3/0.5   | -
f64->i64 128                   | 4/0.5  | -      | 4/0.5    | 4/0.5  | 4/0.5    | -      | -      | 3/1     | -
f32->f64,f64->f32 128          | 5/1    | -      | 5/1      | 5/1    | 5/1      | 3/0.5  | 3/0.5  | 3/0.5   | -
i32->f32,f32->i32 256          | 4/0.5  | -      | 3.5/0.5  | 4/0.5  | 3.5/0.5  | 3/0.5  | 3/0.5  | 3.5/0.5 | -
i32->f64,f64->i32 256          | 7/1    | -      | 7/1      | 7/1    | 7/1      | 5/1    | 5/1    | 3/1     | -
i64->f64,f64->i64 256          | 4/0.5  | -      | 4/0.5    | 4/0.5  | 4/0.5    | -      | -      | 3/1     | -
f32->f64,f64->f32 256          | 7/1    | -      | 7/1      | 7/1    | 7/1      | 5/1    | 5/1    | 5/1     | -
i32->f32,f32->i32 512          | 4/1    | -      | 4/0.5    | 4/1    | 4/0.5    | -      | -      | 3.5/1   | -
i32->f64 512                   | 7/1    | -/1    | 7/1      | 7/1    | 7/1      | -      | -      | 3.5/2   | -/1.33
f64->i32 512                   | 7/1    | -      | 7/1      | 7/1    | 7/1      | -      | -      | 3.5/2   | -
i64->f64,f64->i64 512          | 4/1    | -      | 4/0.5    | 4/1    | 4/0.5    | -      | -      | 3.5/2   | -
f32->f64,f64->f32 512          | 7/1    | -      | 7/1      | 7/1    | 7/1      | -      | -      | 6/2     | -
load i64 scalar                | 5/0.33 | -      | 5/0.5    | -      | 5/0.5    | 5/0.33 | -      | 5/0.33  | -
load f32 128                   | 7/0.33 | -      | 6/0.5    | -      | 6/0.5    | 8/0.5  | -      | 8/0.5   | -
load f32 256                   | 8/0.33 | -      | 7/0.5    | -      | 7/0.5    | 8/0.5  | -      | 8/0.5   | -
load f32 512                   | 8/0.33 | -      | 8/0.5    | -      | 8/0.5    | -      | -      | 8/0.5   | -
""",  # noqa: E501
    "aarch64": """
add,sub i32,i64 scalar                                       | 1/0.33 | 1/0.25 | 1/0.17
mul i32 scalar                                               | 2/1    | 2/0.5  | 2/0.5
div i32 scalar small,large                                   | 12/5   | 12/5   | 12/12
mul i64 scalar                                               | 4/3    | 2/0.5  | 2/0.5
div i64 scalar small,large                                   | 20/5   | 20/5   | 20/20
add,sub i32,i64,f32,f64 128                                  | 2/0.5  | 2/0.25 | 2/0.25
mul i32 128                                                  | 5/2    | 4/0.5  | 4/0.5
add,sub f32,f64 scalar                                       | 2/0.5  | 2/0.25 | 2/0.25
mul f32,f64 scalar,128                                       | 3/0.5  | 3/0.25 | 3/0.25
fma f32,f64 scalar,128                                       | 4/0.5  | 4/0.25 | 2/0.25
div f32 scalar simple,full                                   | 10/7   | 10/3.5 | 10/1
sqrt f32 scalar simple,full                                  | 10/7   | 10/3.5 | 9/1
div f64 scalar simple,full                                   | 15/7   | 15/3.5 | 15/4
sqrt f64 scalar simple,full                                  | 17/7   | 16/3.5 | 16/4
div f32 128 simple,full                                      | 10/7   | 10/3.5 | 10/5
sqrt f32 128 simple,full                                     | 10/7   | 10/3.5 | 10/4.5
div f64 128 simple,full                                      | 15/7   | 15/3.5 | 15/7
sqrt f64 128 simple,full                                     | 17/7   | 16/3.5 | 16/7.5
i32->f32,f32->i32,i32->f64,f64->i32,i64->f64,f64->i64 scalar | 5/1    | 3/1    | 3/1
f32->f64,f64->f32 scalar                                     | 3/0.5  | 3/0.5  | 3/0.5
i32->f32,f32->i32 128                                        | 4/2    | 4/1    | 4/1
i64->f64,f64->i64,f32->f64,f64->f32 128                      | 3/1    | 3/0.5  | 3/0.5
load i64 scalar                                              | 4/0.5  | 4/0.33 | 4/0.33
load f32 128                                                 | 5/0.5  | 6/0.33 | 6/0.33
""",
}


@functools.cache
def cores(architecture: str) -> tuple[Core, ...]:
    """Return the columns for an architecture (``x86_64``, ``aarch64``); none for others."""
    rows = [line.split("|") for line in _TABLES.get(architecture, "").strip().splitlines()]
    return tuple(
        Core(name, source, model, dict(_column(rows, at)))
        for at, (name, source, model) in enumerate(_COLUMNS.get(architecture, ()), start=1)
    )


def _column(rows: list[list[str]], at: int) -> list[tuple[str, Figures]]:
    """Return the figures of one column by row, without the unknown ones."""
    return [
        (name, _figures(cells[at].strip()))
        for cells in rows
        if cells[at].strip() != "-"
        for name in _names(cells[0])
    ]


def _names(pattern: str) -> list[str]:
    """Return the rows that ``add,sub i32 128`` stands for."""
    words = [word.split(",") for word in pattern.split()]
    return [" ".join(chosen) for chosen in itertools.product(*words)]


def _figures(cell: str) -> Figures:
    latency, _, throughput = cell.partition("/")
    return Figures(_cycles(latency), _cycles(throughput))


def _cycles(text: str) -> float | None:
    return None if text == "-" else float(text)
