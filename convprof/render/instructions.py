"""The output of ``convprof instructions``: costs in cycles, next to published figures."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.render.columns import Column, print_table
from convprof.render.console import say
from convprof.render.text_tables import markdown_table
from convprof.studies.answer import Answer
from convprof.studies.evidence import NOISE
from convprof.studies.instructions import Resemblance, is_far, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.studies.instructions import Instructions, Missing, Row

KERNELS = frozenset({"fma", "dot", "matrix", "load"})
"""Operations of the inner loops of convolutions and matrix products."""
UNKNOWN = "–"  # noqa: RUF001
MOST_NAMES = 3
"""The most rows that are named for one reason; further rows are counted."""

SAME_DISTANCE = 0.005
"""The largest usual difference between two runs."""

SOURCES = {
    "pmu": "cycles: hardware counters",
    "calibrated": "cycles: time x core clock, measured with each loop, under the same vectors",
}
LEGEND = (
    "latency: cycles until a dependent instruction can start · each: cycles per instruction, "
    "independent ones (reciprocal throughput) · ops: 1 multiply-add = 2"
)
_FIRST_RANK_OF_CORES = 4


@dataclass(frozen=True)
class View:
    """The data of the output."""

    rows: Sequence[Row]
    missing: Sequence[Missing]
    cores: Sequence[tuple[str, str]]
    """Name and source."""
    alike: Sequence[Resemblance]
    """The most similar cores first."""
    cycle_source: str | None

    @classmethod
    def of(cls, study: Instructions) -> View:
        """Take the results of a study so far."""
        rows = study.rows()
        cores = [(core.name, core.source) for core in study.cores]
        alike = study.resemblances(rows)
        return cls(rows, study.missing, cores, alike, study.cycle_source)

    def columns(self) -> list[Column[Row]]:
        """Return the columns; if not all fit, the most similar cores are dropped last."""
        order = [one.core for one in self.alike]
        order += [name for name, _ in self.cores if name not in order]
        return [
            Column("instruction", lambda row: row.name, 1, "left"),
            Column("mnemonic", lambda row: row.mnemonic, 20, "left"),
            Column("latency", lambda row: _cycles(row.latency), 2),
            Column("each", lambda row: _cycles(row.reciprocal_throughput), 2),
            Column("stable", _stable, 3, "left", style=lambda row: "" if row.stable else "yellow"),
            Column("elements/cycle", lambda row: _rate(row.elements_per_cycle), 21),
            Column("ops/cycle", lambda row: _rate(row.ops_per_cycle), 5),
            *(
                Column(name, _published(name), _FIRST_RANK_OF_CORES + 2 * order.index(name))
                for name, _ in self.cores
            ),
        ]

    def groups(self) -> list[tuple[str, list[Row]]]:
        """Return the rows by kind, with titles."""
        by_kind: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            by_kind[_group(row)].append(row)
        return list(by_kind.items())

    def interesting(self) -> list[tuple[str, list[Row]]]:
        """Return the rows that kernels depend on, and rows far from the nearest core's figures."""
        needed = [row for row in self.rows if row.operation in KERNELS]
        groups = [("what kernels depend on", needed)]
        if self.alike:
            core = self.alike[0].core
            unlike = [row for row in self.rows if row not in needed and is_far(row, core)]
            groups.append((f"unlike {core} by more than 25 %", unlike))
        groups = [(title, rows) for title, rows in groups if rows]
        return groups or self.groups()

    def footer(self) -> list[str]:
        """Return the lines below the tables."""
        lines = [LEGEND, SOURCES.get(self.cycle_source or "", "cycles: unknown")]
        sources: dict[str, list[str]] = defaultdict(list)
        for name, source in self.cores:
            sources[source].append(name)
        lines += [
            f"published (latency / each): {', '.join(names)}: {source}"
            for source, names in sources.items()
        ]
        notes: dict[str, list[str]] = defaultdict(list)
        for row in self.rows:
            if row.note:
                notes[row.note].append(row.name)
        lines += [f"latency of {_some(names)}: {note}" for note, names in notes.items()]
        reasons: dict[str, list[str]] = defaultdict(list)
        for absent in self.missing:
            reasons[absent.reason].append(absent.name)
        lines += [f"not measured: {_some(names)}: {why}" for why, names in reasons.items()]
        return [*lines, self.conclusion()]

    def conclusion(self) -> str:
        """Return which core this machine resembles."""
        if not self.alike:
            return "resembles: unknown, no published figures for these rows"
        nearest = self.alike[0]
        how = (
            f"{nearest.agreeing} of {nearest.rows} rows agree within 10 %, {nearest.far} differ by "
            f"more than 25 %, the median by {100 * nearest.distance:.1f} %"
        )
        if verdict(self.alike) is None:
            return f"resembles: unlike all of them; nearest is {nearest.core} ({how})"
        tied = [one.core for one in self.alike[1:] if _equal(one, nearest)]
        others = f" and equally {', '.join(tied)}" if tied else ""
        return f"resembles: {nearest.core}{others} ({how})"


