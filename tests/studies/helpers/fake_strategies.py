"""Strategies that take as long as they are told; the clock is the test's own."""

from __future__ import annotations

from fake_clock import Clock

from convprof.strategies.base import Prepared, Role, Strategy


class FakePrepared(Prepared):
    def __init__(self, strategy, problem, setting):
        self.strategy, self.problem, self.setting = strategy, problem, setting

    def bind(self, x, weights):
        nchw = x if self.setting.layout == "nchw" else x.transpose(0, 3, 1, 2)
        y = self.problem.reference((nchw, weights)) * (1 + self.strategy.error)
        self.y = y if self.setting.layout == "nchw" else y.transpose(0, 2, 3, 1)

    def run(self):
        seconds = self.strategy.seconds
        if isinstance(seconds, dict):
            seconds = seconds[self.setting.layout]
        Clock.now += seconds / self.setting.threads

    def output(self):
        return self.y


class Fake(Strategy):
    kind = "conv2d"
    summary = "a number"
    parallel = True

    def __init__(self, name, seconds=1e-3, *, peer=False, error=0.0, reason=None):
        self.name, self.seconds = name, seconds
        self.error, self.reason = error, reason
        self.role = Role.LIBRARY if peer else Role.OWN if name != "direct" else Role.CHOOSER

    def why_not(self, problem, setting):
        return self.reason or super().why_not(problem, setting)

    def prepare(self, problem, setting):
        return FakePrepared(self, problem, setting)
