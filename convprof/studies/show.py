"""``show``: results and journals of earlier commands; the files may come from strangers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.errors import InputError
from convprof.json_checks import array, count, decoded, mapping, text, tree
from convprof.machine.ceilings_store import read_peak
from convprof.results import KIND, plain
from convprof.studies import reading, run_answer, run_journal, shortlist, versions
from convprof.studies.compare import (
    dtypes,
    dtypes_answer,
    isas,
    isas_answer,
    layouts,
    layouts_answer,
    peers,
    peers_answer,
)
from convprof.studies.fleet import files as fleet_files
from convprof.studies.fleet import records as fleet_records
from convprof.studies.fleet import table as fleet_table
from convprof.studies.journal import MOST_LINE_BYTES, whole_lines
from convprof.studies.network.probe import PROBE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from convprof.machine.peaks import Peak
    from convprof.results import Document, Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.compare.dtypes import TypeComparison
    from convprof.studies.compare.layouts import LayoutComparison
    from convprof.studies.compare.peers import Standing

MOST_BYTES = 256 << 20
_MOST_PROBLEMS = 1 << 24
_SWEEP = "sweep"
_REORDER = "reorder"
NETWORK = "network"


@dataclass(frozen=True)
class SavedSweep:
    """A sweep: its header, and a record in JSON types for each point."""

    header: dict[str, Any]
    records: list[dict[str, Any]]


@dataclass(frozen=True)
class Saved:
    """What is in one file."""

    source: str
    document: Document
    total: int | None = None
    """For a journal and an unfinished sweep: how many problems the command was about."""
    finished: int = 0
    sweep: SavedSweep | None = None
    """The points of a sweep as its own tables take them."""
    is_whole: bool = True
    """Whether every problem and row is shown."""
    kind: ClassVar[str] = KIND

    @property
    def note(self) -> str | None:
        """A line on a journal: how much of the work is in it."""
        if self.total is None:
            return None
        return f"{self.source}: {self.finished} of {self.total} problems were finished"


@dataclass(frozen=True)
class SavedDocument:
    """A document of another kind than results: its fields, of which only the form is checked."""

    source: str
    kind: str
    fields: dict[str, Any]
    note: ClassVar[str | None] = None


def read(path: str) -> Saved:
    """Return what is in a file; InputError in one line if it is no result."""
    return reading.from_file(path, _read)


def read_any(path: str) -> Saved | SavedDocument:
    """Return what is in a file that any command wrote; InputError in one line for other files."""
    return reading.from_file(path, _read_any)


def _read(file: BinaryIO, shown: str) -> Saved:
    saved = _read_any(file, shown)
    if isinstance(saved, SavedDocument):
        raise InputError(f"it is of the kind {saved.kind!r}, which has no measurements")
    return saved


def _read_any(file: BinaryIO, shown: str) -> Saved | SavedDocument:
    first = file.readline(MOST_LINE_BYTES + 1)
    header = _line(first) if first.startswith(b'{"schema_version"') else None
    if isinstance(header, dict) and "kind" in header:
        if header["kind"] == run_journal.KIND:
            total = count(mapping(header.get("command")).get("problems"))
            return _journal(header, file, shown, total)
        if header["kind"] == _SWEEP:
            total = len(array(mapping(header.get("sweep")).get("values")))
            return _journal(header, file, shown, total)
        if header["kind"] == fleet_records.KIND:
            table = fleet_files.of_file(header, file)
            return SavedDocument(shown, fleet_table.KIND, fleet_table.document(table))
    data = first + file.read(max(0, MOST_BYTES + 1 - len(first)))
    value = mapping(decoded(data, MOST_BYTES))
    if "kind" in value and value["kind"] != KIND:
        versions.of(value)
        return SavedDocument(shown, text(value["kind"]), tree(value))
    content = reading.document(value)
    _check(content)
    return Saved(shown, content)


def _line(data: bytes) -> Any:
    """Return the value of a line; None for a line that is not JSON."""
    try:
        return decoded(data, MOST_LINE_BYTES)
    except InputError:
        return None


def _journal(header: dict[str, Any], file: BinaryIO, shown: str, total: int) -> Saved:
    """Return the lines of a journal, or of a sweep, as one document; ``total``: if complete."""
    version = versions.of(header)
    content = reading.head(header)
    if total > _MOST_PROBLEMS:
        raise InputError("it has far too many problems")
    by_index: dict[int, run_journal.Kept] = {}
    for number, value in enumerate(map(_line, whole_lines(file)), 2):
        try:
            fields = mapping(value)
            if fields.get("control") is True:  # another host has measured the same point
                continue
            kept = run_journal.Kept(versions.upgraded(fields, version), header.get("settings"))
            index = count(kept.index, 0)
        except (InputError, LookupError) as error:
            raise InputError(f"line {number} is damaged: {error}") from None
        if index >= total or index in by_index:
            raise InputError(f"line {number} belongs to no problem of its command")
        by_index[index] = kept
    for _, kept in sorted(by_index.items()):
        content.measurements += kept.measurements
        content.comparisons += kept.comparisons
    content.state = reading.state(kept.state) if by_index else {}
    content.interrupted = len(by_index) < total
    _check(content)
    if header["kind"] != _SWEEP:
        return Saved(shown, content, total, len(by_index))
    sweep = SavedSweep(tree(header), _points(header, by_index))
    if content.interrupted:
        return Saved(shown, content, total, len(by_index), sweep)
    return Saved(shown, content, sweep=sweep)


def _points(header: dict[str, Any], by_index: dict[int, run_journal.Kept]) -> list[dict[str, Any]]:
    """Return the points of a sweep with their values of the variable."""
    values = [count(value) for value in array(mapping(header.get("sweep")).get("values"))]
    return [
        {"x": values[index], "host": kept.host, "measurements": plain(kept.measurements)}
        for index, kept in sorted(by_index.items())
    ]


def _check(document: Document) -> None:
    """Raise InputError unless everything in it can be printed."""
    for measurement in document.measurements:
        reading.check_shown(measurement.problem)


@dataclass(frozen=True)
class Part:
    """What one session measured: a problem in its types, and the conversions timed with it."""

    measurements: list[Measurement]
    layouts: list[LayoutComparison]


def parts(document: Document) -> list[Part]:
    """Return the document's measurements by problem and types, in their order."""
    key_of = problem_keys(document)
    before: tuple[str, ...] = ()
    groups: list[list[Measurement]] = []
    for measurement in document.measurements:
        key = key_of(measurement)
        if key != before and (not groups or key[0] != _REORDER):
            groups.append([])
            before = key
        groups[-1].append(measurement)
    known = list(document.comparisons)
    pairs = [(group, _layouts(known, group)) for group in groups]
    return [Part(group if layouts else _contestants(group), layouts) for group, layouts in pairs]


