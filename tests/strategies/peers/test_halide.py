"""Halide's schedules against the oracle, the threads they use, and what they refuse."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.dtypes import DTYPES, F32
from convprof.errors import ProblemError, RefusedError, TooLargeError
from convprof.measure.idle import settle
from convprof.problems import Conv2d, Gemm
from convprof.strategies import memory, registry
from convprof.strategies.base import Setting
from convprof.strategies.peers import package
from convprof.strategies.peers.halide import autoschedulers, prepared, sharing, tuned
from convprof.strategies.peers.halide.algorithm import conv_shape, gemm_shape
from convprof.strategies.peers.halide.forms import Form
from convprof.strategies.peers.halide.sharing import Share, share
from convprof.strategies.peers.halide.tuned import Core

ONE_THREAD = ["halide-default", "halide-reorder", "halide-tile", "halide-tile-vectorize"]
BY_HAND = [*ONE_THREAD, "halide-parallel", "halide-unroll", "halide-tuned"]
FOUND = ["halide-mullapudi2016", "halide-li2018", "halide-adams2019"]
TOLERANCE = {"f32": 1e-5, "f64": 1e-13}
CONV = Conv2d(n=2, c=8, h=9, w=7, k=12, r=3, s=2, stride=(2, 1), pad=(1, 0, 2, 1), groups=4)
GEMM = Gemm(m=17, n=23, k=40)

needs_halide = pytest.mark.skipif(
    importlib.util.find_spec("halide") is None,
    reason="halide not installed: pip install 'convprof[peers]'",
)
needs_two = pytest.mark.skipif(
    sharing.pool_size() < 2, reason="Halide's pool has one thread here, so nothing is shared"
)


def operands(p, setting, seed=0):
    """Return positive operands in NCHW: no sum cancels, so all have the same relative error."""
    random = np.random.default_rng(seed)
    kind = DTYPES[setting.dtype].numpy
    return [
        random.uniform(0.25, 1, shape).astype(kind)
        for shape in tuple(spec.shape for spec in p.operands("nchw", F32))
    ]


def laid_out(p, x, setting):
    turned = p.kind == "conv2d" and setting.layout == "nhwc"
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if turned else x


def bound(p, name, setting, seed=0):
    x, weights = operands(p, setting, seed)
    made = registry.find(p.kind, name).prepare(p, setting)
    made.bind(laid_out(p, x, setting), weights)
    return made, x, weights


def error(made, x, weights):
    p, y = made.problem, made.output()
    assert y.flags.c_contiguous
    assert (y.shape, y.dtype) == (p.result(made.setting.layout, F32).shape, x.dtype)
    if p.kind == "conv2d" and made.setting.layout == "nhwc":
        y = y.transpose(0, 3, 1, 2)
    reference = p.reference((x, weights))
    return np.max(np.abs(y - reference)) / (np.max(np.abs(reference)) or 1e-300)


def check(p, name, setting, seed=0):
    made, x, weights = bound(p, name, setting, seed)
    made.output().fill(-1)  # so that everything has to be written
    made.run()
    assert error(made, x, weights) < TOLERANCE[setting.dtype]


def threads_of(name):
    return 1 if name in ONE_THREAD else min(2, sharing.pool_size())


@st.composite
def convolutions(draw):
    """Draw any convolution of small sizes; depthwise ones among them."""
    taps, steps = st.integers(1, 3), st.sampled_from([1, 1, 2, 3])
    r, s = draw(taps), draw(taps)
    dilation = draw(st.tuples(steps, steps))
    pad = draw(st.tuples(*[st.sampled_from([0, 0, 1, 2, 5])] * 4))
    more = st.sampled_from([0, 1, 6, 17, 35])
    groups = draw(st.sampled_from([1, 1, 2, 3, 18]))
    per_group = st.just(1) if groups == 18 else st.sampled_from([1, 2, 3, 5, 16, 33])
    return Conv2d(
        n=draw(st.integers(1, 2)),
        c=groups * draw(per_group),
        h=max(1, (r - 1) * dilation[0] + 1 - pad[0] - pad[2]) + draw(more),
        w=max(1, (s - 1) * dilation[1] + 1 - pad[1] - pad[3]) + draw(more),
        k=groups * draw(per_group),
        r=r,
        s=s,
        stride=draw(st.tuples(steps, steps)),
        pad=pad,
        dilation=dilation,
        groups=groups,
    )


SIZES = st.one_of(st.integers(1, 9), st.sampled_from([16, 33, 64, 127]))
PRODUCTS = st.builds(Gemm, m=SIZES, n=SIZES, k=SIZES, batch=st.sampled_from([1, 1, 2, 3]))
SETTINGS = st.builds(Setting, st.sampled_from(["nchw", "nhwc"]), st.sampled_from(["f32", "f64"]))


@needs_halide
@pytest.mark.parametrize(("problems", "count"), [(convolutions(), 10), (PRODUCTS, 8)])
@pytest.mark.parametrize("names", [BY_HAND[:-1], ["halide-tuned"]], ids=["ladder", "tuned"])
def test_random_problems(names, problems, count):
    # A compilation takes 0.1 to 0.3 s, so there are few of them.
    @settings(max_examples=count, deadline=None, derandomize=True)
    @given(problems, st.sampled_from(names), SETTINGS, st.booleans(), st.integers(0, 999))
    def problem(p, name, setting, shared, seed):
        threads = threads_of(name) if shared else 1
        check(p, name, Setting(setting.layout, setting.dtype, threads), seed)

    problem()


@needs_halide
@pytest.mark.parametrize("name", [*BY_HAND, "halide-mullapudi2016"])
@pytest.mark.parametrize(
    ("p", "layout"), [(CONV, "nchw"), (CONV, "nhwc"), (GEMM, "nchw")], ids=["nchw", "nhwc", "gemm"]
)
def test_every_schedule(name, p, layout):
    check(p, name, Setting(layout, threads=threads_of(name)))


@needs_halide
@pytest.mark.parametrize(
    "p",
    [
        Conv2d(c=16, h=7, w=7, k=64, r=3, s=3, pad=(1, 1)),
        Conv2d(c=3, h=21, w=33, k=16, r=7, s=7, stride=(2, 2), pad=(3, 3)),
        Conv2d(n=2, c=35, h=9, w=9, k=35, r=3, s=3, pad=(1, 1), groups=35),
        # One output channel a group, fewer groups than a vector, several input channels.
        Conv2d(c=99, h=1, w=1, k=3, r=1, s=1, groups=3),
        Gemm(m=1, n=300, k=257),
        Gemm(m=70, n=1, k=65),
    ],
    ids=lambda p: p.descriptor,
)
def test_tuned_shapes_of_networks(p):
    for layout in ("nchw", "nhwc") if p.kind == "conv2d" else ("nchw",):
        check(p, "halide-tuned", Setting(layout, threads=min(2, sharing.pool_size())))


@needs_halide
def test_blocks_of_rows_that_do_not_divide_the_rows(monkeypatch):
    monkeypatch.setattr(tuned.memory, "l2_bytes", lambda: 1 << 14)
    for threads in (1, threads_of("halide-tuned")):
        check(Gemm(m=173, n=70, k=33), "halide-tuned", Setting(threads=threads))


@needs_halide
def test_weights_beyond_the_cache(monkeypatch):
    monkeypatch.setattr(tuned.memory, "l2_bytes", lambda: 1 << 10)
    p = Conv2d(n=2, c=6, h=9, w=9, k=150, r=3, s=3)
    for layout in ("nchw", "nhwc"):
        check(p, "halide-tuned", Setting(layout))


@needs_halide
@needs_two
def test_li2018_shares_its_loops():
    name, pool = "halide-li2018", sharing.pool_size()
    check(GEMM, name, Setting(threads=pool))
    with pytest.raises(RefusedError, match=f"{name} finds a parallel schedule only, for all"):
        registry.find("gemm", name).prepare(GEMM, Setting())


@needs_halide
def test_adams2019():
    check(GEMM, "halide-adams2019", Setting())


def processor_time_of_others(made, seconds=0.2):
    """Return the share of other threads in the processor time while ``run()`` is called.

    Of the processor time, not of the elapsed one: on a busy machine all threads get little.
    """
    made.run()
    settle()
    mine, start = time.thread_time(), time.process_time()
    while (spent := time.process_time() - start) < seconds:
        made.run()
    return 1 - (time.thread_time() - mine) / spent


@needs_halide
@needs_two
@pytest.mark.parametrize("name", ["halide-parallel", "halide-tuned", "halide-mullapudi2016"])
def test_one_thread_is_one_though_the_pool_has_more(name):
    # The pool never shrinks: its threads are there from the first parallel loop on.
    p = Gemm(m=512, n=512, k=512)
    # An autoscheduler's loops take the whole pool, others are cut into strips, one a thread.
    many = sharing.pool_size() if name in FOUND else 2
    both, alone = (bound(p, name, Setting(threads=t))[0] for t in (many, 1))
    # On a busy machine a thread may get no processor for a while, or be counted late.
    assert max(processor_time_of_others(both) for _ in range(3)) > 0.05
    # What others did before shows up to a tick late: 4 to 10 ms of these 200.
    assert min(processor_time_of_others(alone) for _ in range(3)) < 0.06


@needs_halide
def test_binding_again_and_changing_the_activation_in_place():
    for name in ("halide-tuned", "halide-reorder"):
        for p, setting in ((CONV, Setting("nhwc")), (GEMM, Setting(dtype="f64"))):
            made, _, _ = bound(p, name, setting, seed=1)
            compile_s = made.compile_s
            x, weights = operands(p, setting, 2)
            mine = laid_out(p, x, setting).copy()
            made.bind(mine, weights)
            before = mine.tobytes(), weights.tobytes()
            made.run()
            assert before == (mine.tobytes(), weights.tobytes())
            assert error(made, x, weights) < TOLERANCE[setting.dtype]

            mine *= 2
            made.run()
            assert error(made, 2 * x, weights) < TOLERANCE[setting.dtype]
            assert made.compile_s == compile_s > 0


@needs_halide
def test_operands_that_cannot_be_written_or_have_another_shape():
    x, weights = operands(CONV, Setting())
    x.flags.writeable = weights.flags.writeable = False
    made = registry.find("conv2d", "halide-unroll").prepare(CONV, Setting())
    assert made.memory() == []
    with pytest.raises(ProblemError, match=r"weights has shape \(12, 2, 3\); this problem needs"):
        made.bind(x, weights[..., 0])
    made.bind(x, weights)
    made.run()
    assert error(made, x, weights) < 1e-5
    nbytes = x.nbytes + weights.nbytes + made.output().nbytes
    assert sum(array.nbytes for array in made.memory()) == nbytes


@needs_halide
def test_an_error_of_halides_is_a_refusal(monkeypatch):
    def broken(nest, *_):
        raise nest.hl.HalideError("Error: no\n such thing\n")

    monkeypatch.setattr(prepared.tuned, "scheduled", broken)
    with pytest.raises(RefusedError, match=r"^halide-tuned: Halide cannot compile this: Error: no"):
        registry.find("gemm", "halide-tuned").prepare(GEMM, Setting())


@needs_halide
def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 << 20)
    with pytest.raises(TooLargeError, match=r"halide-tile of 1024x1024:1024x1024 needs 20 MiB"):
        registry.find("gemm", "halide-tile").prepare(Gemm(m=1024, n=1024, k=1024), Setting())


@needs_halide
def test_an_autoscheduler_that_the_package_lacks():
    with pytest.raises(RefusedError, match="halide comes without the autoscheduler zzz"):
        autoschedulers.loaded("zzz")


def test_names_are_the_same_for_both_kinds():
    for kind in ("conv2d", "gemm"):
        names = [s.name for s in registry.strategies(kind) if s.name.startswith("halide")]
        assert names == [*BY_HAND, *FOUND]
        assert all(registry.find(kind, name).role.is_peer for name in names)
        assert not any(registry.find(kind, name).role.is_listed for name in names)


def refusal(name, p, setting, monkeypatch, pool=4, *, here=True):
    monkeypatch.setattr(sharing, "pool_size", lambda: pool)
    monkeypatch.setattr(package.importlib.util, "find_spec", lambda _: object() if here else None)
    return registry.find(p.kind, name).why_not(p, setting)


def test_threads_beyond_or_within_the_pool(monkeypatch):
    reason = refusal("halide-tuned", GEMM, Setting(threads=5), monkeypatch)
    assert reason == (
        "halide-tuned has a pool of 4 threads here, not 5: set HL_NUM_THREADS=5 before the start"
    )
    assert refusal("halide-tuned", GEMM, Setting(threads=3), monkeypatch) is None
    reason = refusal("halide-adams2019", GEMM, Setting(threads=3), monkeypatch)
    assert reason == (
        "halide-adams2019 shares its loops among all 4 threads of Halide's pool, not 3: "
        "set HL_NUM_THREADS=3 before the start"
    )
    for threads in (1, 4):
        assert refusal("halide-adams2019", GEMM, Setting(threads=threads), monkeypatch) is None
    reason = refusal("halide-tile", GEMM, Setting(threads=2), monkeypatch)
    assert reason == "halide-tile runs on one thread, not 2"


def test_large_arrays_and_a_missing_package(monkeypatch):
    large = Gemm(m=1 << 15, n=1, k=1 << 14)
    reason = refusal("halide-tuned", large, Setting(), monkeypatch)
    assert reason == "halide-tuned takes arrays of up to 2 GiB; the largest here has 2 GiB"
    reason = refusal("halide-tuned", GEMM, Setting(), monkeypatch, here=False)
    assert reason == "halide is not installed: pip install 'convprof[peers]'"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 6),
        ({"HL_NUM_THREADS": "3"}, 3),
        ({"HL_NUMTHREADS": "2"}, 2),
        ({"HL_NUM_THREADS": "0"}, 1),
        ({"HL_NUM_THREADS": "many"}, 1),
    ],
)
def test_the_pools_size(monkeypatch, environment, expected):
    for name in sharing.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sharing.os, "cpu_count", lambda: 6)
    assert expected == sharing.pool_size.__wrapped__()


def test_all_of_the_pool_takes_several_strips(monkeypatch):
    monkeypatch.setattr(sharing, "pool_size", lambda: 2)
    assert share({"p": 56}, 2) == Share("p", 7)
    assert share({"i": 74}, 2) == Share("i", 3)
    assert share({"i": 10}, 2) == Share("i", 1)
    assert share({"k": 2}, 2) == Share("k", 1)


def test_the_best_balanced_loop_is_shared_in_one_strip_a_thread(monkeypatch):
    monkeypatch.setattr(sharing, "pool_size", lambda: 16)
    assert share({"n": 1, "k": 8, "p": 7}, 2) == Share("k", 4)
    assert share({"n": 4, "k": 8}, 2) == Share("n", 2)
    assert share({"n": 3, "p": 56}, 4) == Share("p", 14)
    assert share({"n": 3, "p": 2}, 8) == Share("n", 1)
    assert share({"n": 1, "p": 1}, 2) is None
    assert share({"n": 4}, 1) is None


def test_forms():
    weights = np.arange(2 * 5 * 3).reshape(2, 5, 3)  # k, c, r
    sizes = {"k": 2, "c": 5, "r": 3}
    plain, panels = Form("rck"), Form("kCrc", 4)
    assert plain.shape(sizes) == (3, 5, 2)
    assert panels.shape(sizes) == (2, 2, 3, 4)
    packed = panels.arranged(weights, "kcr")
    assert packed.shape == (2, 2, 3, 4)
    for (k, c, r), value in np.ndenumerate(weights):
        place = {"k": k, "c": c, "r": r}
        assert plain.arranged(weights, "kcr")[tuple(plain.at(place)[::-1])] == value
        assert packed[tuple(panels.at(place)[::-1])] == value
    assert packed[:, 1, :, 1:].max() == 0
    assert np.shares_memory(Form("kcr").arranged(weights, "kcr"), weights)


@pytest.mark.parametrize("registers", [16, 32])
@pytest.mark.parametrize("vector", [4, 8, 16])
def test_tiles_fit_registers_and_shapes(vector, registers):
    depthwise = Conv2d(c=20, h=9, w=11, k=20, r=3, s=3, groups=20)
    for shape in (
        gemm_shape(GEMM),
        gemm_shape(Gemm(m=1024, n=1024, k=1024)),
        *(conv_shape(p, layout) for p in (CONV, depthwise) for layout in ("nchw", "nhwc")),
    ):
        tile = tuned.chosen(shape, Core(vector, registers))
        assert 1 <= tile.rows <= shape.sizes[tile.row]
        assert tile.rows * tile.vectors + tile.vectors < registers
        assert tile.packed or tile.width <= shape.sizes[tile.column]
        assert tile.vector <= vector
    assert tuned.chosen(gemm_shape(Gemm(m=1024, n=1024, k=1024)), Core(16, 32)).width >= 32


ASK = """
import sys
from convprof.problems import Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting
for strategy in registry.strategies("gemm"):
    strategy.why_not(Gemm(m=2, n=2, k=2), Setting())
print("halide" in sys.modules)
"""


def test_asking_does_not_import_it():
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "False", "")
