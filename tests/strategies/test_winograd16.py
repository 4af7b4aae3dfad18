"""``winograd16``: transformed numbers of bf16, twice the rounding error, only when asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.codegen.isa import available, find
from convprof.codegen.kernels.ways import bf16_dot
from convprof.codegen.kernels.winograd_tables import axes
from convprof.dtypes import tolerance, types
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Conv2d
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.conv.winograd16 import ADDED_ERROR
from convprof.strategies.conv.winograd_types import rounded_types, stage_types

ROUNDED, WHOLE, AUTO = (registry.find("conv2d", n) for n in ("winograd16", "winograd", "auto"))
BF16 = types("bf16")
ISAS = [name for name in available() if bf16_dot(find(name)) and name != "amx"]
THREADS = min(2, facts().topology.usable_cpus)
LAYER = Conv2d(c=128, h=28, w=28, k=128, r=3, s=3, pad=(1, 1), stride=(2, 2))

needs_pairs = pytest.mark.skipif(not ISAS, reason="no instruction for pairs of bf16")


def error(strategy, p, setting, blocking=None):
    operands = Operands(p, setting.types, 4)
    blocking = blocking or strategy.blockings(p, setting)[0]
    prepared = strategy.prepare_blocked(p, setting, blocking)
    prepared.bind(*operands.all(setting.layout))
    prepared.run()
    return max_rel_error(operands, prepared.output(), setting.layout)


@st.composite
def problems(draw):
    r, s, *stride = draw(st.sampled_from([(3, 3, 2, 2), (3, 3, 1, 1), (5, 5, 2, 2), (1, 3, 1, 2)]))
    sizes = st.integers(5, 17)
    ends = draw(st.sampled_from([NO_EPILOGUE, Epilogue.parse("bias,add,relu")]))
    return Conv2d(
        n=draw(st.integers(1, 2)), c=draw(st.integers(1, 36)), k=draw(st.integers(1, 36)),
        h=draw(sizes), w=draw(sizes), r=r, s=s, pad=draw(st.tuples(*[st.integers(0, 2)] * 4)),
        stride=tuple(stride), epilogue=ends,
    )  # fmt: skip


@needs_pairs
@settings(max_examples=6, deadline=None, derandomize=True)
@given(problems(), st.sampled_from(LAYOUTS), st.sampled_from(ISAS or [""]))
def test_random_problems(p, layout, isa):
    most = tolerance(BF16, p.r * p.s * p.c)
    assert error(ROUNDED, p, Setting(layout, "bf16", THREADS, isa)) < most


@needs_pairs
def test_the_error_is_larger_than_without_rounding_and_at_most_what_is_said():
    setting = Setting("nhwc", "bf16", isa=ISAS[-1])
    rounded, whole = (error(each, LAYER, setting) for each in (ROUNDED, WHOLE))
    assert 1.2 * whole < rounded < ADDED_ERROR + whole
    assert rounded < tolerance(BF16, 9 * 128)


@pytest.mark.skipif("avx512" not in ISAS, reason="no vector instruction for pairs of bf16 alone")
def test_auto_takes_it_only_with_an_error():
    setting = Setting("nhwc", "bf16", isa="avx512", tune="off")
    for most, strategy in ((0.0, "microkernel"), (ADDED_ERROR, "winograd16")):
        allowed = Setting("nhwc", "bf16", isa="avx512", tune="off", max_error=most)
        choice, _, _ = AUTO.choose(LAYER, allowed)
        assert choice.strategy.name == strategy
    assert ROUNDED.cycles(LAYER, setting) < WHOLE.cycles(LAYER, setting)


@needs_pairs
def test_points_are_0_and_1_and_minus_1():
    sizes = {blocking.m for blocking in ROUNDED.blockings(LAYER, Setting("nhwc", "bf16"))}
    assert sizes <= {2, 3}
    for stride, expected in ((1, [2]), (2, [2, 3])):
        table = axes(BF16.accumulator, (3, 3), (stride, stride))
        assert [m for m, both in table.items() if all(each.is_unit for each in both)] == expected


def test_types_of_the_stages():
    rounded = rounded_types(BF16)
    assert rounded.rounds
    assert not any(stage_types(types(name)).rounds for name in ("f32", "bf16", "u8:s8:u8"))
    assert rounded.products.source.name == rounded.transform_in.result.name == "bf16"
    assert {each.accumulator.name for each in (rounded.transform_in, rounded.products)} == {"f32"}


@needs_pairs
def test_the_rounding_is_noted():
    setting = Setting("nhwc", "bf16", isa=ISAS[-1])
    assert ROUNDED.plan(LAYER, setting).note == "rounds transformed numbers to bf16"
    assert WHOLE.plan(LAYER, setting).note == "multiplies bf16 in f32"


@needs_pairs
def test_lists_of_tiles_are_not_shared_with_winograd():
    """Both have the same problem, types, sizes and blocks."""
    p = Conv2d(c=16, h=9, w=9, k=16, r=3, s=3)
    setting = Setting("nhwc", "bf16", isa=ISAS[-1])
    (blocking, *_) = ROUNDED.blockings(p, setting)
    found = []
    for strategy in (WHOLE, ROUNDED, WHOLE):
        prepared = strategy.prepare_blocked(p, setting, blocking)
        operands = Operands(p, setting.types, 4)
        prepared.bind(*operands.all("nhwc"))
        prepared.run()
        found.append((prepared, prepared.output().copy()))
    assert np.array_equal(found[0][1], found[2][1])
    assert not np.array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize(
    ("changes", "dtype", "isa", "reason"),
    [
        ({"r": 7, "s": 7, "stride": (2, 2)}, "bf16", "", "a filter of at most 3 times the stride"),
        ({"groups": 2}, "bf16", "", "winograd16 needs a convolution without groups"),
        ({}, "f32", "", "winograd16"),
        ({}, "bf16", "sse", "an instruction for pairs of bf16, which sse has not"),
    ],
)
def test_what_it_refuses(changes, dtype, isa, reason):
    p = Conv2d(**{"c": 8, "k": 8, "h": 12, "w": 12, "r": 3, "s": 3, **changes})
    names = [isa] if isa else ISAS
    for name in names:
        if name in available():
            assert reason in ROUNDED.why_not(p, Setting("nhwc", dtype, isa=name))
