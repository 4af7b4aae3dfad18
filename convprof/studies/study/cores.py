"""What a problem or a network will do on more cores than this machine has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from convprof import units
from convprof.dtypes import types
from convprof.errors import InputError, RefusedError, TooLargeError
from convprof.machine import core_latency
from convprof.machine.caches import MEMORY
from convprof.measure.operands import draw
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.planned import Planned
from convprof.studies import preflight
from convprof.studies.study import advice
from convprof.studies.study.base import Results, Study
from convprof.studies.study.page import Figure, Finding, Line, Page, Plot, Row, Section, Unit
from convprof.studies.study.predicted import Barriers, Layer, Trial
from convprof.studies.study.threads import counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.contestant import Contestant
    from convprof.problems import Problem
    from convprof.studies.study.base import Options

MOST_CORES = 1024
MEASURED_THREADS = 2
"""The number of threads for which the prediction is compared with a measurement."""
PREDICTED = "predicted"
"""The status of a row without a measurement."""
MOST_GAIN = 2.0
"""Times the number of threads, the largest speed-up that can be true: shares may fit into nearer
caches than the whole."""
UNIT = Unit("times one thread", 1.0)
PLOT = Plot(
    "lines", "threads", "threads", "", "times one thread", x_log=True,
    expected="predicted", levels=(Line("one thread", 1.0),),
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What is divided among how many threads, and how."""

    problems: Sequence[Problem]
    """Each different one once."""
    times: Mapping[str, int]
    """How often each occurs, by its descriptor."""
    cores: int
    strategy: str = "auto"
    layout: str = "nhwc"
    name: str = ""
    """What the user named."""

    @property
    def several(self) -> bool:
        """Whether the total of several problems is the result."""
        return len(self.problems) > 1


