"""A scene without a real clock: strategies that take as long as their script says."""

from __future__ import annotations

import pytest

from convprof.measure import bench
from convprof.measure import session as session_module
from convprof.measure.contestant import Contestant
from convprof.measure.events import Sampled
from convprof.measure.session import Session
from convprof.measure.settings import Settings
from convprof.measure.stopwatch import Sample, Stopwatch
from convprof.problems import Conv2d
from convprof.strategies.base import Prepared, Setting, Strategy

PROBLEM = Conv2d(n=2, c=3, h=4, w=5, k=3, r=1, s=1)  # x and y have the same shape in any layout
HZ = 2e9


class Clock:
    """A clock that only the fake strategies advance, in whole nanoseconds."""

    def __init__(self):
        self.ns = 0

    def perf_counter(self):
        return self.ns * 1e-9

    def advance(self, seconds):
        self.ns += round(seconds * 1e9)


class FakeStopwatch(Stopwatch):
    """Reads the fake clock."""

    source = "calibrated"
    resolution_s = 1e-9

    def __init__(self, clock):
        self.clock = clock
        self.closed = 0

    def now(self):
        return self.clock.perf_counter()

    def sample(self, run, calls, before=None):
        elapsed = 0
        for _ in range(calls):
            if before is not None:
                before()
            start = self.clock.ns
            run()
            elapsed += self.clock.ns - start
        seconds = elapsed * 1e-9 / calls
        return Sample(seconds, HZ, seconds * HZ)

    def close(self):
        self.closed += 1


class FakePrepared(Prepared):
    workspace_bytes = 123
    prepare_s = 0.5
    compile_s = 0.25

    def __init__(self, strategy, problem, setting):
        self.strategy, self.problem, self.setting = strategy, problem, setting
        self.calls = 0
        self.closed = 0
        self.phase_runs = 0
        strategy.made.append(self)

    def bind(self, x, weights):
        self.x = x
        if self.problem.kind == "gemm":
            self.y = self.problem.reference((x, weights))
            return
        nchw = x if self.setting.layout == "nchw" else x.transpose(0, 3, 1, 2)
        y = self.problem.reference((nchw, weights))
        self.y = y if self.setting.layout == "nchw" else y.transpose(0, 2, 3, 1)

    def run(self):
        self.calls += 1
        self.strategy.journal.append(self.strategy.name)
        trouble = self.strategy.trouble.get(self.calls)
        if trouble is not None:
            raise trouble
        script = self.strategy.seconds
        self.strategy.clock.advance(script[min(self.calls, len(script)) - 1])

    def output(self):
        return self.strategy.spoil(self.y)

    def run_phases(self):
        self.phase_runs += 1
        return {"pad": 1e-3 * self.phase_runs, "gemm": 7e-3}

    def executed_flops(self):
        return self.problem.flops // 2

    def close(self):
        self.closed += 1


class FakeStrategy(Strategy):
    """Takes ``seconds[i]`` for its i-th call, the last of them from then on."""

    kind = "conv2d"
    summary = "a script"

    def __init__(self, name, seconds=(1e-3,), *, trouble=None, spoil=lambda y: y, reason=None):
        self.name = name
        self.seconds = seconds
        self.trouble = trouble or {}
        self.spoil = spoil
        self.reason = reason
        self.journal = []
        self.made = []
        self.clock = Clock()

    def why_not(self, problem, setting):  # noqa: ARG002
        return self.reason

    def prepare(self, problem, setting):
        trouble = self.trouble.get("prepare")
        if trouble is not None:
            raise trouble
        return FakePrepared(self, problem, setting)


class Scene:
    """A session over fake strategies, with the journal of what ran when."""

    problem, hz = PROBLEM, HZ
    strategy, prepared = FakeStrategy, FakePrepared

    def __init__(self):
        self.clock = Clock()
        self.journal = []
        self.stopwatch = FakeStopwatch(self.clock)

    def session(self, *strategies, layouts=("nchw",), cache="hot", watch=None, **settings):
        contestants = []
        for strategy in strategies:
            strategy.clock, strategy.journal = self.clock, self.journal
            contestants += [
                Contestant(strategy, PROBLEM, Setting(layout), cache) for layout in layouts
            ]
        return Session(contestants, Settings(**settings), watch, self.stopwatch)

    def four(self):
        return [self.strategy(name, (1e-3,)) for name in "abcd"]

    @staticmethod
    def sampled(events):
        return [event for event in events if isinstance(event, Sampled)]

    def rounds_of(self, events):
        """Return the labels of each round in order."""
        found = {}
        for event in self.sampled(events):
            found.setdefault(event.round, []).append(event.label.split()[0])
        return list(found.values())


@pytest.fixture
def scene(monkeypatch):
    made = Scene()
    monkeypatch.setattr(bench, "time", made.clock)
    monkeypatch.setattr(session_module, "settle", lambda: made.journal.append("settle"))
    return made
