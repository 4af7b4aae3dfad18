"""Activations, sums, products, and factors and terms per channel: each element on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems.shapes import channel_axis
from convprof.strategies.layers.stages import (
    KernelContext,
    Nest,
    input_strides,
    named,
    plan_of,
    repeated,
    result_strides,
    row_major,
    rows_stage,
)
from convprof.strategies.plan import Buffer, Packed, Plan, X, Y

if TYPE_CHECKING:
    from convprof.codegen.kernels.elementwise import Join
    from convprof.problems import ops
    from convprof.problems.epilogue import Function
    from convprof.problems.operation import Operation
    from convprof.problems.ops.elementary import ElementaryFunction
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

SCALE, SHIFT, ELEMENTS = "scale", "shift", "elements"
NHWC_AXES = [0, 2, 3, 1]
_RELATIONS: dict[str, Join] = {
    "equal": "is equal",
    "not equal": "is not equal",
    "less": "is less",
    "at most": "is at most",
    "more": "is more",
    "at least": "is at least",
}
_POWERS: dict[float, Join] = {0.5: "root", -0.5: "reciprocal root", -1.0: "reciprocal"}


def activation(op: ops.Activation, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a function of every element."""
    return _plan(problem, setting, op.function, {})


def elementary(op: ops.Elementary, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of an elementary function of every element."""
    return _plan(problem, setting, op.function, {})


def affine(op: ops.Affine, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of the same factor and term for all elements."""
    return _plan(problem, setting, "affine", {}, (op.factor, op.term))


def clip(op: ops.Clip, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of one limit, or two, for all elements."""
    limits = tuple(limit for limit in (op.low, op.high) if limit is not None)
    step: Join = "clip" if len(limits) > 1 else "at most" if op.low is None else "at least"
    return _plan(problem, setting, step, {}, limits)


def hard_sigmoid(op: ops.HardSigmoid, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a linear function clamped to 0 and 1."""
    return _plan(problem, setting, "ramp", {}, (op.alpha, op.beta))


def elu(op: ops.Elu, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of an exponential below 0."""
    return _plan(problem, setting, "elu", {}, (op.alpha * op.factor, op.factor))


def add(_: ops.Add, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of the sum of two activations."""
    return _pair(problem, setting, "add")


def maximum(_: ops.Maximum, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of the larger of two activations."""
    return _pair(problem, setting, "maximum")


def minimum(_: ops.Minimum, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of the smaller of two activations."""
    return _pair(problem, setting, "minimum")


def multiply(_: ops.Multiply, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of the product of two activations."""
    return _pair(problem, setting, "multiply")


def divide(_: ops.Divide, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of the quotient of two activations."""
    return _pair(problem, setting, "divide")


def compare(op: ops.Compare, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a relation with another activation, or with a number."""
    constants = () if op.number is None else (op.number,)
    return _pair(problem, setting, _RELATIONS[op.relation], constants)


def select(op: ops.Select, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a choice between two activations, or numbers."""
    constants = tuple(each for each in (op.then, op.otherwise) if each is not None)
    second = op.then is not None and op.otherwise is None
    return _pair(problem, setting, "select second" if second else "select", constants)


def power(op: ops.Power, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a root, a reciprocal or both."""
    return _plan(problem, setting, _POWERS[op.exponent], {})


def _pair(
    problem: Operation, setting: Setting, step: Join, constants: tuple[float, ...] = ()
) -> Plan:
    """Return the plan of a step of activations, whose axes of size 1 are repeated."""
    read = zip(input_strides(problem, setting.layout), problem.inputs, strict=True)
    strides = (repeated(each, shape) for each, shape in read)
    nest = Nest(problem.output, (*strides, result_strides(problem, setting.layout)))
    plan = plan_of(problem)
    context, buffers = KernelContext(setting), (*plan.operands, Y)
    plan.steps = [rows_stage(problem.op.kind, step, nest, buffers, context, constants=constants)]
    return plan


def bias(_: ops.Bias, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a term per channel."""
    return _per_channel(problem, setting, "add")


def layer_scale(_: ops.LayerScale, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a factor per channel."""
    return _per_channel(problem, setting, "multiply")


def _per_channel(problem: Operation, setting: Setting, step: Join) -> Plan:
    (name,) = named(problem)
    return _plan(problem, setting, step, {name: along_channels(problem)})


def batch_norm(op: ops.BatchNorm, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a factor and a term per channel, computed by ``bind`` from the statistics.

    x weight / sqrt(variance + eps) + (bias - mean weight / sqrt(variance + eps)).
    """
    channels = along_channels(problem)
    plan = _plan(problem, setting, "scale and shift", {SCALE: channels, SHIFT: channels})
    c = problem.output[channel_axis(problem.output)]
    per_channel = Buffer((c,), setting.types.accumulator)

    def scale(weight: Array, variance: Array) -> Array:
        factor: Array = weight / np.sqrt(variance.astype(np.float64) + op.eps)
        return factor

    def shift(weight: Array, bias: Array, mean: Array, variance: Array) -> Array:
        term: Array = bias - mean * scale(weight, variance)
        return term

    statistics = ("weight", "bias", "running_mean", "running_var")
    plan.packed = {
        SCALE: Packed(per_channel, scale, ("weight", "running_var")),
        SHIFT: Packed(per_channel, shift, statistics),
    }
    return plan


def position(_: ops.PositionEmbedding, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a term per token and channel, the same for every image."""
    t, c = problem.output[1:]
    return _plan(problem, setting, "add", {"weight": (0, *row_major((t, c)))})


def terms(op: ops.Terms, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a term per element."""
    return _per_element(op, problem, setting, "add")


def factors(op: ops.Factors, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a factor per element."""
    return _per_element(op, problem, setting, "multiply")


def _per_element(
    op: ops.Terms | ops.Factors, problem: Operation, setting: Setting, step: Join
) -> Plan:
    """Return the plan for a tensor, stored by ``bind`` in the order of the activation's axes."""
    axes = list(range(len(op.shape)))
    order = NHWC_AXES if problem.gives_image and setting.layout == "nhwc" else axes
    stored = tuple(op.shape[axis] for axis in order)
    steps = dict(zip(order, row_major(stored), strict=True))
    strides = repeated([steps[axis] for axis in axes], op.shape)
    plan = _plan(problem, setting, step, {ELEMENTS: strides})

    def in_order(weight: Array) -> Array:
        return np.ascontiguousarray(weight.transpose(order))

    buffer = Buffer(stored, setting.types.weights)
    plan.packed = {ELEMENTS: Packed(buffer, in_order, ("weight",))}
    return plan


def along_channels(problem: Operation) -> tuple[int, ...]:
    """Return the strides of a vector with one number per channel."""
    axis = channel_axis(problem.output)
    return tuple(int(i == axis) for i in range(len(problem.output)))


def _plan(
    problem: Operation,
    setting: Setting,
    step: Join | Function | ElementaryFunction,
    vectors: dict[str, tuple[int, ...]],
    constants: tuple[float, ...] = (),
) -> Plan:
    """Return the plan for one activation and vectors of given strides, by buffer name."""
    (x,) = input_strides(problem, setting.layout)
    nest = Nest(problem.output, (x, *vectors.values(), result_strides(problem, setting.layout)))
    plan = plan_of(problem)
    buffers = (X, *vectors, Y)
    stage = rows_stage(
        problem.op.kind,
        step,
        nest,
        buffers,
        KernelContext(setting),
        constants=constants,
        roles={SCALE: "accumulator", SHIFT: "accumulator"},
    )
    plan.steps = [stage]
    return plan
