from __future__ import annotations

import re

import numpy as np
import pytest
from checks import most_allocated, with_examples
from hypothesis import given, settings
from hypothesis import strategies as st

import convprof
from convprof.codegen.isa import available
from convprof.dtypes import COMMON, DTYPES, PRODUCTS, listed, short_name
from convprof.errors import TooLargeError
from convprof.machine import facts
from convprof.problems import Conv2d, Gemm
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import memory, offset_gemm, plan_runner, registry
from convprof.strategies.base import Role, Setting
from convprof.strategies.blas_threads import blas
from convprof.strategies.peers.package import Library
from convprof.strategies.plan import WEIGHTS, X, Y

# auto, which is one of the others, and split3 and split6 have files of their own
THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
ALONE = {"auto"} if len(THREADS) > 1 else {"auto", "threaded"}  # which takes 2 threads at least
STRATEGIES = [
    s.name
    for s in registry.strategies("gemm")
    if not isinstance(s, Library) and s.name not in ALONE and s.role is not Role.VARIANT
]
TOLERANCE = {"f32": 1e-5, "f64": 1e-13}

each_strategy = pytest.mark.parametrize("name", STRATEGIES)


def threads_of(name):
    """Return the numbers of threads that a strategy takes."""
    strategy, g = registry.find("gemm", name), Gemm(m=1, n=1, k=1)
    return [n for n in THREADS if strategy.why_not(g, Setting(threads=n)) is None]


alone = pytest.mark.parametrize("name", [name for name in STRATEGIES if 1 in threads_of(name)])


def any_setting(name):
    """Return a strategy that draws options of ``name``: the ISA if its kernels are generated."""
    strategy, g = registry.find("gemm", name), Gemm(m=1, n=1, k=1)
    isas = [
        i
        for i in available()
        if strategy.why_not(g, Setting(threads=threads_of(name)[0], isa=i)) is None
    ]
    return st.builds(
        Setting,
        st.sampled_from(LAYOUTS),
        st.sampled_from(COMMON),
        st.sampled_from(threads_of(name)),
        st.sampled_from((strategy.generated and isas) or ["native"]),
    )


# Mostly tiny and odd; now and then beyond one tile of rows, columns or reduction steps.
SIZES = st.one_of(st.integers(1, 9), st.integers(1, 40), st.sampled_from([127, 129, 257, 300]))
PROBLEMS = st.builds(Gemm, m=SIZES, n=SIZES, k=SIZES, batch=st.sampled_from([1, 1, 2, 3])).filter(
    lambda g: g.macs < 3_000_000
)


def operands(g, dtype, seed):
    """Return positive operands: no sum cancels, so every element has the same relative error."""
    random = np.random.default_rng(seed)
    kind = DTYPES[dtype].numpy
    return tuple(random.uniform(0.25, 1, shape).astype(kind) for shape in (g.a_shape, g.b_shape))


def prepared_for(g, name, setting, seed=0):
    """Return a bound strategy, the operands and the reference."""
    a, b = operands(g, setting.dtype, seed)
    prepared = convprof.prepare(
        g, name, setting.layout, setting.threads, setting.dtype, isa=setting.isa
    )
    prepared.bind(a, b)
    return prepared, (a, b), g.reference((a, b))


def error(prepared, reference):
    c = prepared.output()
    assert reference.shape == c.shape
    return np.max(np.abs(c - reference)) / np.max(np.abs(reference))


def check(g, name, setting, seed=0):
    prepared, _, reference = prepared_for(g, name, setting, seed)
    prepared.run()
    assert DTYPES[setting.dtype].numpy == prepared.output().dtype
    assert error(prepared, reference) < TOLERANCE[setting.dtype]
    first = prepared.output().tobytes()
    prepared.output().fill(-1)  # so that the second run has to write everything again
    prepared.run()
    assert first == prepared.output().tobytes()
    prepared.close()


# What took a branch that none of 21 to 89 examples before it had taken; no other of 120 did.
RARE = {
    "fma": [(Gemm(m=3, n=3, k=3), Setting("nchw", "f32", 1, "avx2"), 694)],
    "packed": [
        (Gemm(m=257, n=6, k=18, batch=3), Setting("nchw", "f64", THREADS[-1], "avx512"), 306),
        (Gemm(m=257, n=257, k=1, batch=3), Setting("nhwc", "f32", 1, "avx2"), 329),
        (Gemm(m=31, n=9, k=129, batch=3), Setting("nchw", "f64", THREADS[-1], "avx512"), 39),
    ],
    "prepacked": [
        (Gemm(m=257, n=6, k=18, batch=3), Setting("nchw", "f64", THREADS[-1], "avx512"), 306)
    ],
}


