"""Operators that are computed of weights: only those that need no more memory than their tensors.

The onnx package's evaluator takes the attributes of a file as they are: a dilation or a padding may
make an intermediate of any size, and operands may broadcast beyond the shape that was inferred.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.networks.onnx.node import Constant, FileNode
    from convprof.problems.shapes import Shape

_BROADCASTING = frozenset(
    [
        "Abs",
        "Acos",
        "Acosh",
        "Add",
        "And",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "BitShift",
        "BitwiseAnd",
        "BitwiseNot",
        "BitwiseOr",
        "BitwiseXor",
        "Ceil",
        "Celu",
        "Clip",
        "Cos",
        "Cosh",
        "Div",
        "Elu",
        "Equal",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "Greater",
        "GreaterOrEqual",
        "HardSigmoid",
        "HardSwish",
        "IsInf",
        "IsNaN",
        "LayerNormalization",
        "LeakyRelu",
        "Less",
        "LessOrEqual",
        "Log",
        "Max",
        "Mean",
        "Min",
        "Mish",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "PRelu",
        "Pow",
        "RMSNormalization",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Sin",
        "Sinh",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Sub",
        "Sum",
        "Swish",
        "Tan",
        "Tanh",
        "ThresholdedRelu",
        "Where",
        "Xor",
    ]
)
"""Their result has the shape to which NumPy broadcasts all operands."""
_BOUNDED = frozenset(
    [
        "ArgMax",
        "ArgMin",
        "Cast",
        "CastLike",
        "Concat",
        "ConstantOfShape",
        "CumSum",
        "DepthToSpace",
        "DequantizeLinear",
        "Expand",
        "EyeLike",
        "Flatten",
        "Gather",
        "GatherElements",
        "GatherND",
        "Gemm",
        "Hardmax",
        "Identity",
        "LogSoftmax",
        "LpNormalization",
        "MatMul",
        "Pad",
        "QuantizeLinear",
        "Range",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "ReduceSumSquare",
        "Reshape",
        "Resize",
        "ReverseSequence",
        "ScatterElements",
        "ScatterND",
        "Slice",
        "Softmax",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "TopK",
        "Transpose",
        "Trilu",
        "Unsqueeze",
    ]
)
"""All others whose intermediates have at most as many numbers as operands and result, times the
axes; convolutions and pooling pad and dilate, so that they are not among them."""
_PER_CHANNEL = frozenset(["BatchNormalization", "InstanceNormalization"])
"""Their other operands have one number per channel: standardised weights are computed like this."""
OPERATORS = _BROADCASTING | _BOUNDED | _PER_CHANNEL


def check_known(node: FileNode) -> None:
    """Raise InputError for an operator that may need more memory than its tensors."""
    if node.kind not in OPERATORS:
        raise node.refused("it is not supported on weights; export with constants folded")


def check_size(node: FileNode, inputs: Sequence[Constant | None], result: Shape) -> None:
    """Raise InputError where the evaluator would make more numbers than the inferred result has."""
    shapes = [None if each is None else each.shape for each in inputs]
    known = [shape for shape in shapes if shape is not None]
    if node.kind == "QuantizeLinear":
        for scale in known[1:]:
            check_scale(node, known[0], scale)
    elif node.kind == "Range":
        _check_range(node, inputs, result)
    elif node.kind in _PER_CHANNEL:
        if any(shape != known[0][1:2] for shape in known[1:]):
            raise node.refused("its operands do not have one number per channel")
    elif node.kind in _BROADCASTING or node.kind == "Gemm":
        operands = known if node.kind in _BROADCASTING else [result, *known[2:]]
        if np.broadcast_shapes(*operands) != result:
            raise node.refused("its operands have more numbers than its result")


def _check_range(node: FileNode, inputs: Sequence[Constant | None], result: Shape) -> None:
    start, limit, delta = (
        None if each is None or each.values is None else each.values.item() for each in inputs
    )
    if start is None or limit is None or not delta:
        raise node.refused("its numbers must be known: small constants within the file")
    whole = all(isinstance(each, int) for each in (start, limit, delta))
    count = -((start - limit) // delta) if whole else math.ceil((limit - start) / delta)
    if (max(0, count),) != result:
        raise node.refused("its numbers do not fit its type")


def check_scale(node: FileNode, shape: Shape, scale: Shape) -> None:
    """Raise InputError for a scale or zero point that does not fit a tensor of a shape.

    There is one number for the tensor, for each slice of an axis, or for each block of an axis.
    """
    if math.prod(scale) == 1:
        return
    axis, block = node.integer("axis", 1), node.integer("block_size", 0)
    unfit = node.refused("its scale or zero point does not fit the weights")
    if not -len(shape) <= axis < len(shape) or not 0 <= block <= shape[axis]:
        raise unfit
    axis %= len(shape)
    slices = (shape[axis],)
    blocks = (*shape[:axis], ceil_div(shape[axis], block or 1), *shape[axis + 1 :])
    if scale != (blocks if block else slices):
        raise unfit