def _equal(one: Resemblance, other: Resemblance) -> bool:
    """Whether the figures of these rows do not distinguish two cores."""
    near = abs(one.distance - other.distance) < SAME_DISTANCE
    same = (one.agreeing, one.far, one.rows) == (other.agreeing, other.far, other.rows)
    return same and near


def instructions_report(console: Console, view: View, *, everything: bool = True) -> None:
    """Print the conclusion, a table per kind of instruction, and the meaning of the columns.

    Without ``everything``, print only rows that kernels depend on and rows that differ from the
    nearest core.
    """
    columns = view.columns()
    *lines, conclusion = view.footer()
    say(console, conclusion, style="bold")
    for title, rows in view.groups() if everything else view.interesting():
        console.print()
        print_table(console, f"{title}, in core cycles", columns, rows)
    console.print()
    say(console, *(lines if everything else lines[:2]), style="dim")


def answer(view: View, *, everything: bool) -> Answer | None:
    """Return the chains that keep the core busy, and the nearest core; None without rows.

    Nothing is concluded from a row whose repeats do not agree.
    """
    if not view.rows:
        return None
    every = [row for row in view.rows if row.operation == "fma" and row.dtype == "f32"]
    sums = [row for row in every if row.stable]
    widest = max(sums, key=lambda row: row.lanes, default=None)
    sentences = []
    if every and not sums:
        sentences.append(f"No conclusion: the repeats of {every[-1].name} do not agree.")
    if widest is not None and widest.latency and widest.reciprocal_throughput:
        chains = math.ceil(widest.latency / widest.reciprocal_throughput / NOISE)
        sentences.append(
            f"{widest.name} takes {_cycles(widest.latency)} cycles, and one starts every "
            f"{_cycles(widest.reciprocal_throughput)} cycles: {chains} independent chains of sums "
            f"keep this core busy, at {_rate(widest.ops_per_cycle)} FLOP/cycle."
        )
        sentences += [
            f"{row.name} reaches as many: vectors of {widest.bits} bits bring no more FLOPs here."
            for row in sums
            if row.bits and widest.bits and 2 * row.bits == widest.bits
            if (row.ops_per_cycle or 0) * NOISE > (widest.ops_per_cycle or 0)
        ]
    shown = {row.name for _, rows in view.interesting() for row in rows}
    rest = len(view.rows) - len(shown)
    if rest and not everything:
        sentences.append(f"{rest} more row{'s' if rest > 1 else ''}: --all.")
    return Answer(tuple(sentences) or (view.conclusion(),), "convprof study unroll")


def to_csv(view: View) -> str:
    """Return one row per instruction; published figures in one column each."""
    text = io.StringIO()
    plain = ("name", "operation", "source_dtype", "dtype", "bits", "operands", "mnemonic", "lanes",
             "latency", "reciprocal_throughput", "elements_per_cycle", "ops_per_cycle",
             "latency_spread", "throughput_spread", "stable", "passes", "core_hz",
             "note")  # fmt: skip
    figures = ("latency", "reciprocal_throughput")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*plain, *(f"{name}.{f}" for name, _ in view.cores for f in figures)])
    for row in view.rows:
        cells = [_csv_cell(getattr(row, name)) for name in plain]
        for name, _ in view.cores:
            known = row.published.get(name, {})
            cells += ["" if known.get(f) is None else f"{known[f]:g}" for f in figures]
        writer.writerow(cells)
    return text.getvalue()


def to_markdown(view: View) -> str:
    """Return one table per kind of instruction with every column, and the lines below."""
    columns = view.columns()
    parts = []
    for title, rows in view.groups():
        parts.append(f"### {title}, in core cycles\n")
        parts.append(markdown_table(columns, rows))
    return "\n".join([*parts, *(f"- {line}" for line in view.footer())]) + "\n"


def _group(row: Row) -> str:
    if row.operation == "convert":
        return "conversions"
    if row.in_tile_registers:
        return "tile registers"
    if row.operation == "load":
        return "loads from L1"
    if row.operation in {"dot", "matrix"}:
        return "dot products"
    return "integers" if row.dtype.startswith("i") else "floats"


def _cycles(value: float | None) -> str:
    """Two decimals below ten, one above: the digits that are equal from run to run."""
    if value is None:
        return UNKNOWN
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"  # noqa: PLR2004


def _rate(value: float | None) -> str:
    return UNKNOWN if value is None else units.digits(value)


def _stable(row: Row) -> str:
    if row.stable:
        return "yes"
    spreads = [s for s in (row.latency_spread, row.throughput_spread) if s is not None]
    return f"no, ±{50 * max(spreads):.1f} %" if spreads else "no"


def _published(core: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        known = row.published.get(core)
        if known is None:
            return UNKNOWN
        return " / ".join(
            UNKNOWN if known[name] is None else f"{known[name]:g}"
            for name in ("latency", "reciprocal_throughput")
        )

    return cell


def _csv_cell(value: object) -> object:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value


def _some(names: Sequence[str]) -> str:
    rest = len(names) - MOST_NAMES
    listed = ", ".join(names[:MOST_NAMES])
    return f"{listed} and {rest} more" if rest > 0 else listed
