"""Every name that LLVM may give a CPU leads to code that keeps its sums in registers."""

from __future__ import annotations

import ctypes
import functools
import itertools
import warnings
from dataclasses import replace

import llvmlite.binding as llvm
import numpy as np
import pytest

from convprof import choice_store
from convprof.codegen import disassembly, isa, scheduling, target
from convprof.codegen.isa import ISAS
from convprof.codegen.jit import Module
from convprof.codegen.tile_list import TileList
from convprof.problems import Conv2d, Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting

x86 = pytest.mark.skipif(target.target().arch != "x86_64", reason="reads x86 assembly")

NAMES = [
    "rocketlake", "icelake-server", "skylake-avx512", "skylake", "x86-64-v4", "x86-64-v3",
    "sapphirerapids", "haswell", "znver2", "znver3", "znver4", "sandybridge", "nocona", "generic",
]  # fmt: skip
"""LLVM's names of x86 CPUs that virtual machines were seen to be given, right or wrong."""
ARM_NAMES = ["neoverse-n1", "neoverse-v1", "cortex-a72", "apple-m1", "generic"]


# The same IR for the same model is the same text: it is generated once for all names.
generated = functools.cache(target.assembly)
loops_of = functools.cache(disassembly.loops)


@pytest.fixture
def named(monkeypatch, tmp_path):
    """Return a function that gives the model for a CPU that LLVM calls by a name."""
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(target, "assembly", generated)
    monkeypatch.setattr(disassembly, "loops", loops_of)

    def choose(name):
        host = replace(target.target(), cpu=name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(target, "target", lambda: host)
            scheduling.model.cache_clear()
            return scheduling.model()

    yield choose
    scheduling.model.cache_clear()


def counted(**spills):
    """Return spills(name), and the names that it was asked for."""
    asked = []

    def count(name):
        asked.append(name)
        return spills[name]

    return count, asked


def test_the_hosts_own_name_is_taken_if_its_code_does_not_spill():
    count, asked = counted(host=0)
    assert scheduling.choose("host", ["a", "b"], count) == scheduling.Model("host", "host", 0, 0)
    assert asked == ["host"]


def test_the_first_other_name_whose_code_does_not_spill():
    count, asked = counted(host=8, a=3, b=0)
    assert scheduling.choose("host", ["a", "b", "c"], count) == scheduling.Model("b", "host", 0, 8)
    assert asked == ["host", "a", "b"]


def test_the_name_whose_code_spills_least_if_all_spill():
    count, _ = counted(host=8, a=9, b=2, c=2)
    assert scheduling.choose("host", ["a", "host", "b", "c"], count).name == "b"
    count, _ = counted(host=1, a=9)
    assert scheduling.choose("host", ["a"], count) == scheduling.Model("host", "host", 1, 1)


@x86
@pytest.mark.parametrize("name", NAMES)
def test_no_test_kernel_spills_under_any_name(named, name):
    model = named(name)
    assert (model.host, model.spills) == (name, 0)
    assert (model.name == name) == (model.host_spills == 0)


@pytest.mark.parametrize("name", ARM_NAMES)
def test_no_test_kernel_spills_on_aarch64(name):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = "aarch64-unknown-linux-gnu"
    try:
        arm = llvm.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip("this LLVM has no AArch64 target")

    def spills(cpu):
        total = 0
        for ir, _ in scheduling.probes([ISAS["neon"]]):
            module = llvm.parse_assembly(ir)
            module.triple = triple
            made = str(arm.create_target_machine(cpu=cpu, opt=3, jit=True).emit_assembly(module))
            assert disassembly.busiest(made).widest == "v"
            total += sum(code.spills for code in disassembly.loops(made))
        return total

    assert scheduling.choose(name, scheduling.MODELS["aarch64"], spills).spills == 0


def test_the_model_is_remembered_for_this_cpu_and_these_kernels(named, monkeypatch):
    first = named("rocketlake")
    monkeypatch.setattr(scheduling, "_spills", lambda *_: pytest.fail("measured again"))
    assert named("rocketlake") == first
    monkeypatch.setattr(scheduling, "_spills", lambda *_: 0)
    assert named("znver4") == scheduling.Model("znver4", "znver4", 0, 0)
    monkeypatch.setattr(scheduling, "probes", lambda _: [("other kernels", ())])
    assert named("rocketlake").name == "rocketlake"


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"model": "i486", "spills": 0, "host_spills": 0},
        {"model": 7, "spills": 0, "host_spills": 0},
        {"model": "rocketlake", "spills": -1, "host_spills": 0},
        {"model": "rocketlake", "spills": True, "host_spills": 0},
        {"model": "rocketlake", "spills": 0, "host_spills": "8"},
    ],
)
def test_a_remembered_choice_that_cannot_be_is_not_believed(named, monkeypatch, choice):
    monkeypatch.setattr(scheduling, "_spills", lambda *_: 0)
    monkeypatch.setattr(choice_store, "load", lambda *_: choice)
    assert named("rocketlake") == scheduling.Model("rocketlake", "rocketlake", 0, 0)


