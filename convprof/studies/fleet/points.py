"""The points of a sweep as a job: each one is a task on one host, and a line of the file.

The file is the one of ``convprof sweep``. Each line names its host. Of the control, which every
host measures, the first result is the point; the other ones are marked.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from convprof.errors import ConvprofError, InputError
from convprof.json_checks import count, mapping, text, words
from convprof.measure.report import describe
from convprof.results import envelope, plain
from convprof.studies import reading
from convprof.studies.fleet import control, reply
from convprof.studies.fleet.job import Job
from convprof.studies.fleet.records import further_options
from convprof.studies.fleet.request import Point, Request
from convprof.studies.run_journal import Kept
from convprof.studies.sweep.plan import KIND, check_same, check_shown
from convprof.studies.sweep.points import row_of
from convprof.studies.sweep.range import THREADS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Document, Measurements
    from convprof.studies.fleet.cluster import Answer, Key
    from convprof.studies.fleet.job import Terms
    from convprof.studies.journal import Journal, Record
    from convprof.studies.sweep.range import Range


class Points(Job):
    """The points of a range, and the file that gets them."""

    def __init__(self, journal: Journal, range_: Range, terms: Terms, argv: Sequence[str]) -> None:
        """``argv``: the words of this command, for the header of the file."""
        super().__init__(journal, terms)
        self._range, self._argv = range_, argv
        self._measured: set[int] = set()
        """The points in the file."""
        self.failures: list[str] = []
        """Why points have no result: ``size 64 on node1: ...``."""
        self.statuses: set[str] = set()
        """Of the measurements."""

    @property
    def size(self) -> int:
        """The number of points."""
        return len(self._range.values)

    @property
    def machine(self) -> str | None:
        """The key of the machine in the header."""
        header = self.journal.header
        return None if header is None else text(mapping(header.get("machine")).get("key"))

    def identity(self) -> Record:
        """Return what must be the same for a file to be continued."""
        terms = self.terms
        return envelope(KIND, sweep=self._range.to_json(), options=dict(terms.options), by=terms.by)

    def check_file(self) -> None:
        """Raise InputError unless the file is new, or of the same command."""
        if self.journal.header is None:
            return
        known = self.identity()
        check_same(self.journal, known)
        further = further_options(self.journal, known)
        if further is not None:
            raise self.journal.damaged(further)

    def remark(self) -> str | None:
        """Return how far the hosts differ at the control; None with a single host."""
        middle = control.index_of(self.size)
        times = {
            record["host"]: control.times_of(self._measurements(record))
            for record in self.journal.records()
            if record["index"] == middle
        }
        return control.remark(f"{self._range.over} {self._range.values[middle]}", times)

    def _measurements(self, record: Record) -> Measurements:
        """Return the measurements of a line; InputError for nonsense."""
        return Kept(record, (self.journal.header or {}).get("settings")).measurements

    def finished(self) -> set[Key]:
        """Return the points in the file, and their hosts."""
        finished: set[Key] = set()
        for number, record in enumerate(self.journal.records(), 2):
            try:
                index, host = count(record.get("index"), 0), text(record.get("host"))
                self._check(record, index)
            except (InputError, LookupError, TypeError, ValueError) as error:
                raise self.journal.damaged(f"line {number} is damaged: {error}") from None
            finished.add((host, index))
            self._take(record)
        return finished

    def _take(self, record: Record) -> None:
        self._measured.add(record["index"])
        self.statuses |= {measurement["status"] for measurement in record["measurements"]}

    def _check(self, record: Record, index: int) -> list[dict[str, Any]]:
        """Return the measurements of a point; InputError unless they are of this sweep."""
        if index >= self.size or record.get("x") != self._range.values[index]:
            raise InputError("it is another point")
        measurements = self._measurements(record)
        expected = describe(self._range.problem(record["x"]))
        for measurement in measurements:
            problem = measurement.problem
            if any(problem.get(name) != expected[name] for name in ("kind", "descriptor")):
                raise InputError(f"it is of another problem: {problem['descriptor']}")
        if not len(measurements):
            raise InputError("there is no measurement in it")
        row_of(record)
        checked: list[dict[str, Any]] = plain(list(measurements))
        return checked

    def request(self, key: Key) -> str:
        """Return the argument of a task: one point."""
        host, index = key
        range_, terms = self._range, self.terms
        point = Point(range_.over, range_.values[index])
        base = describe(range_.base)
        return Request(base, host, terms.by, terms.limit_s, terms.options, point).to_json()

    def write(self, answers: Sequence[Answer]) -> None:
        """Write a line for each point that has a result; the other ones are failures."""
        lines = []
        for answer in answers:
            try:
                begun, line = self._line(answer)
            except (InputError, LookupError, TypeError, ValueError) as error:
                self._fail(answer, f"the host answered without sense: {error}")
                continue
            except ConvprofError as error:
                self._fail(answer, str(error))
                continue
            if self.journal.header is None:
                self.journal.begin(self._header(begun))
            if begun.machine["key"] != self.machine:
                self._fail(answer, "it is another machine than the one of the file")
                continue
            self._take(line)
            lines.append(line)
        self.journal.append_all(lines)

    def _fail(self, answer: Answer, reason: str) -> None:
        host, index = answer.key
        self.failures.append(f"{self._range.over} {self._range.values[index]} on {host}: {reason}")

    def _line(self, answer: Answer) -> tuple[Document, Record]:
        """Return what the header of a host says, and the line of a point.

        ConvprofError if the host says why there is no point, InputError for nonsense.
        """
        host, index = answer.key
        begun, record = self._reply(answer)
        return begun, {
            "index": index,
            "x": record.get("x"),
            "host": host,
            **({"control": True} if index in self._measured else {}),
            "state": reading.state(record.get("state", {})),
            "measurements": self._check(record, index),
            "comparisons": reading.objects(record.get("comparisons", [])),
        }

    def _reply(self, answer: Answer) -> tuple[Document, Record]:
        """Return what the header of a host says, and its point."""
        if answer.error is not None:
            raise ConvprofError(answer.error)
        status, fields = reply.content(answer.data)
        if status != "finished":
            raise ConvprofError(words(fields.get("reason")))
        document = mapping(fields.get("document"))
        header = mapping(document.get("header"))
        check_shown(header)
        header_range = mapping(header["sweep"])
        if (header_range.get("over"), header_range.get("values")) != self._requested(answer.key[1]):
            raise InputError("it is another point")
        begun = reading.head(header)
        reply.check_version(begun, any_version=self.terms.any_version)
        return begun, mapping(document.get("point"))

    def _requested(self, index: int) -> tuple[str, list[int]]:
        return self._range.over, [self._range.values[index]]

    def _header(self, begun: Document) -> Record:
        """Return the first line of the file, of the first host's header."""
        range_, known = self._range, self.identity()
        settings = {**begun.settings, "argv": list(self._argv)}
        if range_.over == THREADS:
            settings["threads"] = list(range_.values)
        return {
            **known,
            "started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "machine": begun.machine,
            "ceilings": begun.ceilings,
            "sweep": {**known["sweep"], "meaning": range_.meaning},
            "settings": settings,
        }
