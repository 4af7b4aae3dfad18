"""What a diagnosis says, as plain values: of a log, or of the document of an earlier diagnosis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.json_checks import array, count, mapping, words
from convprof.json_records import record, records
from convprof.studies.diagnose.answer import answer
from convprof.studies.diagnose.finding import Finding
from convprof.studies.diagnose.program_time import ProgramTime
from convprof.studies.diagnose.rows import read_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.logs.operation import Reading
    from convprof.studies.answer import Answer
    from convprof.studies.diagnose.rows import Row


@dataclass(frozen=True, slots=True)
class Library:
    """A process that used a library, as the log says it."""

    library: str
    version: str = ""
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """Counts of what was read; see `logs.operation.Reading`."""

    files: tuple[str, ...]
    lines: int
    calls: int
    foreign: int
    messages: int
    nested: int
    unread: int
    processes: tuple[Library, ...]

    @classmethod
    def of(cls, reading: Reading, files: Sequence[str]) -> Log:
        """Return the counts of the logs that were read."""
        return cls(
            tuple(files),
            reading.lines,
            reading.calls,
            reading.foreign,
            reading.messages,
            reading.nested,
            reading.unread,
            tuple(Library(p.library, p.version, p.threads) for p in reading.processes),
        )


@dataclass(frozen=True)
class DiagnosisResult:
    """The rows, the one with the most time at stake first, and what they show."""

    rows: Sequence[Row]
    findings: Sequence[Finding]
    """The finding about the most time first."""
    log: Log
    threads: int
    """The threads whose ceilings apply."""
    program: ProgramTime | None = None
    """The run that wrote the logs, if it is known."""
    not_measured: Sequence[str] = ()
    """Why problems of the log, or some ways of computing them, were not measured."""

    @property
    def measured(self) -> bool:
        """Whether a faster way of any row was measured."""
        return any(row.faster is not None for row in self.rows)

    @property
    def total_s(self) -> float:
        """The time of all calls and creations."""
        return math.fsum(row.total_s for row in self.rows)

    @property
    def lost_s(self) -> float:
        """The time over the ceilings, of the rows where that is known."""
        return math.fsum(row.lost_s or 0.0 for row in self.rows)

    @property
    def saved_s(self) -> float | None:
        """What the fastest ways save in the program; None if nothing was measured."""
        saved = [row.saved_s for row in self.rows if row.saved_s is not None]
        return math.fsum(saved) if saved else None

    def answer(self) -> Answer | None:
        """Return how much is lost, where most, and what to do first."""
        return answer(self.rows, self.findings, self.log.files)

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the document."""
        last = self.answer()
        return {
            "program": None if self.program is None else self.program.to_json(),
            "log": self.log,
            "total_s": self.total_s,
            "lost_s": self.lost_s,
            "saved_s": self.saved_s,
            "rows": [row.to_json() for row in self.rows],
            "findings": [finding.to_json() for finding in self.findings],
            "not_measured": list(self.not_measured),
            "answer": last.to_json() if last else None,
        }


def read(fields: dict[str, Any]) -> DiagnosisResult:
    """Return the diagnosis of a document; InputError says what is wrong with it."""
    threads = count(mapping(fields.get("settings")).get("threads"))
    program = fields.get("program")
    return DiagnosisResult(
        rows=[read_row(mapping(row), threads) for row in array(fields.get("rows"))],
        findings=records(Finding, fields.get("findings")),
        log=record(Log, fields.get("log")),
        threads=threads,
        program=None if program is None else ProgramTime.read(mapping(program)),
        not_measured=[words(text) for text in array(fields.get("not_measured", []))],
    )
