"""``compare mixers`` on strategies that take as long as they are told."""

from __future__ import annotations

import json

import jsonschema
import pytest
from fake_clock import Clock, FakeStopwatch
from hypothesis import given
from hypothesis import strategies as st

from convprof.measure import session as session_module
from convprof.measure.settings import Settings
from convprof.measure.stopwatch import Sample
from convprof.networks.mixers import Grid
from convprof.results import plain
from convprof.strategies import registry
from convprof.strategies.base import Prepared, Strategy
from convprof.studies.compare.mixers.growth import Crossing, Growth, crossing, growths, runs
from convprof.studies.compare.mixers.study import Mixers
from convprof.studies.run import Choice

GRID = Grid(image=6, patch=2, dim=4, heads=2)
KINDS = ("gemm", "attention", "conv2d")


class CountingStopwatch(FakeStopwatch):
    """Counts cycles of a clock of 1 GHz."""

    source = "calibrated"

    def sample(self, run, calls, before=None):
        seconds = super().sample(run, calls, before).seconds
        return Sample(seconds, core_hz=1e9, cycles=seconds * 1e9)


class FakePrepared(Prepared):
    def __init__(self, strategy, problem, setting):
        self.strategy, self.problem, self.setting = strategy, problem, setting
        self.calls = 0

    def bind(self, x, weights):
        kind = self.problem.kind
        first = x.transpose(0, 3, 1, 2) if kind == "conv2d" else x
        y = self.problem.reference((first, weights))
        self.y = y.transpose(0, 2, 3, 1) if kind == "conv2d" else y

    def run(self):
        self.calls += 1
        Clock.now += self.strategy.seconds(self.problem, self.calls) / self.setting.threads

    def output(self):
        return self.y

    def executed_flops(self):
        return self.problem.flops // 2


class Fake(Strategy):
    summary = "a number"
    parallel = True

    def __init__(self, name, kind, seconds, reason=None):
        self.name, self.kind, self.seconds, self.reason = name, kind, seconds, reason

    def why_not(self, problem, setting):
        return self.reason or super().why_not(problem, setting)

    def prepare(self, problem, setting):
        return FakePrepared(self, problem, setting)


def by_flops(problem, _calls):
    return problem.flops * 1e-9


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch):
    monkeypatch.setattr(session_module, "Stopwatch", CountingStopwatch)
    monkeypatch.setattr(session_module, "settle", lambda: None)


@pytest.fixture
def studied(monkeypatch, machine_of):
    def study(*strategies, choice=None, grid=GRID):
        monkeypatch.setattr(registry, "_all", lambda: strategies)
        made = Mixers(grid, choice or Choice(), Settings(rounds=8), machine_of(4e9))
        for _ in made.events():
            pass
        return made

    return study


def ours(seconds=by_flops, name="auto"):
    return [Fake(name, kind, seconds) for kind in KINDS]


def test_a_mixer_costs_what_its_parts_cost(studied):
    totals = studied(*ours()).totals()
    assert [total.mixer.name for total in totals] == [
        "attention",
        "conv3x3",
        "depthwise7x7+pointwise",
    ]
    block = totals[0]
    cost, parts = block.cost, block.parts
    assert [part.name for part in parts] == [
        "QKV projection",
        "softmax(QK^T)V",
        "output projection",
    ]
    # 9 tokens of 4 channels: 8 t dim^2 + 4 t^2 dim.
    assert cost.flops == 8 * 9 * 16 + 4 * 81 * 4 == sum(part.flops for part in parts)
    assert cost.executed == cost.flops / 2
    assert cost.parameters == 64
    assert cost.seconds == pytest.approx(cost.flops * 1e-9)
    assert cost.cycles == pytest.approx(cost.flops)
    assert cost.flop_per_s == pytest.approx(1e9)
    assert cost.peak_fraction == pytest.approx(0.25)
    assert (cost.ci95_low, cost.ci95_high) == pytest.approx((cost.seconds, cost.seconds))
    # f32: QKV in, weights, out; Q, K, V in, the result out; that in, weights, out.
    assert cost.bytes_min == 4 * ((36 + 48 + 108) + 4 * 36 + (36 + 16 + 36))
    assert block.quadratic_flop_share == pytest.approx(1296 / 2448)
    assert block.quadratic_time_share == pytest.approx(1296 / 2448)
    assert block.linear_s == pytest.approx(1152e-9)
    assert [total.quadratic_s for total in totals[1:]] == [0, 0]


