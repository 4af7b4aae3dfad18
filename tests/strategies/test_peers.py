"""The libraries against the oracle, and what they say when they are not installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convprof
from convprof.dtypes import COMMON, DTYPES, F32, listed, short_name
from convprof.errors import ConvprofError, ProblemError, RefusedError, TooLargeError
from convprof.machine import facts
from convprof.problems import Attention, Conv2d, Gemm
from convprof.strategies import memory, registry
from convprof.strategies.base import Setting
from convprof.strategies.peers import package
from convprof.strategies.peers.torch import state
from convprof.studies.run import Choice, contestants

PACKAGES = {
    "torch": ["torch"],
    "onnxruntime": ["onnxruntime", "onnx"],
    "openvino": ["openvino"],
}
THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
TOLERANCE = {"f32": 1e-5, "f64": 1e-13}
CONV = Conv2d(n=2, c=8, h=9, w=7, k=12, r=3, s=2, stride=(2, 1), pad=(1, 0, 2, 1), groups=4)
GEMM = Gemm(m=17, n=23, k=40)


def skip_without(name):
    missing = [item for item in PACKAGES[name] if importlib.util.find_spec(item) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: pip install 'convprof[peers]'")


def takes(p, name):
    """Return the settings that a library takes, one of each layout and dtype."""
    asked = [Setting(layout, dtype) for layout in ("nchw", "nhwc") for dtype in COMMON]
    return [s for s in asked if registry.find(p.kind, name).why_not(p, s) is None]


each_library = pytest.mark.parametrize("name", PACKAGES)


@st.composite
def convolutions(draw):
    """Draw any convolution of small sizes; depthwise ones among them."""
    taps, steps = st.integers(1, 4), st.sampled_from([1, 1, 2, 3])
    r, s = draw(taps), draw(taps)
    dilation = draw(st.tuples(steps, steps))
    pad = draw(st.tuples(*[st.sampled_from([0, 0, 1, 2, 5])] * 4))
    least_h = max(1, (r - 1) * dilation[0] + 1 - pad[0] - pad[2])
    least_w = max(1, (s - 1) * dilation[1] + 1 - pad[1] - pad[3])
    groups = draw(st.sampled_from([1, 1, 2, 3, 16]))
    per_group = st.just(1) if groups == 16 else st.sampled_from([1, 2, 3, 5, 16])
    return Conv2d(
        n=draw(st.integers(1, 3)),
        c=groups * draw(per_group),
        h=least_h + draw(st.integers(0, 7)),
        w=least_w + draw(st.integers(0, 7)),
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


def operands(p, dtype, seed):
    """Return positive operands in NCHW: no sum cancels, so all have the same relative error."""
    random = np.random.default_rng(seed)
    kind = DTYPES[dtype].numpy
    return [
        random.uniform(0.25, 1, shape).astype(kind)
        for shape in tuple(spec.shape for spec in p.operands("nchw", F32))
    ]


def laid_out(p, x, layout):
    turned = p.kind == "conv2d" and layout == "nhwc"
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if turned else x


def error(p, prepared, x, weights):
    y = prepared.output()
    assert y.flags.c_contiguous
    assert y.shape == p.result(prepared.setting.layout, F32).shape
    assert y.dtype == x.dtype
    if p.kind == "conv2d" and prepared.setting.layout == "nhwc":
        y = y.transpose(0, 3, 1, 2)
    reference = p.reference((x, weights))
    # All outputs may be in the padding: then they are exactly 0.
    return np.max(np.abs(y - reference)) / (np.max(np.abs(reference)) or 1e-300)


def bound(p, name, setting, seed=0):
    x, weights = operands(p, setting.dtype, seed)
    prepared = convprof.prepare(p, name, setting.layout, setting.threads, setting.dtype)
    prepared.bind(laid_out(p, x, setting.layout), weights)
    return prepared, x, weights


def check(p, name, setting, seed=0):
    prepared, x, weights = bound(p, name, setting, seed)
    prepared.run()
    prepared.output().fill(-1)  # so that the second run has to write everything again
    prepared.run()
    assert error(p, prepared, x, weights) < TOLERANCE[setting.dtype]
    prepared.close()


@each_library
@pytest.mark.parametrize("problems", [convolutions(), PRODUCTS], ids=["conv2d", "gemm"])
def test_random_problems(name, problems):
    skip_without(name)

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(problems, st.sampled_from(THREADS), st.integers(0, 999))
    def problem(p, threads, seed):
        for setting in takes(p, name):
            check(p, name, Setting(setting.layout, setting.dtype, threads), seed)

    problem()


@each_library
@pytest.mark.parametrize(
    "p",
    [
        Conv2d(c=64, h=7, w=7, k=64, r=3, s=3, pad=(1, 1)),
        Conv2d(c=3, h=35, w=33, k=16, r=7, s=7, stride=(2, 2), pad=(3, 3)),
        Conv2d(n=2, c=32, h=9, w=9, k=32, r=3, s=3, pad=(1, 1), groups=32),
        Conv2d(c=1, h=28, w=28, k=8, r=5, s=5, pad=(2, 2)),
        Conv2d(c=48, h=6, w=5, k=40, r=1, s=1),
        Gemm(m=1, n=300, k=257),
        Gemm(m=70, n=1, k=65),
        Gemm(m=197, n=96, k=64),
    ],
    ids=lambda p: p.descriptor,
)
def test_shapes_of_networks(name, p):
    skip_without(name)
    for setting in takes(p, name):
        for threads in THREADS:
            check(p, name, Setting(setting.layout, setting.dtype, threads))


def test_who_takes_what():
    for name in PACKAGES:
        skip_without(name)
    nchw, nhwc, wide = Setting(), Setting("nhwc"), Setting(dtype="f64")
    assert takes(CONV, "torch") == [nchw, wide, nhwc, Setting("nhwc", "f64")]
    assert takes(CONV, "onnxruntime") == [nchw]
    assert takes(CONV, "openvino") == [nchw, nhwc]
    assert takes(GEMM, "onnxruntime") == [nchw, wide, nhwc, Setting("nhwc", "f64")]

    onnx, openvino = registry.find("conv2d", "onnxruntime"), registry.find("gemm", "openvino")
    assert onnx.why_not(CONV, nhwc) == "onnxruntime computes nchw on CPUs, not nhwc"
    known = listed(map(short_name, openvino.dtypes), "and")
    assert openvino.why_not(GEMM, wide) == f"openvino computes {known} here, not f64"
    large = Conv2d(c=1 << 15, h=1, w=1, k=1 << 15, r=1, s=1)
    assert onnx.why_not(large, nchw).startswith("onnxruntime takes models of up to 2 GiB")


@each_library
@pytest.mark.parametrize("p", [CONV, GEMM], ids=["conv2d", "gemm"])
def test_binding_again_and_changing_the_activation_in_place(name, p):
    skip_without(name)
    for setting in takes(p, name):
        prepared, _, _ = bound(p, name, setting, seed=1)
        x, weights = operands(p, setting.dtype, 2)
        mine = laid_out(p, x, setting.layout).copy()
        prepared.bind(mine, weights)
        before = mine.tobytes(), weights.tobytes()
        prepared.run()
        assert before == (mine.tobytes(), weights.tobytes())
        assert error(p, prepared, x, weights) < TOLERANCE[setting.dtype]

        mine *= 2
        prepared.run()
        assert error(p, prepared, 2 * x, weights) < TOLERANCE[setting.dtype]
        prepared.close()


@each_library
def test_operands_that_cannot_be_written_or_have_another_type(name):
    skip_without(name)
    x, weights = operands(CONV, "f64", 0)
    x.flags.writeable = weights.flags.writeable = False
    prepared = convprof.prepare(CONV, name)
    prepared.bind(x.astype("f4"), weights)
    frozen = x.astype("f4")
    frozen.flags.writeable = False
    prepared.bind(frozen, weights.astype("f4"))
    prepared.run()
    assert error(CONV, prepared, x.astype("f4"), weights) < 1e-5
    prepared.close()


@each_library
def test_operands_of_another_shape_and_results_of_nothing(name):
    skip_without(name)
    x, weights = operands(CONV, "f32", 0)
    prepared = convprof.prepare(CONV, name)
    with pytest.raises(ConvprofError, match="nothing is bound yet"):
        prepared.output()
    assert prepared.memory() == []
    with pytest.raises(ProblemError, match=r"weights has shape \(12, 2, 3\); this problem needs"):
        prepared.bind(x, weights[..., 0])
    prepared.close()


@each_library
def test_the_books_are_kept(name):
    skip_without(name)
    prepared, x, weights = bound(CONV, name, Setting())
    prepared.run()
    arrays = prepared.memory()
    assert (
        sum(array.nbytes for array in arrays)
        == x.nbytes + weights.nbytes + CONV.n * CONV.k * CONV.p * CONV.q * 4
    )
    assert prepared.workspace_bytes is None
    assert 0 <= prepared.prepare_s < 10
    assert 0 < prepared.compile_s < 60
    assert prepared.executed_flops() == CONV.flops
    prepared.close()


@each_library
def test_what_does_not_fit_is_refused(monkeypatch, name):
    skip_without(name)
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 << 20)
    p = Conv2d(c=64, h=112, w=112, k=64, r=3, s=3, pad=(1, 1))
    with pytest.raises(TooLargeError, match=f"{name} of mb1ic64ih112.* needs 6\\.[4-9] MiB"):
        convprof.prepare(p, name)


def test_torch_runs_on_the_settings_threads_in_true_f32_and_gives_both_back():
    skip_without("torch")
    torch = state.torch().module
    state.torch().release()
    before = torch.get_num_threads()
    sets = [(threads, bound(CONV, "torch", Setting(threads=threads))[0]) for threads in THREADS]
    for _ in range(2):
        for threads, prepared in sets:
            prepared.run()
            assert torch.get_num_threads() == threads
    for _, prepared in sets:
        prepared.close()
    assert torch.get_num_threads() == before

    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    if not hasattr(matmul, "fp32_precision"):
        pytest.skip("this PyTorch has no fp32_precision to hold")
    found = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        prepared, a, b = bound(Gemm(m=64, n=64, k=64), "torch", Setting())
        prepared.run()
        assert matmul.fp32_precision == "ieee"
        assert error(prepared.problem, prepared, a, b) < 1e-5
        prepared.close()
        assert matmul.fp32_precision == "bf16"
    finally:
        matmul.fp32_precision = found


def test_openvino_refuses_more_threads_than_it_would_use():
    skip_without("openvino")
    strategy = registry.find("gemm", "openvino")
    prepared = strategy.prepare(GEMM, Setting(threads=4096))
    with pytest.raises(RefusedError, match=r"openvino would run on \d+ threads here, not 4096"):
        prepared.bind(*operands(GEMM, "f32", 0))


def test_without_the_packages_the_way_out_is_named(monkeypatch):
    here = {"onnxruntime"}
    monkeypatch.setattr(
        package.importlib.util, "find_spec", lambda name: object() if name in here else None
    )
    reasons = {
        name: registry.find("conv2d", name).why_not(CONV, Setting(threads=2)) for name in PACKAGES
    }
    way_out = "is not installed: pip install 'convprof[peers]'"
    assert reasons == {
        "torch": f"torch {way_out} (the CPU build is enough)",
        "onnxruntime": f"onnxruntime needs onnx, which {way_out}",
        "openvino": f"openvino {way_out}",
    }


def test_a_broken_package_is_refused_too(monkeypatch):
    def broken(_):
        raise OSError("libfoo.so: cannot open shared object file\nmore")

    monkeypatch.setattr(package.importlib, "import_module", broken)
    with pytest.raises(RefusedError) as caught:
        package.load("torch")
    text = "torch is installed but cannot be imported: libfoo.so: cannot open shared object file"
    assert str(caught.value) == text


def test_the_fastest_way_is_found():
    calls = []

    def wait(seconds):
        def way():
            calls.append(seconds)
            package.time.sleep(seconds)

        return way

    assert package.fastest([wait(0.004), wait(0.001), wait(0.008)]) == 1
    assert set(calls) == {0.004, 0.001, 0.008}
    assert package.fastest([wait(5)]) == 0


@pytest.mark.parametrize("p", [CONV, GEMM], ids=["conv2d", "gemm"])
def test_libraries_take_part_when_they_are_named(p):
    names = {c.strategy.name for c in contestants(p, Choice())}
    assert names.isdisjoint(PACKAGES)
    assert ("blas" in names) == (p.kind == "gemm")
    named = [c.strategy.name for c in contestants(p, Choice(("torch", "tiled"), ("nchw",)))]
    assert named == ["torch", "tiled"]
    peers = [
        s.name for s in registry.strategies(p.kind) if s.role.is_peer and "halide" not in s.name
    ]
    own_extras = ["tensorflow", "jax"]
    assert peers == [*(["blas"] if p.kind == "gemm" else []), *PACKAGES, *own_extras]


ASK = """
import sys
from convprof.problems import Conv2d
from convprof.strategies import registry
from convprof.strategies.base import Setting
p = Conv2d(c=4, h=9, w=9, k=4, r=3, s=3)
for strategy in registry.strategies("conv2d"):
    strategy.why_not(p, Setting())
print(*{"torch", "onnxruntime", "onnx", "openvino"} & set(sys.modules))
"""


def test_asking_a_library_does_not_import_it():
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


ATTENTIONS = st.builds(
    Attention,
    batch=st.integers(1, 2),
    heads=st.integers(1, 3),
    tokens=st.integers(1, 70),
    dim=st.integers(1, 40),
)


def test_attention_by_pytorch():
    skip_without("torch")

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(ATTENTIONS, st.sampled_from(THREADS), st.sampled_from(COMMON), st.integers(0, 999))
    def problem(p, threads, dtype, seed):
        q, kv = operands(p, dtype, seed)
        prepared = convprof.prepare(p, "torch", threads=threads, dtype=dtype)
        prepared.bind(q, kv)
        for factor in (1, 2):
            q *= factor
            prepared.run()
            reference = p.reference((q, kv))
            y = prepared.output()
            assert (y.shape, y.dtype) == (p.shape, q.dtype)
            assert np.max(np.abs(y - reference)) < TOLERANCE[dtype] * np.max(reference)
        prepared.close()

    problem()
