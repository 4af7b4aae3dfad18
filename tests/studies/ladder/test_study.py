"""The ladder on strategies that take as long as they are told."""

from __future__ import annotations

import pytest
from fake_clock import Clock

from convprof.measure.settings import Settings
from convprof.problems import Conv2d, Gemm
from convprof.strategies import registry
from convprof.strategies.base import Prepared, Strategy
from convprof.studies.ladder import time_limit
from convprof.studies.ladder.schedules import schedules
from convprof.studies.ladder.study import LADDERS, PARALLEL, Ladder, Rung, rungs
from convprof.studies.run import Choice

pytestmark = pytest.mark.usefixtures("no_clock")

GEMM = Gemm(m=3, n=4, k=5)
SETTINGS = Settings(rounds=8)
CHOICE = Choice(threads=(1, 2), layouts=("nhwc",))
SECONDS = dict(zip(LADDERS["gemm"], (64, 8, 4, 5, 2, 2, 1, 0.5, 0.4), strict=True))


class FakePrepared(Prepared):
    def __init__(self, strategy, problem, setting):
        self.strategy, self.problem, self.setting = strategy, problem, setting

    def bind(self, x, weights):
        self.y = self.problem.reference((x, weights))

    def run(self):
        Clock.now += self.strategy.seconds / self.setting.threads

    def output(self):
        return self.y


class Fake(Strategy):
    kind = "gemm"
    summary = "a number"
    parallel = True

    def __init__(self, name, seconds, reason=None):
        self.name, self.seconds, self.reason = name, seconds, reason

    def why_not(self, problem, setting):
        return self.reason or super().why_not(problem, setting)

    def prepare(self, problem, setting):
        return FakePrepared(self, problem, setting)


@pytest.fixture
def climbed(monkeypatch, machine_of):
    def climb(*strategies, settings=SETTINGS, choice=CHOICE, **options):
        monkeypatch.setattr(registry, "_all", lambda: strategies)
        made = Ladder(GEMM, choice, settings, machine_of(2.4e6), **options)
        for _ in made.events():
            pass
        return made

    return climb


def fakes(**changes):
    return [Fake(name, SECONDS[name] * 1e-3, changes.get(name)) for name in SECONDS]


def test_every_rung_against_the_one_before(climbed):
    steps = climbed(*fakes()).steps()
    assert [s.rung.name for s in steps] == [*LADDERS["gemm"], PARALLEL]
    assert steps[0].before is None
    assert [round(s.before.ratio.inverse.value, 3) for s in steps[1:]] == [
        8,
        2,
        0.8,
        2.5,
        1,
        2,
        2,
        1.25,
        2,
    ]
    verdicts = [s.before.verdict for s in steps[1:]]
    assert verdicts == ["faster", "faster", "slower", "faster", "same", *["faster"] * 4]
    assert steps[-1].measurement.threads == 2
    assert steps[-1].all_cores_fraction == pytest.approx(GEMM.flops / 0.2e-3 / 2.4e6)


def test_the_last_rung_is_the_last_strategy_that_computes_the_problem(climbed):
    steps = climbed(*fakes(strassen="strassen computes f32 and f64")).steps()
    assert (steps[-2].rung.name, steps[-2].measurement.status) == ("strassen", "refused")
    assert steps[-1].rung == Rung(PARALLEL, "prepacked", 2)
    assert (steps[-1].measurement.status, steps[-1].before.b.strategy) == ("ok", "prepacked")


def test_a_rung_that_refuses_is_shown_and_passed_over(climbed):
    made = climbed(*fakes(fma="fma needs fused multiply-adds, which sse does not have"))
    steps = {s.rung.name: s for s in made.steps()}
    assert steps["fma"].measurement.status == "refused"
    assert steps["fma"].before is None
    assert steps["unrolled"].before.b.strategy == "vectorized"
    assert len(made.comparisons()) == len(steps) - 2


def test_comparisons_of_the_document(climbed):
    first = climbed(*fakes()).comparisons()[0]
    assert (first["kind"], first["verdict"], first["threads"]) == ("ladder", "faster", 1)
    assert (first["a"]["strategy"], first["b"]["strategy"]) == ("reordered", "naive")
    assert first["evidence"] == {"a": None, "b": None}