KERNELS = {
    "conv2d": (
        "microkernel",
        [
            Conv2d(c=64, h=56, w=56, k=64, r=3, s=3, pad=(1, 1)),
            Conv2d(c=256, h=14, w=14, k=64, r=1, s=1),
            Conv2d(c=13, h=9, w=9, k=37, r=3, s=3),
        ],
    ),
    "gemm": ("packed", [Gemm(m=512, n=512, k=500), Gemm(m=101, n=117, k=203)]),
}


@pytest.fixture(scope="module")
def tiles(read_only_kernels):  # noqa: ARG001
    """Return IR and switched-off features of the tiles that strategies would take."""
    found = {}
    for kind, (strategy, problems) in KERNELS.items():
        for name, problem in itertools.product(isa.widths(), problems):
            made = registry.find(kind, strategy)
            setting = Setting("nhwc", "f32", 1, name)
            prepared = made.prepare_blocked(problem, setting, made.blockings(problem, setting)[0])
            for step in prepared._plan.steps:
                keep = step.kernel.keep
                for use in keep.uses if isinstance(keep, TileList) else ():
                    found[use.module.ir] = use.module.without
    return found


@x86
def test_no_tile_of_a_strategy_spills_with_any_model_that_may_be_chosen(named, tiles):
    """With this CPU's own, test_inner_loops looks at many more of them."""
    own = scheduling.model().name
    models = {named(name).name for name in NAMES} - {own}
    assert models
    for model, (ir, without) in itertools.product(sorted(models), tiles.items()):
        text = target.assembly(ir, model, without)
        assert not sum(code.spills for code in disassembly.loops(text)), (model, ir[:400])


@x86
@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_computes_the_same_with_every_model(name):
    """The model changes the order of instructions only."""
    which = isa.find("native")
    rng = np.random.default_rng(7)
    for vectors in (1, 2, 3):
        tile = scheduling._tile(which, vectors, 3, 12)
        a = rng.standard_normal(1 << 14, dtype=np.float32)
        b = rng.standard_normal((3 * tile.run, tile.b_row), dtype=np.float32)
        c = np.zeros(1 << 12, np.float32)
        pointer = ctypes.c_void_p
        module = Module(tile.ir(), which.without, cpu=name)
        module.function("tile", None, pointer, pointer, pointer)(
            *(x.ctypes.data for x in (a, b, c))
        )
        for row, start in zip(tile.rows, tile.c_rows, strict=True):
            steps = [row + first + t for first, _ in tile.segments for t in range(tile.run)]
            expected = a[steps].astype(np.float64) @ b.astype(np.float64)
            np.testing.assert_allclose(c[start : start + tile.b_row], expected, rtol=0, atol=1e-4)


def test_every_candidate_is_a_cpu_name_of_this_llvm(capfd):
    target.target()
    if target.target().arch not in scheduling.MODELS:
        pytest.skip("no candidates for this architecture")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in scheduling.MODELS[target.target().arch]:
            target.machine(name)
    assert "not a recognized processor" not in capfd.readouterr().err
