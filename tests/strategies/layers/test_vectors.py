"""Every operation of a network on generated kernels, against the float64 reference."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from layer_ops import ALSO_ON_IMAGES, IMAGES, ON_IMAGES, ON_TOKENS, TOKENS

from convprof.codegen import isa
from convprof.dtypes import COMMON, DTYPES, F32
from convprof.problems import ops
from convprof.problems.layouts import LAYOUTS
from convprof.problems.operation import Operation
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.layers.vectors import BUILDERS

BOUND = {"f32": 2e-6, "f64": 1e-13}
each_layout = pytest.mark.parametrize("layout", LAYOUTS)
each_dtype = pytest.mark.parametrize("dtype", COMMON)


def operands_of(problem, seed=0):
    """Return operands in logical shapes; the variance is positive, as variances are."""
    random = np.random.default_rng(seed)
    drawn = [
        random.uniform(-2, 2, shape)
        for shape in tuple(spec.shape for spec in problem.operands("nchw", F32))
    ]
    if "running_var" in problem.op.buffers(*problem.inputs):
        drawn[-1] = np.abs(drawn[-1]) + 0.1
    return drawn


def check(problem, setting, name="vectors"):
    """Compute on values that every run must overwrite, and compare with the reference."""
    drawn = [x.astype(DTYPES[setting.dtype].numpy) for x in operands_of(problem)]
    turned = setting.layout == "nhwc" and problem.laid_out
    strides_of = [
        np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if turned and x.ndim == 4 else x
        for x in drawn
    ]
    prepared = registry.find("operation", name).prepare(problem, setting)
    prepared.bind(*strides_of)
    prepared.output()[...] = np.nan
    prepared.run()
    y = prepared.output()
    assert problem.result(setting.layout, F32).shape == y.shape
    if turned and problem.gives_image:
        y = y.transpose(0, 3, 1, 2)
    expected = problem.reference(drawn)
    assert expected.shape == y.shape
    error = np.abs(y - expected).max() / (np.abs(expected).max() or 1.0)
    # Channels of a pixel that are nearly equal leave few digits of what sets them apart.
    lost = 100 if isinstance(problem.op, ops.LayerNorm | ops.InstanceNorm) else 1
    assert error <= BOUND[setting.dtype] * lost


@pytest.mark.parametrize("op", ON_IMAGES, ids=repr)
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [*((shape, "f32") for shape in IMAGES), (IMAGES[0], "f64"), (IMAGES[2], "f64")],
    ids=str,
)
@each_layout
def test_on_images(op, shape, layout, dtype):
    check(Operation(op=op, inputs=(shape,), laid_out=True), Setting(layout, dtype, 1))


@pytest.mark.parametrize("op", ALSO_ON_IMAGES, ids=repr)
@pytest.mark.parametrize(("shape", "dtype"), [(IMAGES[0], "f32"), (IMAGES[2], "f64")], ids=str)
@each_layout
def test_also_on_images(op, shape, layout, dtype):
    check(Operation(op=op, inputs=(shape,), laid_out=True), Setting(layout, dtype, 1))


@pytest.mark.parametrize("op", ON_TOKENS, ids=repr)
@pytest.mark.parametrize("shape", TOKENS, ids=str)
@each_dtype
def test_on_tokens(op, shape, dtype):
    check(Operation(op=op, inputs=(shape,)), Setting("nhwc", dtype, 1))


@pytest.mark.parametrize("op", [ops.BatchNorm(), ops.Activation("tanh"), ops.Softmax()], ids=repr)
def test_on_features(op):
    check(Operation(op=op, inputs=((3, 37),)), Setting())


PAIRS = [
    ((2, 5, 7, 9), (2, 5, 7, 9)),
    ((2, 5, 7, 9), (2, 5, 1, 1)),
    ((2, 1, 1, 1), (2, 5, 7, 9)),
    ((1, 5, 7, 1), (3, 1, 1, 9)),
    ((1, 40, 6, 6), (1, 40, 1, 1)),
]


@pytest.mark.parametrize("op", [ops.Add(), ops.Multiply(), ops.Maximum(), ops.Minimum()], ids=repr)
@pytest.mark.parametrize("shapes", PAIRS, ids=str)
@each_layout
def test_pairs_repeat_what_has_one_element(op, shapes, layout):
    check(Operation(op=op, inputs=shapes, laid_out=True), Setting(layout))


@pytest.mark.parametrize("axis", range(4))
@each_layout
def test_concat_along_every_axis(axis, layout):
    shape = [2, 5, 6, 7]
    shapes = tuple((*shape[:axis], size, *shape[axis + 1 :]) for size in (1, 3, 18))
    check(Operation(op=ops.Concat(axis), inputs=shapes, laid_out=True), Setting(layout))


@st.composite
def poolings(draw):
    """Return a pooling of an image that it fits."""
    r, s = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    pads = [draw(st.integers(0, size - 1)) for size in (r, s, r, s)]
    op = ops.Pool2d(
        which=draw(st.sampled_from(["max", "avg"])),
        r=r,
        s=s,
        stride=(draw(st.integers(1, 4)), draw(st.integers(1, 4))),
        pad=tuple(pads),
        ceil=draw(st.booleans()),
        count_padding=draw(st.booleans()),
    )
    sizes = (draw(st.integers(1, 2)), draw(st.integers(1, 20)))
    h = draw(st.integers(max(1, r - pads[0] - pads[2]), 20))
    w = draw(st.integers(max(1, s - pads[1] - pads[3]), 40))
    return Operation(op=op, inputs=((*sizes, h, w),), laid_out=True)


def large_window(**more):
    """Return a pooling whose window is a loop, not unrolled."""
    op = ops.Pool2d(r=7, s=6, stride=(2, 1), pad=(3, 2, 3, 2), **more)
    return Operation(op=op, inputs=((2, 5, 9, 11),), laid_out=True)


@example(large_window(which="max"), "nchw", "f32")
@example(large_window(which="avg", count_padding=False), "nhwc", "f64")
@given(poolings(), st.sampled_from(LAYOUTS), st.sampled_from(COMMON))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_pooling_of_any_shape(problem, layout, dtype):
    check(problem, Setting(layout, dtype))


@pytest.mark.parametrize("name", isa.available())
@each_layout
def test_every_instruction_set(name, layout):
    window = ops.Pool2d.square("avg", 3, stride=2, pad=1)
    around = ops.Pad((0, 0, 1, 2), (0, 0, 3, 4))
    for op in (
        ops.BatchNorm(),
        window,
        ops.LayerNorm(),
        ops.AdaptiveAverage(1, 1),
        ops.ResponseNorm(5),
        ops.Clip(-0.5, 0.5),
        around,
    ):
        problem = Operation(op=op, inputs=((2, 19, 9, 11),), laid_out=True)
        check(problem, Setting(layout, isa=name))
    check(Operation(op=ops.Softmax(), inputs=((2, 3, 7),)), Setting(isa=name))


@pytest.mark.parametrize("threads", [2, 5])
@each_layout
def test_threads_share_the_work(threads, layout):
    window = ops.Pool2d.square("max", 3, stride=2, pad=1)
    around = ops.Pad((0, 0, 1, 2), (0, 0, 3, 4))
    for op in (
        ops.BatchNorm(),
        window,
        ops.LayerNorm(),
        ops.Flatten(),
        ops.AdaptiveAverage(1, 1),
        ops.ResponseNorm(5),
        around,
    ):
        problem = Operation(op=op, inputs=((2, 40, 13, 12),), laid_out=True)
        check(problem, Setting(layout, threads=threads), "auto")


@st.composite
def images(draw):
    """Return an operation of an image, or of two."""
    shape = tuple(draw(st.integers(1, most)) for most in (3, 40, 12, 40))
    op = draw(st.sampled_from([*ON_IMAGES, *ALSO_ON_IMAGES, ops.Add()]))
    return Operation(op=op, inputs=(shape,) * (op.arity or 1), laid_out=True)


@given(images(), st.sampled_from(LAYOUTS), st.sampled_from(COMMON))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_images_of_any_shape(problem, layout, dtype):
    check(problem, Setting(layout, dtype))


@pytest.mark.parametrize(
    "op", [ops.Activation("gelu"), ops.LayerNorm(), ops.BatchNorm(), ops.AdaptiveAverage(1, 1)]
)
def test_the_inner_loop_is_shown(op):
    problem = Operation(op=op, inputs=((1, 64, 20, 20),), laid_out=True)
    ((title, code),) = (
        registry.find("operation", "vectors").prepare(problem, Setting()).inner_loops()
    )
    assert "spills" in title
    assert code.splitlines()


def test_an_operation_without_a_kernel_is_refused():
    problem = Operation(op=ops.Linear(3), inputs=((2, 5),))
    reason = registry.find("operation", "vectors").why_not(problem, Setting())
    assert reason == "vectors has no kernel for linear"
    reason = registry.find("operation", "auto").why_not(problem, Setting())
    assert reason == "auto: vectors has no kernel for linear"


OPS = [each for each in vars(ops).values() if isinstance(each, type) and "kind" in vars(each)]


@pytest.mark.parametrize(
    "op", [each for each in OPS if not issubclass(each, ops.Weighted) and not each.is_opaque]
)
def test_every_operation_has_a_kernel(op):
    assert op in BUILDERS, f"name what builds the plan of {op.__name__} in layers/vectors.py"
    module, _, name = BUILDERS[op].partition(":")
    assert callable(getattr(import_module(f"convprof.strategies.layers.{module}"), name))


def test_batch_norm_is_folded_when_it_is_bound():
    problem = Operation(op=ops.BatchNorm(), inputs=((1, 32, 8, 8),), laid_out=True)
    prepared = registry.find("operation", "vectors").prepare(problem, Setting())
    # x and the result once, a factor and a term per channel instead of four vectors
    assert prepared.bytes_moved() == (2 * 32 * 64 + 2 * 32) * 4


@pytest.mark.parametrize("op", [ops.Softmax(), ops.Flatten(), ops.BatchNorm(), ops.Concat(1)])
def test_plans_are_stages_that_a_chain_can_join(op):
    problem = Operation(op=op, inputs=((2, 3, 4, 5),), laid_out=True)
    drawn = [np.ascontiguousarray(x) for x in operands_of(problem)]
    prepared = registry.find("operation", "vectors").prepare(problem, Setting("nchw"))
    prepared.bind(*drawn)
    assert prepared.works()