def test_int8_has_its_own_meaning_in_attention(monkeypatch, machine_of):
    monkeypatch.setattr(registry, "_all", lambda: tuple(ours()))
    made = Mixers(GRID, Choice(dtype="u8:s8:s32"), Settings(), machine_of(4e9))
    each = [contestant for row in made._rows for contestant in row.contestants]
    dtypes = {one.problem.kind: one.setting.dtype for one in each}
    assert dtypes == {"gemm": "u8:s8:s32", "attention": "s8:s8:f32", "conv2d": "u8:s8:s32"}


def test_the_interval_comes_from_the_sums_of_rounds(studied):
    def drifting(problem, calls):
        # One call to verify and some to warm up before the eight rounds; each takes 1 % more.
        return problem.flops * 1e-9 * (1 + 0.01 * calls)

    cost = studied(*ours(drifting)).totals()[0].cost
    assert cost.ci95_low < cost.seconds < cost.ci95_high
    assert cost.half_interval == pytest.approx((cost.ci95_high - cost.ci95_low) / 2)


def test_the_peak_share_of_a_mixer_is_its_rate_over_the_peak(studied):
    def uneven(problem, _calls):
        return problem.flops * (1e-9 if problem.kind == "gemm" else 3e-9)

    for total in studied(*ours(uneven)).totals():
        assert total.cost.peak_fraction == pytest.approx(total.cost.flop_per_s / 4e9)


def test_the_block_is_held_against_each_convolution(studied):
    comparisons = studied(*ours()).comparisons()
    assert [(b.block.mixer.name, b.other.mixer.name) for b in comparisons] == [
        ("attention", "conv3x3"),
        ("attention", "depthwise7x7+pointwise"),
    ]
    conv, separable = comparisons
    assert conv.ratio.value == pytest.approx(2448 / (18 * 9 * 16))
    assert (conv.verdict, conv.ratio.rounds) == ("faster", 8)
    assert separable.ratio.value == pytest.approx(2448 / (9 * (98 * 4 + 2 * 16)))


def test_every_strategy_and_number_of_threads_is_compared_separately(studied):
    def slow(problem, calls):
        return 3 * by_flops(problem, calls)

    choice = Choice(("auto", "torch"), threads=(1, 2))
    study = studied(*ours(), *ours(slow, "torch"), choice=choice)
    totals = [t for t in study.totals() if t.mixer.name == "attention"]
    assert [(t.threads, t.strategy, round(t.cost.seconds * 1e9)) for t in totals] == [
        (1, "auto", 2448),
        (1, "torch", 7344),
        (2, "auto", 1224),
        (2, "torch", 3672),
    ]
    assert len(study.comparisons()) == 8
    assert all(
        (b.block.strategy, b.block.threads) == (b.other.strategy, b.other.threads)
        for b in study.comparisons()
    )


def test_a_mixer_with_a_part_missing_has_no_total(studied):
    refusing = Fake("auto", "attention", by_flops, reason="auto refuses")
    study = studied(ours()[0], refusing, ours()[2])
    assert [total.mixer.name for total in study.totals()] == ["conv3x3", "depthwise7x7+pointwise"]
    assert study.comparisons() == []
    (refused,) = (m for m in study.measurements() if m.status == "refused")
    assert refused.problem["name"] == "attention: softmax(QK^T)V"


def test_a_strategy_that_has_not_all_kinds_says_so(studied):
    conv_only = Fake("winograd", "conv2d", by_flops)
    study = studied(*ours(), conv_only, choice=Choice(("auto", "winograd")))
    assert study.without == ["attention: winograd computes no gemm and no attention"]
    found = {(total.strategy, total.mixer.name) for total in study.totals()}
    assert ("winograd", "conv3x3") in found
    assert ("winograd", "attention") not in found


def test_the_real_registry_has_ours_for_every_part():
    study = Mixers(GRID, Choice(), Settings(), None)
    assert study.without == []
    assert [c.strategy.name for c in study.session._contestants] == ["auto"] * 6
    assert [c.layout for c in study.session._contestants] == [None] * 3 + ["nhwc"] * 3


