"""Read logs, then compare their operations with the ceilings of this machine."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convprof.dtypes import F32
from convprof.logs.operation import Reading
from convprof.logs.read import read
from convprof.results import envelope
from convprof.studies import document
from convprof.studies.diagnose import findings as rules
from convprof.studies.diagnose.answer import answer
from convprof.studies.diagnose.faster_ways import FasterWays
from convprof.studies.diagnose.findings import element_types
from convprof.studies.diagnose.groups import Groups
from convprof.studies.diagnose.rows import levels_needed, row_of, types_with_peak, with_ceilings
from convprof.studies.diagnose.timeline import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.logs.model_nodes import ModelNodes
    from convprof.logs.operation import Call
    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.events import Event
    from convprof.measure.session import Settings
    from convprof.studies.answer import Answer
    from convprof.studies.diagnose.finding import Finding
    from convprof.studies.diagnose.program_time import ProgramTime
    from convprof.studies.diagnose.rows import Row
    from convprof.studies.timeline import Track

_REPORT_EVERY = 200_000


class Diagnosis:
    """The rows and findings of some logs.

    Iterate over ``reading``, then over ``ceilings``, and over ``measuring`` for faster ways.
    """

    program: ProgramTime | None = None
    """The run that wrote the logs, if it is known."""

    def __init__(
        self,
        paths: Sequence[str],
        machine: MachineModel,
        threads: int | None = None,
        *,
        model: ModelNodes | None = None,
        every_file: bool = True,
        timeline: bool = False,
    ) -> None:
        """``threads``: of the program; None: as many as the logs say, or all cores.

        ``model``: the nodes of the model that ran. ``every_file``: a file without an operation is
        an error. ``timeline``: calls are kept one by one, for ``tracks``.
        """
        self.paths = tuple(paths)
        self.machine = machine
        self.log = Reading()
        self.interrupted = False
        self._threads = threads
        self._model = model
        self._every_file = every_file
        self._recorder = Recorder() if timeline else None
        self._groups = Groups()
        self._rows: list[Row] | None = None
        self._faster: FasterWays | None = None

    def reading(self) -> Iterator[str]:
        """Read the logs; yield how far it is."""
        yield f"reading {', '.join(self.paths[:3])}"
        for number, call in enumerate(self._calls(), 1):
            self._groups.add(call)
            if self._recorder is not None:
                self._recorder.add(call)
            if number % _REPORT_EVERY == 0:
                yield f"reading: {number:,} calls"

    def _calls(self) -> Iterator[Call]:
        return read(self.paths, self.log, model=self._model, every_file=self._every_file)

    @property
    def cores(self) -> int:
        """The cores that this process may use."""
        return self.machine.facts.topology.usable_cores or 1

    @property
    def threads(self) -> int:
        """The threads whose ceilings apply: no more than this machine's CPUs."""
        threads = self._threads or self.log.threads or self.cores
        return min(threads, self.machine.facts.topology.usable_cpus or 1)

    @property
    def compares(self) -> bool:
        """Whether a ceiling says something about some operation."""
        rows = self.rows()
        return bool(types_with_peak(rows) or element_types.large_bf16(rows))

    def ceilings(self) -> Iterator[str]:
        """Measure what the model lacks; yield what is measured next."""
        rows = self.rows()
        for dtype in dict.fromkeys([*types_with_peak(rows), F32.name]):
            if self.machine.peak(dtype, self.threads) is None:
                yield f"measuring this machine: the {dtype} peak on {self.threads} threads"
                self.machine.measure_peaks(dtype, [self.threads])
        for row in rows:
            for level in levels_needed(row, self.machine):
                yield f"measuring this machine: the bandwidth of {level}"
                self.machine.measure_bandwidth(self.threads, level)
        self._rows = None

    def measuring(self, top: int, settings: Settings, watch: NoiseWatch) -> Iterator[Event]:
        """Measure faster ways for the first ``top`` problems; yield what happens."""
        self._faster = FasterWays(self.machine, settings, watch)
        problems = [row for row in self.rows() if self._faster.can_measure(row)]
        try:
            yield from self._faster.events(problems[:top])
        finally:
            self._rows = None

    @property
    def measured(self) -> bool:
        """Whether faster ways were measured."""
        return self._faster is not None

    @property
    def not_measured(self) -> list[str]:
        """Why problems of the log were not measured."""
        return [] if self._faster is None else self._faster.refused

    def rows(self) -> list[Row]:
        """Return a row per operation, the one with the most time at stake first."""
        if self._rows is None:
            groups = self._groups.all()
            total = math.fsum(group.total_s for group in groups)
            bare = (row_of(group, total, self.threads) for group in groups)
            rows = [self._with_faster(with_ceilings(row, self.machine)) for row in bare]
            self._rows = sorted(rows, key=lambda row: (-row.at_stake_s, -row.total_s))
        return self._rows

    def _with_faster(self, row: Row) -> Row:
        return row if self._faster is None else replace(row, faster=self._faster.of(row))

    @property
    def total_s(self) -> float:
        """The time of all calls and creations."""
        return math.fsum(row.total_s for row in self.rows())

    @property
    def lost_s(self) -> float:
        """The time over the ceilings, of the rows where that is known."""
        return math.fsum(row.lost_s or 0.0 for row in self.rows())

    @property
    def saved_s(self) -> float | None:
        """What the fastest ways save in the program; None if nothing was measured."""
        saved = [row.saved_s for row in self.rows() if row.saved_s is not None]
        return math.fsum(saved) if saved else None

    def tracks(self) -> list[Track]:
        """Return the calls on a time axis; empty unless they were kept."""
        if self._recorder is None:
            return []
        dtypes = types_with_peak(self.rows())
        peaks = {name: self.machine.peak(name, self.threads) for name in dtypes}
        known = {name: peak.flop_per_s for name, peak in peaks.items() if peak is not None}
        return self._recorder.tracks(self.rows(), known)

    def f32_peak(self) -> float | None:
        """Return the f32 peak on as many threads; None if it was not measured."""
        peak = self.machine.peak(F32.name, self.threads)
        return None if peak is None else peak.flop_per_s

    def findings(self) -> list[Finding]:
        """Return what the log shows, the finding about the most time first."""
        return rules.findings(self.rows(), self.log, cores=self.cores, f32_peak=self.f32_peak())

    def answer(self) -> Answer | None:
        """Return how much is lost, and where most."""
        return answer(self.rows(), self.findings())

    def to_json(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the document in JSON types: SI units, null for unknown, never NaN."""
        log, last = self.log, self.answer()
        dtypes = dict.fromkeys([*types_with_peak(self.rows()), F32.name])
        peaks = [self.machine.peak(dtype, self.threads) for dtype in dtypes]
        return envelope(
            "diagnosis",
            machine=document.machine(),
            settings={**settings, "threads": self.threads},
            ceilings={
                "peaks": [peak for peak in peaks if peak is not None],
                "bandwidths": self.machine.bandwidths([self.threads]),
            },
            program=None if self.program is None else self.program.to_json(),
            log={
                "files": self.paths,
                "lines": log.lines,
                "calls": log.calls,
                "foreign": log.foreign,
                "messages": log.messages,
                "nested": log.nested,
                "unread": log.unread,
                "processes": log.processes,
            },
            total_s=self.total_s,
            lost_s=self.lost_s,
            saved_s=self.saved_s,
            rows=[row.to_json() for row in self.rows()],
            findings=[finding.to_json() for finding in self.findings()],
            answer=last.to_json() if last else None,
            interrupted=self.interrupted,
        )