def problem_keys(document: Document) -> Callable[[Measurement], tuple[str, ...]]:
    """Return what distinguishes the problems of a document.

    Types that were compared are one problem: they were measured in the same session.
    """
    return _shape if types_compared(document) else lambda measurement: measurement.problem_key


def _contestants(group: list[Measurement]) -> list[Measurement]:
    """Return the measurements of a problem without what a plan measured to predict its chains."""
    timed = [m for m in group if m.problem["kind"] != _REORDER or m.status != "ok"]
    return [m for m in timed if not m.strategy.startswith(PROBE)] or group


def _shape(measurement: Measurement) -> tuple[str, ...]:
    return measurement.problem["kind"], measurement.problem["descriptor"]


def _layouts(comparisons: list[dict[str, Any]], group: list[Measurement]) -> list[LayoutComparison]:
    own = [c for c in comparisons if c.get("problem") == group[0].problem]
    return layouts.read(own, group)


def fastest(parts: Sequence[Part]) -> list[Measurement]:
    """Return the fastest measurement of each problem that was measured in no further layout.

    Not of whole networks: their layers are problems of their own.
    """
    best = (shortlist.fastest_of_problem(part.measurements) for part in parts if not part.layouts)
    return [m for m in best if m is not None and m.problem["kind"] != NETWORK]


def answer(document: Document) -> Answer | None:
    """Return the answer of the command that wrote the document."""
    of_types = types_compared(document)
    if of_types:
        return dtypes_answer.answer([each for compared in of_types for each in compared])
    compared = isas.read(list(document.comparisons), list(document.measurements))
    return isas_answer.added(_answer(document), compared)


def _answer(document: Document) -> Answer | None:
    measured, compared = parts(document), standings(document)
    if compared:
        return peers_answer.answer(compared)
    if any(part.layouts for part in measured):
        return layouts_answer.answer([part.layouts for part in measured])
    if len(measured) == 1:
        return run_answer.answer(measured[0].measurements)
    return run_answer.answer_of_many(fastest(measured), len(measured), None)


def standings(document: Document) -> list[Standing]:
    """Return the comparisons with libraries; an empty list where the document has none."""
    return peers.read(list(document.comparisons), list(document.measurements))


def types_compared(document: Document) -> list[list[TypeComparison]]:
    """Return the comparisons of types of each problem; an empty list where there are none."""
    groups: dict[tuple[str, ...], list[TypeComparison]] = {}
    for each in dtypes.read(list(document.comparisons), list(document.measurements)):
        groups.setdefault(_shape(each.b), []).append(each)
    return list(groups.values())


def libraries(document: Document) -> set[str]:
    """Return the names of the strategies in it that compute with a library."""
    from convprof.strategies import registry

    kinds = {m.problem["kind"] for m in document.measurements} & set(registry.KINDS)
    return {s.name for kind in kinds for s in registry.strategies(kind) if s.role.is_peer}


def isa_peaks(document: Document) -> list[Peak]:
    """Return the ceilings of generated kernels, if instruction sets were chosen for them."""
    return [read_peak(item) for item in document.ceilings.get("isa_peaks") or []]
