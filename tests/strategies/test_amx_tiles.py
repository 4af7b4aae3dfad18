"""Convolutions in the tile registers of AMX, executed by a model of the instructions."""

from __future__ import annotations

import pytest

from convprof.codegen import isa as isas
from convprof.codegen.architecture import X86
from convprof.codegen.target import target
from convprof.dtypes import tolerance
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Conv2d
from convprof.problems.epilogue import Epilogue
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.conv.amx_tiles import amx_plan

pytestmark = pytest.mark.skipif(
    target().arch != X86 or "avx512" not in isas.available(), reason="needs AVX-512 for the rest"
)
PROBLEMS = {
    "3x3": Conv2d(n=1, c=16, h=13, w=14, k=40, r=3, s=3, pad=(1, 1)),
    "lines of more than 16 pixels": Conv2d(n=1, c=16, h=3, w=35, k=16, r=3, s=3, pad=(1, 1)),
    "tall": Conv2d(n=1, c=32, h=37, w=3, k=16, r=3, s=1),
    "1x1, one line of all pixels": Conv2d(n=1, c=32, h=7, w=9, k=33, r=1, s=1),
    "1x1 strided": Conv2d(n=1, c=32, h=27, w=27, k=16, r=1, s=1, stride=(2, 2)),
    "groups": Conv2d(n=1, c=64, h=6, w=12, k=32, r=3, s=3, groups=2),
    "dilated": Conv2d(n=1, c=32, h=10, w=11, k=16, r=3, s=3, dilation=(2, 2)),
}


def checked(model, p, setting):
    """Run the convolution in tile registers, compare the result, and look for faults."""
    of, strategy = setting.types, registry.find("conv2d", "microkernel")
    operands = Operands(p, of, 3)
    prepared = strategy.prepare(p, setting)
    prepared.bind(*operands.all(setting.layout))
    model.memory = prepared.memory()
    model.any_memory = of.result != of.accumulator  # sums are on the stack
    prepared.run()
    assert max_rel_error(operands, prepared.output(), setting.layout) <= tolerance(of, p.terms)
    assert model.faults == []
    assert model.is_released
    return prepared


@pytest.mark.parametrize("case", PROBLEMS)
def test_particular_problems(model, case):
    checked(model, PROBLEMS[case], Setting("nhwc", "u8:s8:s32", 2, "amx"))
    assert model.counts["tdpbusd"] > 0


def test_nchw_and_floats(model):
    checked(model, PROBLEMS["groups"], Setting("nchw", "bf16:bf16:f32", 1, "amx"))
    assert model.counts["tdpbf16ps"] > 0


@pytest.mark.parametrize(("size", "has_border"), [(7, True), (28, True), (56, False)])
def test_a_border_is_copied_where_it_has_fewer_kernels(model, size, has_border):  # noqa: ARG001
    p = Conv2d(n=1, c=64, h=size, w=size, k=64, r=3, s=3, pad=(1, 1))
    tiles = amx_plan(p, Setting("nhwc", "bf16", 1, "amx"))
    assert tiles.p.h == size + 2 * has_border
    assert tiles.p.p == size


@pytest.mark.parametrize("dtype", ["bf16", "u8:s8:u8"])
@pytest.mark.parametrize(("size", "channels"), [(56, 64), (14, 256)])
def test_by_the_model_tile_registers_are_faster_than_winograd(model, size, channels, dtype):  # noqa: ARG001
    p = Conv2d(n=1, c=channels, h=size, w=size, k=channels, r=3, s=3, pad=(1, 1))
    first = registry.find("conv2d", "auto").candidates(p, Setting("nhwc", dtype, 1, "amx"))[0]
    assert first.strategy.name == "microkernel"


@pytest.mark.parametrize("dtype", ["bf16:bf16:f32", "u8:s8:u8"])
def test_the_border_is_zero_or_the_zero_point(model, dtype):
    p = Conv2d(n=2, c=32, h=7, w=7, k=20, r=3, s=3, pad=(1, 1))
    prepared = checked(model, p, Setting("nchw", dtype, 2, "amx"))
    assert "padded" in prepared.plan.buffers()
    assert "padded" not in prepared.plan.lendable_workspaces


@pytest.mark.parametrize("dtype", ["bf16", "f16", "u8:s8:u8", "s8:s8:s8"])
def test_what_follows_the_sums(model, dtype):
    ends = Epilogue(bias=True, add=True, function="relu")
    p = Conv2d(n=1, c=32, h=7, w=16, k=24, r=3, s=3, epilogue=ends)
    checked(model, p, Setting("nhwc", dtype, 2, "amx"))
    assert model.counts["tilerelease"] > 0


def test_small_images_and_short_sums_are_left_to_vectors(model):
    setting = Setting("nhwc", "bf16", 1, "amx")
    checked(model, Conv2d(n=1, c=64, h=2, w=2, k=32, r=3, s=3, pad=(1, 1)), setting)
    checked(model, Conv2d(n=1, c=4, h=9, w=9, k=16, r=2, s=2), setting)
    assert model.counts == {}


def test_the_weights_of_the_next_panel_are_fetched(model):
    p = Conv2d(n=1, c=256, h=14, w=14, k=4096, r=1, s=1)
    setting = Setting("nhwc", "u8:s8:s32", 1, "amx")
    tiles = amx_plan(p, setting)
    tiles.build()
    lines = [each.tile.fetch_lines for each in tiles.tiles.uses if each.tile.fmas]
    assert tiles.weights_far
    assert min(lines) > 0
    assert model.counts == {}
