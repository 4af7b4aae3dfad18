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
from convprof.studies.diagnose.faster_ways import FasterWays
from convprof.studies.diagnose.findings import element_types
from convprof.studies.diagnose.groups import Groups
from convprof.studies.diagnose.result import DiagnosisResult, Log
from convprof.studies.diagnose.rows import levels_needed, row_of, types_with_peak, with_ceilings
from convprof.studies.diagnose.timeline import Recorder
from convprof.studies.history import store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.logs.model_nodes import ModelNodes
    from convprof.logs.operation import Call
    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.events import Event
    from convprof.measure.settings import Settings
    from convprof.studies.diagnose.program_time import ProgramTime
    from convprof.studies.diagnose.rows import Row
    from convprof.studies.timeline import Track

_REPORT_EVERY = 200_000
NOTHING_TO_MEASURE = "no operation of the log is a problem of convprof whose shapes are known"


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
        return read(
            self.paths,
            self.log,
            model=self._model,
            every_file=self._every_file,
            stored=store.document,
        )

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
        if not problems:
            self._faster.refused.append(NOTHING_TO_MEASURE)
        try:
            yield from self._faster.events(problems[:top])
        finally:
            self._rows = None

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

    def result(self) -> DiagnosisResult:
        """Return what was read and measured so far."""
        rows = self.rows()
        return DiagnosisResult(
            rows=rows,
            findings=rules.findings(rows, self.log, cores=self.cores, f32_peak=self.f32_peak()),
            log=Log.of(self.log, self.paths),
            threads=self.threads,
            program=self.program,
            not_measured=self._faster.refused if self._faster is not None else [],
        )

    def to_json(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the document in JSON types: SI units, null for unknown, never NaN."""
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
            **self.result().to_json(),
            interrupted=self.interrupted,
        )
