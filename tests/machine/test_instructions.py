from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.codegen.probes.instructions import Absent, Instruction, catalogue
from convprof.codegen.probes.instructions.instruction import Key, Values
from convprof.errors import ConvprofError
from convprof.machine import instructions
from convprof.machine.counters import Count
from convprof.machine.instructions import (
    Bench,
    Cost,
    CounterMeter,
    PairedMeter,
    bench,
    cycle_meter,
    missing,
)
from convprof.machine.instructions.bench import AGREEING, COPIES, PASSES, SETTLED, lowest_agreeing
from convprof.machine.instructions.cycle_meter import Clocked, Loop

CALL_NS = 400


@pytest.fixture
def core(monkeypatch):
    """A core whose clock we set; loops take the cycles that they are made with."""
    state = SimpleNamespace(ns=0.0, hz=2e9, calls=0, interrupted=set())

    def loop(cycles_per_iteration, iterations):
        def run(n):
            state.calls += 1
            state.ns += CALL_NS + n * cycles_per_iteration / state.hz * 1e9
            if state.calls in state.interrupted:
                state.ns += 5e5

        return Loop(run, iterations)

    state.loop = loop
    monkeypatch.setattr(cycle_meter, "time", SimpleNamespace(perf_counter_ns=lambda: state.ns))
    return state


@pytest.fixture
def paired(core):
    return PairedMeter(Clocked(core.loop(192, 150), 192))


@pytest.mark.parametrize("hz", [5e8, 2e9, 5e9])
@pytest.mark.parametrize("cycles", [40, 192, 3000])
def test_cycles_do_not_depend_on_the_clock(core, paired, hz, cycles):
    core.hz = hz
    found, clock = paired.cycles(core.loop(cycles, 100))
    assert found == pytest.approx(cycles, rel=1e-3)
    assert clock == pytest.approx(hz, rel=1e-3)


def test_a_loop_with_a_clock_in_it_is_the_reference(core, paired):
    """Under it the core runs as fast as it says, not as the plain reference would."""
    found, clock = paired.cycles(core.loop(100, 300), Clocked(core.loop(130, 200), 130))
    assert found == pytest.approx(100, rel=1e-3)
    assert clock == pytest.approx(2e9, rel=1e-3)
    found, _ = paired.cycles(core.loop(100, 300), Clocked(core.loop(130, 200), 260))
    assert found == pytest.approx(200, rel=1e-3)


def test_interrupts_do_not_count(core, paired):
    core.interrupted = {core.calls + 1, core.calls + 4, core.calls + 8}
    found, _ = paired.cycles(core.loop(96, 300))
    assert found == pytest.approx(96, rel=1e-3)


def counter(core, running=lambda: 1.0):
    """Return a counter of the core that loses what it does not run for."""
    counted = SimpleNamespace(ns=0.0, last=0.0)

    def read():
        counted.ns += (core.ns - counted.last) * running()
        counted.last = core.ns
        return Count(round(counted.ns * core.hz / 1e9), round(core.ns), round(counted.ns))

    return SimpleNamespace(read=read)


def test_counts_of_part_of_the_time_are_left_out(core):
    shares = itertools.cycle([1.0, 1.0, 1.0, 0.4])
    found, _ = CounterMeter(counter(core, lambda: next(shares))).cycles(core.loop(123, 1000))
    assert found == pytest.approx(123, rel=0.02)


def test_a_counter_that_never_counts_whole_again(core, paired):
    share = [1.0]
    counted = CounterMeter(counter(core, lambda: share[0]), lambda: paired)
    share[0] = 0.5
    for _ in range(2):
        found, clock = counted.cycles(core.loop(123, 1000))
        assert found == pytest.approx(123, rel=1e-3)
        assert clock == pytest.approx(2e9, rel=1e-3)
        assert counted.source == "calibrated"


def test_a_counter_that_stops_where_no_loop_is_known(core):
    with pytest.raises(ConvprofError, match="stopped counting"):
        CounterMeter(counter(core, lambda: 0.0), lambda: None).cycles(core.loop(123, 1000))


def test_the_hardware_counts(core):
    counted = CounterMeter(counter(core))
    found, clock = counted.cycles(core.loop(123, 1000))
    assert found == pytest.approx(
        123, rel=0.02
    )  # what a call costs is known to the empty loop only
    assert clock == pytest.approx(2e9, rel=1e-2)
    assert counted.source == "pmu"