@each_strategy
def test_random_problems(name):
    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(
        PROBLEMS,
        any_setting(name),
        st.integers(0, 999),
    )
    def problem(g, setting, seed):
        check(g, name, setting, seed)

    with_examples(problem, RARE.get(name, []))()


CASES = {
    "one element": Gemm(m=1, n=1, k=1),
    "dot product": Gemm(m=1, n=1, k=1000),
    "outer product": Gemm(m=70, n=300, k=1),
    "matrix times vector": Gemm(m=333, n=1, k=65),
    "vector times matrix": Gemm(m=1, n=517, k=65),
    "one step beyond four": Gemm(m=5, n=5, k=5),
    "one step before four": Gemm(m=3, n=3, k=3),
    "beyond one tile each way": Gemm(m=133, n=258, k=101),
    "a thin batch": Gemm(m=3, n=5, k=7, batch=11),
    "attention": Gemm(m=40, n=40, k=64, batch=4),
}


@each_strategy
@pytest.mark.parametrize("case", CASES)
def test_particular_problems(case, name):
    for dtype, threads in zip(COMMON, (threads_of(name)[-1], threads_of(name)[0]), strict=True):
        check(CASES[case], name, Setting("nchw", dtype, threads))


@each_strategy
@pytest.mark.parametrize("l1_bytes", [1, 2048, 1 << 30])
def test_any_size_of_the_first_cache(monkeypatch, l1_bytes, name):
    monkeypatch.setattr(offset_gemm, "l1_data_bytes", lambda: l1_bytes)
    for threads in threads_of(name):
        check(Gemm(m=37, n=70, k=61, batch=2), name, Setting("nchw", "f32", threads))


@each_strategy
def test_work_in_slices_that_can_be_interrupted(monkeypatch, name):
    monkeypatch.setattr(plan_runner, "UNINTERRUPTED_MACS", 5_000)
    for threads in threads_of(name):
        check(Gemm(m=37, n=70, k=61, batch=2), name, Setting("nchw", "f32", threads))
        check(Gemm(m=1, n=1, k=30_000), name, Setting("nchw", "f64", threads))


@each_strategy
def test_two_prepared_objects_agree_to_the_bit_and_share_nothing(name):
    g = CASES["beyond one tile each way"]
    for threads in threads_of(name):
        setting = Setting("nchw", "f32", threads)
        one, _, reference = prepared_for(g, name, setting, seed=1)
        two, _, _ = prepared_for(g, name, setting, seed=1)
        other, _, other_reference = prepared_for(g, name, setting, seed=2)
        for prepared in (one, two, other):
            prepared.run()
        assert one.output().tobytes() == two.output().tobytes()
        assert error(one, reference) < 1e-5
        assert error(other, other_reference) < 1e-5


@alone
def test_binding_again_and_changing_an_operand_in_place(name):
    g = CASES["attention"]
    prepared, _, _ = prepared_for(g, name, Setting(), seed=1)
    prepared.run()
    a, b = operands(g, "f32", 2)
    prepared.bind(a, b)
    before = a.tobytes(), b.tobytes()
    prepared.run()
    assert before == (a.tobytes(), b.tobytes())
    assert error(prepared, g.reference((a, b))) < 1e-5

    a *= 2
    prepared.run()
    assert error(prepared, g.reference((a, b))) < 1e-5


@alone
def test_operands_of_another_type_or_order_are_converted(name):
    g = Gemm(m=6, n=7, k=5)
    prepared, (a, b), reference = prepared_for(g, name, Setting())
    prepared.bind(np.asfortranarray(a.astype(np.float64)), b[::-1][::-1])
    prepared.run()
    assert error(prepared, reference) < 1e-5
    assert prepared.output().dtype == np.float32


@each_strategy
def test_running_allocates_no_arrays(name):
    g = Gemm(m=150, n=140, k=160)
    for threads in threads_of(name):
        prepared, _, _ = prepared_for(g, name, Setting("nchw", "f32", threads))
        assert most_allocated(prepared) < 16_384  # each matrix has over 80,000 bytes