def test_named_rungs_only(climbed):
    steps = climbed(*fakes(), names=("naive", "packed")).steps()
    assert [s.rung.name for s in steps] == ["naive", "packed"]
    assert steps[1].before.ratio.value == pytest.approx(1 / 64)


def test_one_thread_has_no_last_rung():
    assert [rung.name for rung in rungs("gemm", 1)] == list(LADDERS["gemm"])
    assert rungs("conv2d", 3)[-1] == Rung(PARALLEL, "auto", 3)


def test_every_rung_exists():
    for kind, names in LADDERS.items():
        known = [strategy.name for strategy in registry.strategies(kind)]
        assert list(names) == [name for name in known if name in names]
        assert registry.find(kind, names[-1]).parallel


def test_a_slow_rung_gets_the_rounds_that_its_patience_allows(climbed):
    settings = Settings(budget_s=1e-3)
    steps = climbed(*fakes(), settings=settings, time_limit_s=10.0).steps()
    assert [s.measurement.time_s.samples for s in steps][:2] == [6, 6]
    steps = climbed(*fakes(), settings=settings, time_limit_s=0.13).steps()
    assert steps[0].measurement.time_s.samples == 2


@pytest.mark.parametrize("kind", LADDERS)
def test_halide_next_to_the_rungs(kind):
    known = {strategy.name for strategy in registry.strategies(kind)}
    found = schedules(kind, 2)
    assert {pair.strategy for pair in found} <= known
    assert {p.rung for p in found} - {None} <= {*LADDERS[kind], PARALLEL}
    assert len({(p.strategy, p.threads) for p in found}) == len(found)
    assert len({p.strategy for p in found if p.rung or p.threads == 1}) >= 5
    alone = [(p.strategy, p.threads) for p in schedules(kind, 1)]
    assert len(set(alone)) == len(alone)
    assert "halide-parallel" not in dict(alone)


def test_pairs_are_compared(climbed):
    theirs = [Fake(name, 3e-3) for name in dict.fromkeys(p.strategy for p in schedules("gemm", 2))]
    made = climbed(*fakes(), *theirs, halide=True)
    pairs = {(p.rung, p.theirs.threads): p for p in made.pairs()}
    assert pairs["packed", 1].comparison.ratio.value == pytest.approx(1 / 3)
    assert pairs["packed", 1].comparison.verdict == "faster"
    assert pairs["parallel", 2].ours.threads == 2
    assert pairs[None, 2].comparison is None
    assert len(made.comparisons()) == 9 + 7


class TestPatience:
    def refusal(self, monkeypatch, rate, problem, time_limit_s):
        from convprof.measure.contestant import Contestant
        from convprof.strategies.base import Setting

        monkeypatch.setattr(time_limit, "_call_s", lambda c, part, _: part.flops / rate)  # noqa: ARG005
        contestant = Contestant(Fake("naive", 1.0), problem, Setting())
        return time_limit.too_slow(contestant, Settings(), time_limit_s)

    def test_too_slow(self, monkeypatch):
        found = self.refusal(monkeypatch, 1e9, Gemm(m=4096, n=4096, k=4096), 60)
        assert found.status == "refused"
        text = "predicted to take 275 s on this problem, over the patience of 60 s: raise it"
        assert found.reason == text

    def test_fast_enough(self, monkeypatch):
        assert self.refusal(monkeypatch, 1e11, Gemm(m=4096, n=4096, k=4096), 60) is None

    def test_what_cannot_be_slow_is_not_tried(self, monkeypatch):
        assert self.refusal(monkeypatch, 1.0, Gemm(m=64, n=64, k=64), 60) is None

    def test_parts_are_rows_of_the_same_problem(self):
        conv = Conv2d(n=8, c=3, h=100, w=90, k=4, r=3, s=3, stride=(2, 2), dilation=(2, 2))
        part = conv.first_rows(4)
        assert (part.n, part.h, part.w, part.c) == (1, 8, 90, 3)
        assert conv.first_rows(1).h == 5
        assert Gemm(m=9, n=8, k=7, batch=3).first_rows(4) == Gemm(m=4, n=8, k=7)
