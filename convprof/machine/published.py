"""What the literature says that instructions cost on known cores, to be laid beside measurements.

``-`` is unknown. Latency / reciprocal throughput in core cycles, for forms with registers; a range
where they depend on operands, on the port, or on the form. Each column says how far it was
checked: floating-point latencies of four x86-64 cores against LLVM's scheduling models, the rest
not yet against a source.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

CHECKED = "floating-point latencies as in LLVM's scheduling model; other figures unverified"
UNVERIFIED = "general literature, unverified"

Range = tuple[float, float]
"""Least and greatest value; equal where there is only one."""


@dataclass(frozen=True)
class Figures:
    """Cycles, each None where not known."""

    latency: Range | None
    reciprocal_throughput: Range | None


@dataclass(frozen=True)
class Core:
    """One column: a core and where its figures come from."""

    name: str
    architecture: str
    source: str
    figures: dict[str, Figures]
    """By the name of the row."""


_CORES = (
    ("Golden Cove", "x86_64", CHECKED),
    ("Ice Lake client", "x86_64", CHECKED),
    ("Skylake-X", "x86_64", CHECKED),
    ("Zen 3", "x86_64", UNVERIFIED),
    ("Zen 4", "x86_64", CHECKED),
    ("Neoverse V1", "aarch64", UNVERIFIED),
)

# Rows as `Key.name` has them; commas stand for several. FMA through the addend. Conversions by
# single instructions, so that scalar ones between general and vector registers have no latency.
_TABLE = """
row                                | Golden Cove  | Ice Lake cl. | Skylake-X    | Zen 3      | Zen 4      | V1
add,sub i32,i64 scalar             | 1/0.2        | 1/0.25       | 1/0.25       | 1/0.25     | 1/0.25     | 1/0.25
mul i32,i64 scalar                 | 3/1          | 3/1          | 3/1          | 3/1        | 3/1        | 2/0.5
add,sub i32,i64 128                | 1/0.33       | 1/0.33       | 1/0.33       | 1/0.25     | 1/0.25     | 2/0.25
add,sub i32,i64 256                | 1/0.33       | 1/0.33       | 1/0.33       | 1/0.25     | 1/0.25     | -
add,sub i32,i64 512                | 1/0.5        | 1/0.5        | 1/0.5        | -          | 1/0.5      | -
mul i32 128                        | 10/1         | 10/1         | 10/1         | 3/0.5      | 3/0.5      | 4/0.5
mul i32 256                        | 10/1         | 10/1         | 10/1         | 3/0.5      | 3/0.5      | -
mul i32 512                        | 10/1         | 10/2         | 10/1         | -          | 3/1        | -
mul i64 128,256                    | 15/1.5       | 15/1.5       | 15/1.5       | -          | 3/0.5      | -
mul i64 512                        | 15/1.5       | 15/3         | 15/1.5       | -          | 3/1        | -
add,sub f32,f64 scalar,128         | 2-3/0.5      | 4/0.5        | 4/0.5        | 3/0.5      | 3/0.5      | 2/0.25
add,sub f32,f64 256                | 2-3/0.5      | 4/0.5        | 4/0.5        | 3/0.5      | 3/0.5      | -
add,sub f32,f64 512                | 3-4/0.5      | 4/1          | 4/0.5        | -          | 3/1        | -
mul f32,f64 scalar,128             | 4/0.5        | 4/0.5        | 4/0.5        | 3/0.5      | 3/0.5      | 3/0.25
mul f32,f64 256                    | 4/0.5        | 4/0.5        | 4/0.5        | 3/0.5      | 3/0.5      | -
mul f32,f64 512                    | 4/0.5        | 4/1          | 4/0.5        | -          | 3/1        | -
fma f32,f64 scalar,128             | 4/0.5        | 4/0.5        | 4/0.5        | 4/0.5      | 4/0.5      | 2/0.25
fma f32,f64 256                    | 4/0.5        | 4/0.5        | 4/0.5        | 4/0.5      | 4/0.5      | -
fma f32,f64 512                    | 4/0.5        | 4/1          | 4/0.5        | -          | 4/1        | -
div f32 scalar,128 simple,full     | 11/3         | 11/3         | 11/3         | 10-11/3-3.5 | 10-11/3-3.5 | 7-10/-
div f32 256 simple,full            | 11/5         | 11/5         | 11/5         | 10-11/3-3.5 | 10-11/3-3.5 | -
div f32 512 simple,full            | 17-18/10     | 17-18/10     | 17-18/10     | -          | 10-11/6-7  | -
div f64 scalar,128 simple,full     | 13-14/4      | 13-14/4      | 13-14/4      | 13/4.5-5   | 13/4.5-5   | 7-15/-
div f64 256 simple,full            | 13-15/8      | 13-15/8      | 13-15/8      | 13/4.5-5   | 13/4.5-5   | -
div f64 512 simple,full            | 22-24/16     | 22-24/16     | 22-24/16     | -          | 13/9-10    | -
sqrt f32 scalar,128 simple,full    | 12/3         | 12/3         | 12/3         | 14-15/5    | 14-15/5    | 7-10/-
sqrt f32 256 simple,full           | 12/6         | 12/6         | 12/6         | 14-15/5    | 14-15/5    | -
sqrt f32 512 simple,full           | 19-20/12     | 19-20/12     | 19-20/12     | -          | 14-15/10   | -
sqrt f64 scalar,128 full           | 15-19/4.5-6  | 15-19/4.5-6  | 15-19/4.5-6  | 20-21/9    | 20-21/9    | 7-16/-
sqrt f64 256 full                  | 15-19/9-12   | 15-19/9-12   | 15-19/9-12   | 20-21/9    | 20-21/9    | -
sqrt f64 512 full                  | 31-32/18-24  | 31-32/18-24  | 31-32/18-24  | -          | 20-21/18   | -
i32->f32,f32->i32 128              | 4/0.5        | 4/0.5        | 4/0.5        | 3/0.5      | 3/0.5      | 4/1
i32->f32,f32->i32 256              | 4/0.5        | 4/0.5        | 4/0.5        | 3/0.5      | 3/0.5      | -
i32->f32,f32->i32 512              | 4/0.5        | 4/1          | 4/0.5        | -          | 3/1        | -
i64->f64,f64->i64 128              | 4/0.5        | 4/0.5        | 4/0.5        | -          | -          | 3/0.5
i64->f64,f64->i64 256              | 4/0.5        | 4/0.5        | 4/0.5        | -          | -          | -
i64->f64,f64->i64 512              | 4/0.5        | 4/1          | 4/0.5        | -          | -          | -
i32->f64,f64->i32 128              | 5/1          | 5/1          | 5/1          | -          | -          | -
i32->f64,f64->i32 256,512          | 7/1          | 7/1          | 7/1          | -          | -          | -
f32->f64,f64->f32 scalar           | 5/1          | 5/1          | 5/1          | -          | -          | 3/0.5
f32->f64,f64->f32 128              | 5/1          | 5/1          | 5/1          | -          | -          | -
f32->f64,f64->f32 256,512          | 7/1          | 7/1          | 7/1          | -          | -          | -
load i64 scalar                    | 5/0.33       | 5/0.5        | 4-5/0.5      | 4/0.33     | 4/0.33     | 4/0.33
load f32 128                       | -/0.33       | -/0.5        | -/0.5        | -/0.5      | -/0.5      | -/0.33
load f32 256                       | -/0.33       | -/0.5        | -/0.5        | -/0.5      | -/0.5      | -
load f32 512                       | -/0.5        | -/0.5        | -/0.5        | -          | -/1        | -
"""  # noqa: E501


@functools.cache
def cores(architecture: str) -> tuple[Core, ...]:
    """Return the columns for an architecture (``x86_64``, ``aarch64``); none for others."""
    found = []
    rows = [line.split("|") for line in _TABLE.strip().splitlines()[1:]]
    for column, (name, arch, source) in enumerate(_CORES, start=1):
        if arch == architecture:
            figures = {
                row: _figures(cells[column])
                for cells in rows
                for row in _names(cells[0])
                if cells[column].strip() != "-"
            }
            found.append(Core(name, arch, source, figures))
    return tuple(found)


def _names(pattern: str) -> list[str]:
    """Return the rows that ``add,sub i32 128`` stands for."""
    return [" ".join(words) for words in itertools.product(*map(_alternatives, pattern.split()))]


def _alternatives(word: str) -> list[str]:
    return word.split(",")


def _figures(cell: str) -> Figures:
    latency, _, throughput = cell.strip().partition("/")
    return Figures(_range(latency), _range(throughput))


def _range(text: str) -> Range | None:
    """Return ``3`` as (3, 3) and ``2-3`` as (2, 3); None for ``-``."""
    if text == "-":
        return None
    low, _, high = text.partition("-")
    return float(low), float(high or low)