class Cores(Study):
    """The shares of N threads, each alone on one core, and the time that follows."""

    name: ClassVar[str] = "threads"

    def __init__(
        self,
        options: Options,
        machine: MachineModel,
        watch: NoiseWatch | None,
        target: Target,
    ) -> None:
        """Take what to predict."""
        super().__init__(options, machine, watch)
        self._target = target
        self._layers: dict[int, list[Layer]] = {}
        """By number of threads."""
        self._fitting = target.problems
        """The problems whose operands fit into memory."""
        self._refused: dict[str, str] = {}
        """Reasons by problem."""
        self._barriers = Barriers(None, self._cores)

    def check(self) -> None:
        """Raise InputError for numbers of cores or problems that make no sense here."""
        target = self._target
        if not MEASURED_THREADS <= target.cores <= MOST_CORES:
            reason = f"use {MEASURED_THREADS} to {MOST_CORES}"
            raise InputError(reason, field="cores", value=target.cores)
        refused = dict(preflight.without_memory(target.problems, self.options.dtype, 1))
        if len(refused) == len(target.problems):
            raise next(iter(refused.values()))
        self._fitting = [problem for problem in target.problems if problem not in refused]
        self._refused = {_name(problem): str(error) for problem, error in refused.items()}
        for problem in self._fitting:
            strategy = self._strategy(problem)
            setting = self._setting(1)
            refusal = _alone(strategy).why_not(problem, setting)
            refusal = refusal or strategy.why_not(problem, self._setting(target.cores))
            if refusal is not None and not target.several:
                raise RefusedError(refusal)

    def learn(self) -> Iterator[str]:
        """Take the stored latency between cores; without one, measure some pairs."""
        latency = core_latency.typical(self.machine.core_latencies)
        if latency is None:
            yield "the latency between cores"
            latency = core_latency.slowest_of_few()
        self._barriers = Barriers(latency, self._cores)

    def contestants(self) -> list[Contestant]:
        """Return none: shares are timed alone."""
        return []

    def steps(self) -> Iterator[str]:
        """Time the shares, problem by problem."""
        yield from self.learn()
        self.ready = True
        for problem in self._fitting:
            try:
                yield from self._predict(problem)
            except (RefusedError, TooLargeError) as error:
                if not self._target.several:
                    raise
                self._refused[_name(problem)] = str(error)
        if not self._layers:
            raise RefusedError(next(iter(self._refused.values())))

    def _predict(self, problem: Problem) -> Iterator[str]:
        yield f"{_name(problem)} on 1 thread"
        options = self.options
        strategy = self._strategy(problem)
        operands = draw(problem, types(options.dtype), options.seed).all(self._target.layout)
        one, setting = _alone(strategy), self._setting(1)
        trial = Trial(strategy, one, problem, setting, operands, self._barriers, options.budget_s)
        times = self._target.times.get(problem.descriptor, 1)
        complete: dict[int, Layer] = {}
        for threads in self._threads():
            yield f"{_name(problem)}: the shares of {threads} threads"
            measured = threads <= self._cores
            prediction = trial.predict(threads, self._least_s(problem, threads), measured=measured)
            complete[threads] = Layer(problem, times, prediction)
            if not self._target.several:
                self._layers[threads] = [complete[threads]]
        if self._target.several:  # a sum over layers has the same layers for all threads
            for threads, layer in complete.items():
                self._layers.setdefault(threads, []).append(layer)

    @property
    def results(self) -> Results:
        """The statuses of what was predicted."""
        results = Results([], [], {})
        results.statuses = {"ok"} if self._layers else set()
        return results

    @property
    def _cores(self) -> int:
        return self.machine.facts.topology.usable_cores

    def _threads(self) -> tuple[int, ...]:
        """Return the numbers of threads: 2, 4 … of one problem, 2 and the last of several."""
        cores = self._target.cores
        if self._target.several:
            return tuple(dict.fromkeys((MEASURED_THREADS, cores)))
        return counts(cores)[1:]

    def _strategy(self, problem: Problem) -> Planned[Any]:
        return _planned(problem.kind, self._target.strategy)

    def _setting(self, threads: int) -> Setting:
        options = self.options
        layout = self._target.layout
        return Setting(layout, options.dtype, threads, options.isa, tune="off")

    def _least_s(self, problem: Problem, threads: int) -> float:
        """Return the seconds at the bandwidth of memory; 0 if the caches hold all operands."""
        known = self._memory_bandwidth()
        levels = self.machine.levels(threads)
        moved = problem.bytes_min(types(self.options.dtype))
        if known is None or not levels or moved <= levels[-1].total_bytes:
            return 0.0
        return moved / known

    def _memory_bandwidth(self) -> float | None:
        return self.machine.bandwidth(self._cores, MEMORY)

    def page(self) -> Page:
        """Return the speed-ups, and the layers of a network."""
        target, options = self._target, self.options
        rows = tuple(self._total(threads) for threads in self._layers)
        sections = [self._speedups(rows)]
        last = max(self._layers, default=0)
        if target.several and last:
            sections.append(self._slowest(last))
        return Page(
            self.name,
            f"threads: {target.name} on {target.cores} cores, predicted · {target.strategy} "
            f"{target.layout} · {options.dtype}",
            {
                "dtype": options.dtype, "isa": options.isa, "cores": target.cores,
                "strategy": target.strategy, "layout": target.layout,
                "problems": [problem.descriptor for problem in target.problems],
                "core_latency_s": self._barriers.latency_s,
                "memory_bandwidth_bytes_per_s": self._memory_bandwidth(),
            },
            tuple(sections),
            tuple(self._findings(rows)),
            self._assumptions(),
            advice.cores(rows, self._layers.get(last, []), target.name),
        )  # fmt: skip

    def _total(self, threads: int) -> Row:
        """Return the row of all layers together."""
        layers = self._layers[threads]
        one = _sum(layers, "one_s")
        seconds = _sum(layers, "seconds")
        work, longest = _sum(layers, "work_s"), _sum(layers, "longest_s")
        barriers = _sum(layers, "barriers_s")
        limits: dict[str, float] = {}
        for each in layers:
            key, lost = each.prediction.limit, each.times * each.prediction.lost_s
            limits[key] = limits.get(key, 0.0) + lost
        gain = one / seconds
        return Row(
            {"threads": threads},
            {
                "used": max(each.prediction.used for each in layers),
                "time ms": 1e3 * seconds,
                "balance %": 100 * _sum(layers, "mean_s") / longest if longest else 100.0,
                "limit": max(limits, key=lambda limit: limits[limit]),
                "work %": 100 * work / one,
                "barriers %": 100 * barriers / seconds,
                "shared lines": _lines(layers),
            },
            gain,
            _measured(layers),
            status="ok" if _measured(layers) else PREDICTED,
            doubt=_doubt(layers) or _impossible(gain, threads),
        )

    def _speedups(self, rows: tuple[Row, ...]) -> Section:
        notes = (
            "expected: one thread / (longest share of every stage + barriers)",
            "used: threads with work; more of them would add barriers, and take longer",
            "balance: mean share / longest share · work: all shares / one thread",
            "shared lines: cache lines that two threads write in one stage",
            *(("each layer is a launch of its own",) if self._target.several else ()),
            *(f"left out: {name}: {reason}" for name, reason in self._refused.items()),
        )
        return Section("Speed-up over one thread", UNIT, rows, plot=PLOT, notes=notes)

    def _slowest(self, threads: int) -> Section:
        """Return the layers, the one with the most lost time first."""
        layers = sorted(self._layers[threads], key=lambda e: -e.times * e.prediction.lost_s)
        whole = _sum(layers, "seconds") or 1.0
        rows = tuple(_layer_row(each, whole) for each in layers)
        note = "lost %: the share of the network's time beyond an equal share of one thread's work"
        return Section(f"Layers on {threads} threads, what they lose", UNIT, rows, notes=(note,))

    def _findings(self, rows: tuple[Row, ...]) -> Iterator[Finding]:
        two = next((row for row in rows if row.sure and row.expected), None)
        if two is not None and two.sure is not None:
            yield Finding(
                f"{two.variant['threads']} threads: {two.expected:.2f} times one thread, from "
                "shares that ran alone",
                f"{two.sure.value:.2f} times",
                two.ratio,
            )
        modelled = self._barriers.modelled(MEASURED_THREADS, 1)
        if modelled and self._cores >= MEASURED_THREADS:
            measured = self._barriers.seconds(MEASURED_THREADS, 1)
            yield Finding(
                f"a launch of {MEASURED_THREADS} threads with one stage: "
                f"{units.time(modelled)}, by the latency between cores",
                units.time(measured),
                measured / modelled,
            )

    def _assumptions(self) -> tuple[str, ...]:
        """Return what the predictions assume, a line each."""
        latency, memory = self._barriers.latency_s, self._memory_bandwidth()
        barriers = (
            f"a transfer between any two cores takes {units.time(latency)}, as measured here"
            if latency
            else "barriers are free: the latency between cores is unknown here"
        )
        bandwidth = (
            f"memory has the bandwidth of this machine, {units.si(memory, 'B/s')}"
            if memory
            else "no limit by memory: its bandwidth is unknown (convprof ceilings)"
        )
        return (
            "Predicted: the share of each thread ran alone on one core of this machine.",
            "Assumed: every core is like this one, at the same clock, with an L2 of its own;",
            f"{barriers}; {bandwidth}.",
        )


