from __future__ import annotations

import dataclasses

import pytest

from convprof.machine import facts
from convprof.machine.bandwidth import Bandwidth
from convprof.machine.caches import Level
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.model import MachineModel
from convprof.results import Flops, Measurement, Time
from convprof.studies.roofline_model import levels_needed, place, place_here

LEVELS = (Level("L1", 100, 100, 100), Level("L2", 1000, 1000, 1000))
RATES = {"L1": 100.0, "L2": 10.0, "memory": 1.0}
PEAK = 500.0


def measured(*, flops=1000, executed=None, seconds=10.0, moved=100, least=None, scratch=0, **more):
    return Measurement(
        problem={"kind": "gemm", "descriptor": "x", "name": None},
        strategy="tiled",
        layout=None,
        dtype="f32",
        threads=1,
        status="ok",
        time_s=Time(seconds, 0, None, None, seconds, 1, 1),
        flops=Flops(flops, flops if executed is None else executed),
        bytes_min=moved if least is None else least,
        bytes_moved=moved,
        workspace_bytes=scratch,
        **{"cache": "hot", **more},
    )


def placed(**changes):
    return place(measured(**changes), PEAK, LEVELS, RATES.get)


def test_in_the_first_level_arithmetic_is_the_limit():
    found = placed(flops=1000, moved=100)
    assert (found.intensity, found.level, found.limit, found.bound) == (
        10.0, "L1", "compute", "compute",
    )  # fmt: skip
    assert found.roof == PEAK
    assert found.flop_per_s == 100
    assert found.left == 5


def test_few_flops_per_byte_make_the_level_the_limit():
    found = placed(flops=100, moved=100)
    assert (found.level, found.limit, found.bound) == ("L1", "L1", "memory")
    assert found.roof == 100
    assert found.left == 10


@pytest.mark.parametrize(
    ("levels", "moved"),
    [((), 100), ((Level("L1", 100, 100, 100, before_unknown=True),), 101)],
    ids=["no cache is known", "the second is not"],
)
def test_where_a_cache_is_unknown_the_bandwidth_of_memory_is_no_limit(levels, moved):
    found = place(measured(moved=moved), PEAK, levels, RATES.get)
    assert (found.level, found.limit, found.bound) == (None, None, None)
    assert (found.bandwidth_fraction, found.roof) == (None, PEAK)
    cold = place(measured(moved=moved, cache="cold"), PEAK, levels, RATES.get)
    assert (cold.level, cold.bound) == ("memory", "memory")


def test_what_nearer_caches_hold_counts_at_their_bandwidth():
    found = placed(flops=550, moved=550)
    # 100 bytes at 100 bytes per second and 450 at 10
    assert found.bandwidth == pytest.approx(550 / (1 + 45))
    far = placed(flops=2000, moved=2000)
    assert far.level == "memory"
    assert far.bandwidth == pytest.approx(2000 / (1 + 90 + 1000))


def test_scratch_memory_decides_the_level_and_what_is_moved_the_intensity():
    found = placed(flops=600, least=60, moved=600, scratch=270)
    assert (found.level, found.intensity) == ("L2", 1)


def test_weights_that_packing_replaces_are_not_held_twice():
    found = placed(least=90, moved=95, scratch=80)
    assert found.level == "L1"


def test_cold_operands_come_from_memory():
    found = placed(flops=100, moved=100, cache="cold")
    assert (found.level, found.bandwidth, found.bound) == ("memory", 1, "memory")


def test_what_is_executed_counts():
    found = placed(flops=1000, executed=400)
    assert (found.intensity, found.flop_per_s) == (4, 40)


def test_an_unknown_bandwidth_leaves_the_peak_and_no_bound():
    found = place(measured(moved=5000), PEAK, LEVELS, lambda _: None)
    assert (found.bandwidth, found.limit, found.bound, found.roof) == (None, None, None, PEAK)


def test_an_unknown_nearer_bandwidth_counts_as_the_levels():
    rates = {**RATES, "L1": None}
    assert place(measured(moved=550), PEAK, LEVELS, rates.get).bandwidth == pytest.approx(10)


@pytest.mark.parametrize("changes", [{"flops": 0}, {"moved": 0}, {"time_s": None}, {"flops": None}])
def test_without_arithmetic_or_time_there_is_no_point(changes):
    simple = {key: value for key, value in changes.items() if value == 0}
    found = dataclasses.replace(
        measured(**simple), **{key: None for key, value in changes.items() if value is None}
    )
    assert place(found, PEAK, LEVELS, RATES.get) is None


def test_a_file_of_before_has_the_least_bytes_for_those_moved():
    old = dataclasses.replace(measured(moved=200), bytes_moved=None)
    assert place(old, PEAK, LEVELS, RATES.get).intensity == 5


class Machine(MachineModel):
    """A machine with the caches above, on which nothing was measured."""

    def levels(self, threads):  # noqa: ARG002
        return LEVELS


def test_only_the_bandwidths_that_a_result_needs_are_named():
    machine = Machine(facts())
    assert levels_needed(measured(moved=90), machine) == ["L1"]
    assert levels_needed(measured(moved=500), machine) == ["L2", "L1"]
    # The bandwidth of memory would take seconds: without it, the caches' are of no use.
    assert levels_needed(measured(moved=5000), machine) == []
    assert levels_needed(measured(moved=90, cache="cold"), machine) == []
    assert levels_needed(measured(flops=0), machine) == []


def test_stored_bandwidths_are_used_and_nothing_more_is_needed():
    stored = [Bandwidth(name, "load", 1, rate, 64) for name, rate in RATES.items()]
    machine = Machine(facts(), [Ceilings(1, 1.0, (), tuple(stored))])
    assert levels_needed(measured(moved=500), machine) == []
    assert place_here(measured(flops=100, moved=100), PEAK, machine).bandwidth == 100
