from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import convprof
from convprof import api, errors

CONV = {"c": 4, "h": 6, "w": 5, "k": 8, "r": 3, "s": 2}


def python(program):
    """Run a program in a fresh interpreter; return the words it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_public_names():
    problems = ["Attention", "Conv2d", "Gemm", "__version__"]
    functions = ["compile", "from_torch", "load", "measure", "prepare", "strategies"]
    assert [*problems, *functions] == convprof.__all__
    for name in convprof.__all__:
        assert getattr(convprof, name) is not None


def test_a_name_that_does_not_exist():
    with pytest.raises(AttributeError, match="module 'convprof' has no attribute 'Conv3d'"):
        _ = convprof.Conv3d


def test_import_is_light():
    heavy = "{'numpy', 'numba', 'llvmlite', 'rich', 'click', 'psutil', 'cpuinfo'}"
    assert python(f"import sys, convprof; print(*{heavy} & set(sys.modules))") == []


def test_the_problems_alone_do_not_load_the_jit():
    program = (
        "import sys, convprof; convprof.Gemm(m=2, n=2, k=2); print(*{'numba'} & {*sys.modules})"
    )
    assert python(program) == []


@pytest.mark.parametrize(
    "program",
    [
        "import convprof; print(*convprof.strategies('gemm'))",
        "import convprof, convprof.strategies; print(*convprof.strategies('gemm'))",
        "import convprof.strategies.registry, convprof; print(*convprof.strategies('gemm'))",
        "from convprof import strategies; print(*strategies('gemm'))",
        (
            "import convprof; convprof.strategies('gemm'); import convprof.strategies.conv.tiled; "
            "print(*convprof.strategies('gemm'))"
        ),
    ],
)
def test_strategies_is_a_function_before_and_after_the_package_is_imported(program):
    assert convprof.strategies("gemm") == python(program)


def test_strategies_of_each_kind():
    assert convprof.strategies("conv2d")[0] == "direct"
    assert convprof.strategies("gemm")[0] == "naive"
    own = ["naive", "blas", "fused", "streamed", "auto"]
    assert convprof.strategies("attention") == [*own, "torch", "openvino"]
    with pytest.raises(errors.UnknownNameError, match=r"'conv3d': did you mean conv2d"):
        convprof.strategies("conv3d")


def test_the_example_of_the_design():
    p = convprof.Conv2d(
        n=1, c=64, h=56, w=56, k=64, r=3, s=3, stride=(1, 1), pad=(1, 1), dilation=(1, 1), groups=1
    )
    g = convprof.Gemm(m=1024, n=1024, k=1024, batch=1)
    assert (p.macs, g.macs) == (115_605_504, 1 << 30)
    draw = np.random.default_rng(0)
    x = draw.random((1, 56, 56, 64), dtype=np.float32)
    weights = draw.random((64, 64, 3, 3), dtype=np.float32)

    prepared = convprof.prepare(p, strategy="tiled", layout="nhwc", threads=1, dtype="f32")
    prepared.bind(x, weights)
    prepared.run()
    y = prepared.output()

    assert ((1, 56, 56, 64), np.float32) == (y.shape, y.dtype)
    expected = p.reference((x.transpose(0, 3, 1, 2), weights))
    np.testing.assert_allclose(y.transpose(0, 3, 1, 2), expected, rtol=1e-5)


def test_a_problem_may_be_a_text():
    prepared = convprof.prepare("4x9:9x5", "naive")
    assert prepared.problem == convprof.Gemm(m=4, n=5, k=9)


def test_a_gemm_ignores_its_layout():
    g = convprof.Gemm(m=3, n=4, k=5)
    a, b = np.arange(15.0).reshape(3, 5), np.arange(20.0).reshape(5, 4)
    for layout in ("nchw", "nhwc"):
        prepared = convprof.prepare(g, strategy="tiled", layout=layout, dtype="f64")
        prepared.bind(a, b)
        prepared.run()
        np.testing.assert_array_equal(prepared.output(), a @ b)


@pytest.fixture
def cores(monkeypatch):
    """Let the machine have a number of usable CPUs."""

    def have(count, limited_by=None, **topology):
        found = SimpleNamespace(usable_cpus=count, limited_by=limited_by, **topology)
        machine = SimpleNamespace(topology=found)
        monkeypatch.setattr(api, "facts", lambda: machine)

    return have


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"strategy": "tild"},
            errors.UnknownNameError,
            "unknown conv2d strategy 'tild': did you mean tiled?",
        ),
        (
            {"strategy": "tiled", "layout": "nchv"},
            errors.UnknownNameError,
            "unknown layout 'nchv': did you mean nchw?",
        ),
        (
            {"strategy": "tiled", "layout": "NHWC"},
            errors.UnknownNameError,
            "unknown layout 'NHWC': known: nchw, nhwc",
        ),
        (
            {"strategy": "tiled", "dtype": "int9"},
            errors.UnknownNameError,
            "unknown dtype 'int9': did you mean int8?",
        ),
        (
            {"strategy": "threaded", "threads": 0},
            errors.InputError,
            "threads=0: this machine has 4 usable cores. Use 1-4",
        ),
        (
            {"strategy": "threaded", "threads": -1},
            errors.InputError,
            "threads=-1: this machine has 4 usable cores. Use 1-4",
        ),
        (
            {"strategy": "threaded", "threads": 99},
            errors.InputError,
            "threads=99: this machine has 4 usable cores. Use 1-4",
        ),
        (
            {"strategy": "direct", "threads": 2},
            errors.RefusedError,
            "direct runs on one thread, not 2",
        ),
    ],
)
def test_what_prepare_refuses(cores, options, kind, message):
    cores(4)
    with pytest.raises(errors.InputError) as caught:
        convprof.prepare(convprof.Conv2d(**CONV), **options)
    assert (kind, message) == (type(caught.value), str(caught.value))


def test_a_machine_of_one_core(cores):
    cores(1)
    with pytest.raises(errors.InputError) as caught:
        convprof.prepare(convprof.Conv2d(**CONV), strategy="threaded", threads=2)
    assert str(caught.value) == "threads=2: this machine has 1 usable core. Use 1"


def test_a_quota_is_named_where_it_is_the_limit(cores):
    cores(1, "quota", quota_cpus=1.5)
    with pytest.raises(errors.InputError) as caught:
        convprof.prepare(convprof.Conv2d(**CONV), strategy="threaded", threads=2)
    assert str(caught.value) == (
        "threads=2: the CPU quota (cgroup) is 1.5 CPUs, and more threads than 1 would all be "
        "stopped in each period. Use 1"
    )


def test_an_affinity_is_named_where_it_is_the_limit(cores):
    cores(2, "affinity", logical_cpus=8)
    with pytest.raises(errors.InputError, match="may use 2 of this machine's 8 logical CPUs"):
        convprof.prepare(convprof.Conv2d(**CONV), strategy="threaded", threads=3)


def test_a_strategy_of_the_other_kind_is_unknown():
    with pytest.raises(errors.UnknownNameError, match="unknown gemm strategy 'im2col': "):
        convprof.prepare(convprof.Gemm(m=2, n=2, k=2), strategy="im2col")


@pytest.mark.parametrize(
    ("layout", "x", "weights", "message"),
    [
        (
            "nchw",
            (1, 6, 5, 4),
            (8, 4, 3, 2),
            "x has shape (1, 6, 5, 4); this problem needs (1, 4, 6, 5)",
        ),
        (
            "nhwc",
            (1, 4, 6, 5),
            (8, 4, 3, 2),
            "x has shape (1, 4, 6, 5); this problem needs (1, 6, 5, 4)",
        ),
        (
            "nhwc",
            (1, 6, 5, 4),
            (8, 3, 2, 4),
            "weights has shape (8, 3, 2, 4); this problem needs (8, 4, 3, 2)",
        ),
        (
            "nchw",
            (4, 6, 5),
            (8, 4, 3, 2),
            "x has shape (4, 6, 5); this problem needs (1, 4, 6, 5)",
        ),
    ],
)
@pytest.mark.parametrize("strategy", ["direct", "im2col-blas", "tiled"])
def test_bind_refuses_operands_of_another_shape(strategy, layout, x, weights, message):
    prepared = convprof.prepare(convprof.Conv2d(**CONV), strategy=strategy, layout=layout)
    with pytest.raises(errors.ProblemError) as caught:
        prepared.bind(np.zeros(x), np.zeros(weights))
    assert message == str(caught.value)


@pytest.mark.parametrize("strategy", ["naive", "tiled", "blas"])
def test_bind_refuses_matrices_of_another_shape(strategy):
    prepared = convprof.prepare(convprof.Gemm(m=2, n=3, k=4), strategy=strategy)
    with pytest.raises(errors.ProblemError, match=r"\(1, 2, 4\); this problem needs \(2, 4\)"):
        prepared.bind(np.zeros((1, 2, 4)), np.zeros((4, 3)))
    with pytest.raises(errors.ProblemError, match=r"\(3, 4\); this problem needs \(4, 3\)"):
        prepared.bind(np.zeros((2, 4)), np.zeros((3, 4)))
    batched = convprof.prepare(convprof.Gemm(m=2, n=3, k=4, batch=5), strategy=strategy)
    with pytest.raises(errors.ProblemError, match=r"needs \(5, 2, 4\)"):
        batched.bind(np.zeros((2, 4)), np.zeros((4, 3)))
