"""Measure faster ways for the problems of a log: convprof's choice and installed libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import F32, types
from convprof.errors import ConvprofError, InputError, ToolchainError
from convprof.measure.events import Part
from convprof.problems.layouts import LAYOUTS
from convprof.results import FAILURES
from convprof.studies import preflight
from convprof.studies.compare.peers import chosen, is_exact
from convprof.studies.diagnose.faster import Faster
from convprof.studies.forget import forget
from convprof.studies.roofline_session import RooflineSession
from convprof.studies.run import Choice, contestants
from convprof.studies.shortlist import timed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.contestant import Contestant
    from convprof.measure.events import Event
    from convprof.measure.settings import Settings
    from convprof.problems.base import Problem
    from convprof.results import Measurement
    from convprof.studies.diagnose.rows import Row

SMALL_FLOPS = 2e7
"""FLOPs of a call for which several threads may not pay."""
_HALVES = ("bf16", "f16")
"""Types that a program may replace with f32, which is more exact."""
_STRATEGIES = {
    "oneDNN": "torch",
    "MKL": "torch",
    "PyTorch": "torch",
    "ONNX Runtime": "onnxruntime",
    "OpenVINO": "openvino",
}
"""By library of a log, the strategy that calls the same library."""

Key = tuple["Problem", str, str, str | None]
"""A problem, its types, the library of the log and the layout of the log."""


class FasterWays:
    """Measures faster ways for rows, each problem once. Iterate over ``events``."""

    def __init__(
        self, machine: MachineModel, settings: Settings, watch: NoiseWatch | None = None
    ) -> None:
        self._machine, self._settings, self._watch = machine, settings, watch
        self._results: dict[Key, Faster | None] = {}
        self.refused: list[str] = []
        """Why problems of the log, or some ways of computing them, were not measured."""

    def of(self, row: Row) -> Faster | None:
        """Return what was measured for a row; None if nothing was."""
        key = _key(row)
        return None if key is None else self._results.get(key)

    def can_measure(self, row: Row) -> bool:
        """Whether the row is a problem of convprof in a type that convprof computes."""
        return _key(row) is not None and not row.over

    def events(self, rows: Sequence[Row]) -> Iterator[Event]:
        """Measure the problems of the rows; yield what happens."""
        keys = dict.fromkeys(key for row in rows if (key := _key(row)) is not None)
        threads = {
            key: row.measurement.threads for row in rows if (key := _key(row)) and row.measurement
        }
        for number, key in enumerate(keys):
            yield Part.of(f"operation {number + 1}/{len(keys)}", number, len(keys))
            if number:
                forget()
            try:
                yield from self._measure(key, threads[key])
            except ToolchainError:  # every other problem would fail alike
                raise
            except ConvprofError as error:
                self.refused.append(str(error))

    def _measure(self, key: Key, threads: int) -> Iterator[Event]:
        problem, dtype, *_ = key
        for name in _types(dtype):
            preflight.check_work([problem], name, [threads], self._machine)
            preflight.check_memory([problem], name, len(LAYOUTS))
        session = RooflineSession(
            _contestants(problem, dtype, threads), self._settings, self._machine, self._watch
        )
        try:
            yield from session.events()
            measurements = session.measurements()
            self._results[key] = _result(measurements, key, threads)
            reason = _failure(measurements)
            if reason is None and self._results[key] is None:
                reason = _why_none(measurements)
            if reason is not None:
                self.refused.append(f"{problem.descriptor}: {reason}")
        finally:
            session.release()


def _key(row: Row) -> Key | None:
    problem, measured = row.operation.problem, row.measurement
    if problem is None or measured is None:
        return None
    try:
        name = types(measured.dtype).name
    except InputError:  # a type that convprof does not compute
        return None
    return problem, name, row.operation.library, row.operation.layout


def _types(dtype: str) -> tuple[str, ...]:
    """Return the types in which a problem is measured."""
    return (dtype, F32.name) if types(dtype).source.name in _HALVES else (dtype,)


def _contestants(problem: Problem, dtype: str, threads: int) -> list[Contestant]:
    """Return what compare peers measures; instead of a type of 16 bits also f32.

    Small problems are computed on one thread too.
    """
    counts = (threads, 1) if threads > 1 and problem.flops < SMALL_FLOPS else (threads,)
    return [
        contestant
        for name in _types(dtype)
        for contestant in contestants(problem, chosen(problem, Choice(threads=counts, dtype=name)))
    ]


def _result(measurements: Sequence[Measurement], key: Key, threads: int) -> Faster | None:
    _, dtype, library, layout = key
    exact = [
        m
        for m in timed(measurements)
        if m.status == "ok" and m.doubt is None and is_exact(m.max_rel_error or 0.0, m.dtype)
    ]
    if not exact:
        return None
    library_key = (_STRATEGIES.get(library), dtype, threads)
    of_library = [m for m in exact if (m.strategy, m.dtype, m.threads) == library_key]
    same = [m for m in of_library if m.layout == layout] if layout in LAYOUTS else of_library
    return Faster(exact[0], same[0] if same else None)


def _failure(measurements: Sequence[Measurement]) -> str | None:
    """Return the first failure, such as the crash of a library, and how many there are."""
    failures = [m for m in measurements if m.status in FAILURES]
    if not failures:
        return None
    first, *others = failures
    more = f" ({len(others)} more)" if others else ""
    return f"{first.label}: {first.reason}{more}"


def _why_none(measurements: Sequence[Measurement]) -> str:
    """Return why no measurement of a problem counts."""
    doubts = [m.doubt for m in timed(measurements) if m.doubt is not None]
    if doubts:
        return f"every time is in doubt: {doubts[0]}"
    return next((m.reason for m in measurements if m.reason), "no strategy computes it")