def test_a_loop_is_made_long_enough(core):
    for cycles in (1, 100, 100_000):
        made = cycle_meter.sized(core.loop(cycles, 1).run)
        lasts = made.iterations * cycles / core.hz
        assert made.iterations == 1 or cycle_meter.SAMPLE_S / 3 < lasts < 2 * cycle_meter.SAMPLE_S


def test_no_meter_without_counter_and_known_loop(monkeypatch):
    monkeypatch.setattr(cycle_meter, "checked_counter", lambda _clock: None)
    monkeypatch.setattr(cycle_meter, "catalogue", list)
    assert cycle_meter.best_meter() is None


@pytest.mark.parametrize(
    ("values", "middle"),
    [
        ([4.0, 4.01, 4.0, 4.02, 4.01, 4.01, 5.0, 4.3], 4.01),  # two of eight disturbed
        ([3.7, 4.0, 4.01, 4.0, 4.02, 4.01, 9.0], 4.01),  # one too short by accident
    ],
)
def test_the_lowest_values_that_agree(values, middle):
    found, width = lowest_agreeing(values)
    assert found == pytest.approx(middle)
    assert width <= SETTLED


def test_no_agreement_above_several_lower_values():
    _, width = lowest_agreeing([3.0, 3.3, 3.6, 4.0, 4.0, 4.0, 4.0, 4.0])
    assert width > SETTLED


@pytest.mark.parametrize("fast", [2, 4, 6, 8])
def test_no_agreement_between_two_rhythms(fast):
    """Whichever prevails: another run could see the other one."""
    found, width = lowest_agreeing([1.0] * fast + [1.06] * (12 - fast))
    assert found == (1.0 if fast >= AGREEING else 1.06)
    assert width == pytest.approx(0.06)


def test_a_rhythm_that_prevails_counts():
    assert lowest_agreeing([1.0] * 9 + [1.06] * 3) == (1.0, 0.0)
    assert lowest_agreeing([1.0] + [1.06] * 11) == (1.06, 0.0)


@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=40), st.randoms())
def test_agreement_does_not_depend_on_the_order(values, random):
    found, width = lowest_agreeing(values)
    assert min(values) <= found <= max(values)
    assert width >= 0
    shuffled = list(values)
    random.shuffle(shuffled)
    assert lowest_agreeing(shuffled) == (found, width)


ADD = Instruction(Key("add", "f32"), "add", ("add",), Values())
MUL = Instruction(Key("mul", "f32", 256), "mul", ("mul",), Values())
ROOT = Instruction(
    Key("sqrt", "f32", 256, "full"), "sqrt", ("sqrt", "mul"), Values(), free=("sqrt",),
    glue=MUL.key, slow=True,
)  # fmt: skip
LOAD = Instruction(Key("load", "f32", 128), "load", (), Values(), free=("load",))
DIVIDE = Instruction(
    Key("div", "i32"), "div", ("and or div",), Values(), free=("div",), glue_cycles=2, slow=True
)
CYCLES = {"add": (3, 0.5), "mul": (4, 0.5), "sqrt": (12, 6), "load": (None, 0.25), "div": (26, 6)}


class FakeRuler:
    """Instructions cost what CYCLES says, times what the next pass is disturbed by."""

    source = "calibrated"

    def __init__(self):
        self.disturbance = 1.0
        self.clocked = {}

    def cycles(self, loop, clocked=None):
        chain = loop.run
        latency, each = CYCLES[chain.instruction.mnemonic]
        if not chain.dependent:
            cycles = each * chain.steps
        elif chain.instruction is ROOT:
            cycles = (12 + 4) * chain.rounds
        elif chain.instruction is DIVIDE:
            cycles = (26 + 2) * chain.rounds
        else:
            cycles = latency * chain.counted
        self.clocked[chain.instruction.key.name, chain.dependent] = clocked
        return cycles * self.disturbance, 2e9


@pytest.fixture
def made(monkeypatch):
    """Chains run nothing: the fake meter has their costs."""
    monkeypatch.setattr(bench, "compile_chains", list)
    monkeypatch.setattr(bench, "_loop", lambda chain, _: Loop(_Silent(chain), 1))
    monkeypatch.setattr(bench, "WARM_UP_S", 0.0)


class _Silent:
    def __init__(self, chain):
        self._chain = chain

    def __getattr__(self, name):
        return getattr(self._chain, name)

    def __call__(self, iterations):
        pass