def _doubt(layers: Sequence[Layer]) -> str | None:
    """Return why the prediction of a layer is in doubt; None if all can be believed."""
    return next(filter(None, (each.prediction.doubt for each in layers)), None)


def _impossible(gain: float, threads: int) -> str | None:
    """Return why a speed-up cannot be true; None if it can."""
    if gain <= MOST_GAIN * threads:
        return None
    return f"{threads} threads cannot be {gain:.1f} times as fast: the time of one was disturbed"


def _planned(kind: str, name: str) -> Planned[Any]:
    """Return a strategy whose plan is known; RefusedError for a library."""
    strategy = registry.find(kind, name)
    if not isinstance(strategy, Planned) or strategy.role.is_peer:
        raise RefusedError(f"{strategy.name} is a library: only its own threads divide its work")
    return strategy


def _alone(strategy: Planned[Any]) -> Planned[Any]:
    """Return the strategy that a strategy is on one thread: ``tiled`` of ``threaded``."""
    alone = strategy.on_one_thread
    return _planned(strategy.kind, alone) if alone else strategy


def _name(problem: Problem) -> str:
    return problem.name or problem.descriptor


def _sum(layers: Sequence[Layer], name: str) -> float:
    return sum(each.times * float(getattr(each.prediction, name)) for each in layers)


def _lines(layers: Sequence[Layer]) -> int | None:
    """Return the cache lines of two threads in all layers; None if a layer's are not known."""
    total = 0
    for each in layers:
        if each.prediction.lines is None:
            return None
        total += each.times * each.prediction.lines
    return total


def _measured(layers: Sequence[Layer]) -> Figure | None:
    """Return the measured speed-up of all layers; None unless every layer was measured."""
    seconds = [each.prediction.measured_s for each in layers]
    if not layers or None in seconds:
        return None
    if len(layers) == 1 and (ratio := layers[0].prediction.measured) is not None:
        return Figure(ratio.value, ratio.low, ratio.high)
    return Figure(_sum(layers, "one_s") / _sum(layers, "measured_s"))


def _layer_row(layer: Layer, whole_s: float) -> Row:
    prediction = layer.prediction
    ratio = prediction.measured
    return Row(
        {"layer": layer.name},
        {
            "times": layer.times,
            "lost %": 100 * layer.times * prediction.lost_s / whole_s,
            "used": prediction.used,
            "µs": 1e6 * prediction.seconds,
            "balance %": 100 * prediction.balance,
            "limit": prediction.limit,
            "work %": 100 * prediction.inflation,
            "shared lines": prediction.lines,
        },
        prediction.speedup,
        Figure(ratio.value, ratio.low, ratio.high) if ratio else None,
        status="ok" if ratio else PREDICTED,
        doubt=prediction.doubt,
    )