@alone
@pytest.mark.parametrize("dtype", COMMON)
def test_workspace_bytes_equal_the_arrays(dtype, name):
    for case in ("beyond one tile each way", "attention"):
        prepared, _, _ = prepared_for(CASES[case], name, Setting("nchw", dtype))
        theirs = [prepared._arrays[key] for key in (X, WEIGHTS, Y)]
        ours = [array for array in prepared.memory() if not any(array is item for item in theirs)]
        assert len(prepared.memory()) == len(ours) + len(theirs)
        uncounted = sum(array.nbytes for array in ours) - prepared.workspace_bytes
        assert uncounted == 0


@alone
def test_one_phase(name):
    g = CASES["attention"]
    prepared, _, reference = prepared_for(g, name, Setting())
    assert prepared.run_phases() == {}
    assert error(prepared, reference) < 1e-5
    assert (prepared.executed_flops() == g.flops) is (name != "strassen")


@alone
def test_refusals(name):
    strategy = registry.find("gemm", name)
    g = CASES["attention"]
    assert strategy.why_not(g, Setting()) is None
    assert strategy.why_not(g, Setting(layout="nhwc")) is None
    some = listed(map(short_name, strategy.dtypes), "and")
    reason = f"{name} computes {some}, not u8:u8:s32"
    assert strategy.why_not(g, Setting(dtype="u8:u8:s32")).startswith(reason)
    assert set(COMMON) <= set(strategy.dtypes) <= set(PRODUCTS)
    conv = Conv2d(c=1, h=1, w=1, k=1, r=1, s=1)
    assert strategy.why_not(conv, Setting()) == f"{name} computes gemm, not conv2d"
    serial = f"{name} runs on one thread, not 2"
    expected = None if strategy.parallel else serial
    assert expected == strategy.why_not(g, Setting(threads=2))


@pytest.mark.skipif("sse" not in available(), reason="no SSE")
def test_fma_needs_an_instruction_set_with_the_instruction():
    strategy, g = registry.find("gemm", "fma"), CASES["attention"]
    reason = "fma needs fused multiply-adds, which sse does not have"
    assert strategy.why_not(g, Setting(isa="sse")) == reason
    assert registry.find("gemm", "vectorized").why_not(g, Setting(isa="sse")) is None


@alone
def test_what_does_not_fit_is_refused_before_it_is_allocated(monkeypatch, name):
    def allocate(*_):
        raise AssertionError

    g = Gemm(m=512, n=512, k=512)
    workspace = convprof.prepare(g, strategy=name).workspace_bytes / (1 << 20)
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 << 20)
    monkeypatch.setattr(memory, "zeros", allocate)
    with pytest.raises(TooLargeError) as caught:
        convprof.prepare(g, strategy=name)
    text = str(caught.value)
    found = re.match(
        f"{name} of 512x512:512x512 needs ([0-9.]+) MiB of memory and 2 MiB are ", text
    )
    # Besides the operands: tables of tiles and a block's panels, as many as suit the caches.
    assert 3 + workspace == pytest.approx(float(found[1]), rel=0.05)
    assert "\n" not in text


def test_blas_runs_on_the_settings_threads_and_gives_them_back():
    libraries = blas()._libraries
    if not libraries:
        pytest.skip("no BLAS library found behind NumPy")
    blas().release()
    before = [library.num_threads for library in libraries]
    sets = [prepared_for(CASES["attention"], "blas", Setting("nchw", "f32", t)) for t in THREADS]
    for _ in range(2):
        for threads, (prepared, _, reference) in zip(THREADS, sets, strict=True):
            prepared.run()
            assert [library.num_threads for library in libraries] == [threads] * len(libraries)
            assert error(prepared, reference) < 1e-5
    for prepared, _, _ in sets:
        prepared.close()
    assert before == [library.num_threads for library in libraries]


@pytest.mark.parametrize("problem", [Gemm(m=9, n=8, k=7), Conv2d(c=3, h=9, w=9, k=4, r=3, s=3)])
def test_threaded_on_one_thread_would_be_tiled(problem):
    threaded = registry.find(problem.kind, "threaded")
    reason = "threaded needs at least 2 threads; on one thread tiled is the same"
    assert threaded.why_not(problem, Setting()) == reason
    assert threaded.why_not(problem, Setting(threads=2)) is None
