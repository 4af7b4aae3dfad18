"""Matrix products in the tile registers of AMX, executed by a model of the instructions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tile_model import TileModel, float_products

from convprof.codegen import isa as isas
from convprof.codegen.architecture import X86
from convprof.codegen.kernels import tile_registers
from convprof.codegen.target import target
from convprof.dtypes import tolerance, types
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm
from convprof.problems.epilogue import Epilogue
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm.tile_stages import TileBlocking

pytestmark = pytest.mark.skipif(
    target().arch != X86 or "avx512" not in isas.available(), reason="needs AVX-512 for the rest"
)
TYPES = ["bf16", "bf16:bf16:f32", "f16:f16:f32", "u8:s8:s32", "s8:s8:s32"]


def amx_of(dtype, threads=1):
    return Setting(dtype=dtype, isa="amx", threads=threads)


def checked(model, g, name, setting, blocking=None):
    """Run a strategy, compare its result with the reference, and look for faults."""
    of = setting.types
    strategy, operands = registry.find("gemm", name), Operands(g, of, 3)
    first = strategy.blockings(g, setting)[0] if blocking is None else blocking
    assert isinstance(first, TileBlocking)
    prepared = strategy.prepare_blocked(g, setting, first)
    prepared.bind(*operands.all("nchw"))
    model.memory = prepared.memory()
    prepared.output().fill(1)
    prepared.run()
    assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(of, g.k)
    assert model.faults == []
    assert model.is_released
    return prepared


@pytest.mark.parametrize("name", ["packed", "prepacked"])
@pytest.mark.parametrize("dtype", TYPES)
def test_every_type(model, dtype, name):
    checked(model, Gemm(m=19, n=35, k=37, batch=2), name, amx_of(dtype, 2))
    assert model.counts[tile_registers.tile_product(types(dtype), isas.find("amx")).instruction] > 0


@pytest.mark.parametrize("dtype", ["bf16", "u8:s8:u8", "s8:s8:s8", "u8:s8:f32"])
def test_what_follows_the_sums(model, dtype):
    ends = Epilogue(bias=True, add=True, function="relu")
    checked(model, Gemm(m=33, n=19, k=70, epilogue=ends), "prepacked", amx_of(dtype, 2))
    checked(model, Gemm(m=6, n=33, k=20, epilogue=Epilogue(bias=True)), "packed", amx_of(dtype))


def test_random_problems(model):
    sizes = st.builds(
        Gemm,
        m=st.integers(5, 70),
        n=st.integers(1, 70),
        k=st.integers(1, 200),
        batch=st.sampled_from([1, 1, 2]),
    )

    @settings(max_examples=6, deadline=None, derandomize=True)
    @given(sizes, st.sampled_from(["packed", "prepacked"]), st.booleans(), st.booleans())
    @example(Gemm(m=97, n=33, k=129), "packed", False, True)  # every edge at once
    @example(Gemm(m=6, n=256, k=1024), "prepacked", True, False)  # a is copied
    @example(Gemm(m=65, n=16, k=128), "prepacked", True, True)  # shared by rows
    def problem(g, name, short, parted):
        dtype = "bf16" if short else "u8:s8:s32"
        blocking = TileBlocking(32, 64) if parted else TileBlocking(96, g.k)
        checked(model, g, name, amx_of(dtype, 2), blocking)

    problem()


def test_the_sums_of_blocks_are_kept_until_the_last(model):
    g = Gemm(m=70, n=40, k=300)
    whole = checked(model, g, "packed", amx_of("bf16:bf16:f32"), TileBlocking(96, g.k))
    parted = checked(model, g, "prepacked", amx_of("bf16", 2), TileBlocking(64, 64))
    assert "sums_of_tiles" in parted.plan.workspaces
    assert "sums_of_tiles" not in whole.plan.workspaces


@pytest.mark.parametrize(("name", "most"), [("split3", 1e-4), ("split6", 2e-6)])
@pytest.mark.parametrize("isa", ["amx", "avx512"])
def test_split_f32_has_the_error_of_its_pieces(model, name, most, isa):
    strategy = registry.find("gemm", name)
    for g, threads in ((Gemm(m=33, n=41, k=131, batch=2), 2), (Gemm(m=5, n=7, k=16), 1)):
        setting = Setting(isa=isa, threads=threads)
        if strategy.why_not(g, setting):
            pytest.skip(strategy.why_not(g, setting))
        operands = Operands(g, types("f32"), 5)
        prepared = strategy.prepare(g, setting)
        prepared.bind(*operands.all("nchw"))
        model.memory = prepared.memory()
        prepared.run()
        error = max_rel_error(operands, prepared.output(), "nchw")
        assert error <= min(most, tolerance(types("f32"), g.k))
        assert prepared.executed_flops() == (3 if name == "split3" else 6) * g.flops
    assert model.faults == []
    assert ("tdpbf16ps" in model.counts) == (isa == "amx")
    assert model.is_released


@pytest.mark.parametrize(("dtype", "a"), [("u8:s8:s32", 255), ("s8:s8:s32", -128)])
def test_the_largest_whole_numbers(model, dtype, a):
    g = Gemm(m=6, n=17, k=65)
    prepared = registry.find("gemm", "prepacked").prepare(g, amx_of(dtype))
    prepared.bind(np.full(g.a_shape, a), np.full(g.b_shape, -128))
    model.memory = prepared.memory()
    prepared.run()
    assert (prepared.output() == g.k * a * -128).all()
    assert model.faults == []


def test_few_rows_are_left_to_vectors(model):
    g = Gemm(m=4, n=64, k=64)
    for name in ("packed", "prepacked"):
        prepared = registry.find("gemm", name).prepare(g, amx_of("bf16"))
        operands = Operands(g, types("bf16"), 1)
        prepared.bind(*operands.all("nchw"))
        prepared.run()
        assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(types("bf16"), g.k)
    assert model.counts == {}


def test_types_without_an_instruction(monkeypatch):
    assert tile_registers.tile_product(types("f32"), isas.ISAS["amx"]) is None
    host = replace(target(), features="+amx-bf16,+amx-int8")
    monkeypatch.setattr(tile_registers, "target", lambda: host)
    assert tile_registers.tile_product(types("f16"), isas.ISAS["amx"]) is None
    assert tile_registers.tile_product(types("bf16"), isas.ISAS["avx512"]) is None
    assert tile_registers.tile_product(types("bf16"), isas.ISAS["amx"]) is not None


# The model itself.


def test_the_model_notes_what_the_cpu_would_refuse():
    unit = TileModel()
    unit.call("tilezero", 0)
    unit.call("ldtilecfg", np.zeros(64, "u1").ctypes.data)
    assert [fault.partition("(")[0] for fault in unit.faults] == ["tilezero", "ldtilecfg"]


def test_the_model_rounds_as_the_instruction_does():
    before = np.zeros((1, 1), "f4")

    def sums(*products):
        """Return the result for pairs of numbers, times 1."""
        x = np.array(products, "f4").reshape(1, -1, 2)
        return float(float_products(x, np.ones((x.shape[1], 1, 2), "f4"), before)[0, 0])

    # The even and the odd products are summed apart: 2 ** -24 twice is not lost near 1.
    assert sums(1, 2.0**-24, 2.0**-30, 2.0**-24) == 1 + 2.0**-23
    assert sums(1, 2.0**-24) == 1, "half of a step, to the even neighbour"
    assert sums(1 + 2.0**-23, 2.0**-24) == 1 + 2.0**-22, "half of a step, to the even neighbour"
    assert sums(2.0**-127, 0) == 0, "a denormal operand"
    tiny = np.full((1, 1, 2), 2.0**-70, "f4")
    assert float_products(tiny, tiny, before)[0, 0] == 0, "a denormal product"