@pytest.mark.usefixtures("made")
def test_costs_follow_from_cycles_per_iteration():
    fake = FakeRuler()
    work = Bench([ADD, MUL, ROOT, LOAD, DIVIDE], fake)
    assert list(work.passes(60))[-1] == (PASSES, 0)
    costs = {key.operation: cost for key, cost in work.costs().items()}
    assert costs.keys() == CYCLES.keys()
    for operation, (latency, each) in CYCLES.items():
        assert costs[operation].latency == (latency and pytest.approx(latency))
        assert costs[operation].reciprocal_throughput == pytest.approx(each)
        assert costs[operation].stable
        assert costs[operation].core_hz == 2e9
    assert fake.clocked["mul f32 256", True].cycles_per_iteration > 1.2 * 4 * 192
    assert fake.clocked["add f32 scalar", True] is None


@pytest.mark.usefixtures("made")
def test_without_its_glue_a_latency_is_unknown():
    work = Bench([ROOT], FakeRuler())
    list(work.passes(60))
    assert work.costs()[ROOT.key].latency is None
    assert work.costs()[ROOT.key].reciprocal_throughput == pytest.approx(6)


@pytest.mark.usefixtures("made")
def test_passes_take_the_copies_of_independent_loops_in_turn():
    seen = {True: [], False: []}

    class Watching(FakeRuler):
        def cycles(self, loop, clocked=None):
            seen[loop.run.dependent].append(loop)
            return super().cycles(loop, clocked)

    list(Bench([ADD], Watching()).passes(60))
    assert len({id(loop) for loop in seen[True]}) == 1
    assert len({id(loop) for loop in seen[False]}) == COPIES
    assert seen[False][:COPIES] == seen[False][COPIES : 2 * COPIES]


@pytest.mark.usefixtures("made")
def test_what_never_settles_is_not_stable():
    fake = FakeRuler()
    work = Bench([ADD], fake)
    seen = []
    for step in work.passes(60):
        fake.disturbance *= 1.1
        seen.append(step)
    # Either of its two loops waits for the other passes to agree with its first.
    assert seen == [(number, 2) for number in range(1, bench.MOST_PASSES + 1)]
    assert not work.costs()[ADD.key].stable


@pytest.mark.usefixtures("made")
def test_a_deadline_ends_it_after_enough_passes():
    fake = FakeRuler()
    work = Bench([ADD], fake)
    seen = []
    for step in work.passes(0.0):
        fake.disturbance *= 1.1
        seen.append(step)
    assert len(seen) == PASSES


@pytest.mark.usefixtures("made")
def test_interrupted_early_there_are_costs_but_none_is_stable():
    work = Bench([ADD], FakeRuler())
    assert work.costs() == {}
    next(work.passes(60))
    assert AGREEING > 1
    assert work.costs()[ADD.key].latency == pytest.approx(3)
    assert not work.costs()[ADD.key].stable


def test_why_a_row_is_missing():
    wide = Instruction(Key("mul", "i64", 256), "mul", (), Values(), needs=("AVX512DQ", "AVX512VL"))
    assert missing(wide, {"AVX512DQ": True, "AVX512VL": True}) is None
    reason = missing(wide, {"AVX512DQ": True, "AVX512VL": False})
    assert reason == "needs AVX512VL, which this CPU does not have"
    reason = missing(wide, {"AVX512DQ": None, "AVX512VL": True})
    assert reason == "needs AVX512DQ; whether this CPU has it is unknown"
    assert missing(Absent(wide.key, "none such"), {}) == "none such"


def test_a_cost_without_numbers_is_not_stable():
    assert not Cost(None, None, None, None, None, 12).stable


def test_a_multiplication_takes_as_long_as_three_additions():
    """On x86-64 and most AArch64 cores it does; wide, because other work may run meanwhile."""
    rows = {row.key.name: row for row in catalogue()}
    measured_by = instructions.best_meter()
    if measured_by is None:
        pytest.skip("no meter on this architecture")
    if "imul" not in rows["mul i64 scalar"].mnemonic:
        pytest.skip("2 to 4 cycles on AArch64")
    pair = [rows[f"{name} i64 scalar"] for name in ("add", "mul")]
    for _ in range(5):  # a neighbour's burst may hit a whole attempt
        work = Bench(pair, measured_by)
        list(work.passes(0.5))
        add, mul = (work.costs()[row.key] for row in pair)
        if abs(math.log(mul.latency / add.latency / 3)) < math.log(1.25):
            break
    assert mul.latency / add.latency == pytest.approx(3, rel=0.25)
    assert add.reciprocal_throughput < add.latency