def test_the_document_says_what_each_costs(studied):
    found = plain(studied(*ours()).comparisons()[0].to_json())
    json.dumps(found, allow_nan=False)
    assert (found["kind"], found["threads"], found["verdict"]) == ("mixers", 1, "faster")
    assert found["grid"] == {
        "image": 6, "patch": 2, "dim": 4, "heads": 2, "mb": 1, "tokens": 9
    }  # fmt: skip
    assert found["problem"]["kind"] == "attention"
    assert (found["a"]["mixer"], found["a"]["layout"]) == ("attention", None)
    assert (found["b"]["mixer"], found["b"]["layout"]) == ("conv3x3", "nhwc")
    assert found["a"]["flops"] == sum(part["flops"] for part in found["a"]["parts"])
    assert found["a"]["seconds"] == pytest.approx(2448e-9)
    jsonschema.validate(found["a"]["parts"], {"type": "array", "minItems": 3, "maxItems": 3})


def test_runs_and_growths_over_images(studied):
    grids = [Grid(image=side * 2, patch=2, dim=4, heads=2) for side in (1, 2, 4)]
    stages = [(grid, studied(*ours(), grid=grid).totals()) for grid in grids]
    ((threads, strategy, own),) = runs(stages)
    assert (threads, strategy) == (1, "auto")
    assert [grid.tokens for grid, _ in own] == [1, 4, 16]
    itself, conv, separable = growths(stages)
    # Time is proportional to FLOPs here: 2 dim = 8 and 2.5 dim = 10 tokens.
    assert (itself.other, itself.by_flops) == (None, pytest.approx(8))
    assert itself.by_time.tokens == pytest.approx(8)
    assert (conv.other, conv.by_flops) == ("conv3x3", pytest.approx(10))
    assert 4 < conv.by_time.tokens < 16  # the sum of two powers is not quite one
    # 4 channels: t (98 * 4 + 2 * 16) FLOPs are more than 8 t 16 + 16 t^2 up to 18.5 tokens.
    assert (separable.by_flops, separable.by_time.tokens) == (pytest.approx(18.5), None)
    assert separable.by_time.last_ratio == pytest.approx((128 + 16 * 16) / 424)


def test_one_image_or_a_block_missing_gives_no_growth(studied):
    totals = studied(*ours()).totals()
    assert growths([(GRID, totals)]) == []
    assert growths([]) == []
    assert growths([(GRID, totals[1:]), (Grid(image=8, patch=2, dim=4, heads=2), totals[1:])]) == []


def test_another_mixer_measured_once_is_left_out(studied):
    large = Grid(image=12, patch=2, dim=4, heads=2)
    stages = [(GRID, studied(*ours()).totals()), (large, studied(*ours(), grid=large).totals()[:2])]
    found = growths(stages)
    assert all(isinstance(growth, Growth) for growth in found)
    assert [growth.other for growth in found] == [None, "conv3x3"]


@given(st.floats(0.1, 1.9), st.integers(2, 6))
def test_a_power_law_is_interpolated_exactly(where, count):
    tokens = [10.0**k for k in range(count)]
    equal = 10 ** (where * (count - 1) / 2)
    found = crossing([(t, t**2 / equal, t) for t in tokens])
    assert found.tokens == pytest.approx(equal)
    assert not found.always


def test_crossings_at_the_ends():
    never = crossing([(1, 1, 10), (10, 20, 100)])
    assert (never.tokens, never.always, never.last_ratio) == (None, False, pytest.approx(0.2))
    always = crossing([(1, 2, 1), (10, 50, 10)])
    assert (always.tokens, always.always, always.last_ratio) == (None, True, pytest.approx(5))
    level = crossing([(1, 1, 1), (10, 20, 10)])
    assert level == Crossing(pytest.approx(1), last_ratio=pytest.approx(2))


def test_with_noise_the_last_crossing_counts():
    points = [(1, 1, 2), (10, 3, 2), (100, 1, 4), (1000, 4, 1), (10000, 9, 1)]
    assert crossing(points).tokens == pytest.approx(10**2.5)
    assert crossing([*points, (100000, 1, 2)]).tokens is None
