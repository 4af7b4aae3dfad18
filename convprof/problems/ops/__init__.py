"""What the nodes of a network compute, as frozen values that know shapes and costs."""

from __future__ import annotations

from convprof.problems.epilogue import Function
from convprof.problems.ops.arranging import Concat, Flatten, Pad, Reshape, Slice, Transpose
from convprof.problems.ops.attention import Attention, AttentionMix, AttentionScores
from convprof.problems.ops.base import Op
from convprof.problems.ops.elementwise import (
    Activation,
    Add,
    Affine,
    Clip,
    HardSigmoid,
    Maximum,
    Minimum,
    Multiply,
)
from convprof.problems.ops.normalisation import (
    BatchNorm,
    Bias,
    LayerNorm,
    LayerScale,
    ResponseNorm,
    Softmax,
)
from convprof.problems.ops.pooling import AdaptiveAverage, Pool2d
from convprof.problems.ops.products import Convolution, Linear, MatMul, Product
from convprof.problems.ops.tokens import ClassToken, PositionEmbedding, SelectToken, Tokens

__all__ = [
    "Activation",
    "AdaptiveAverage",
    "Add",
    "Affine",
    "Attention",
    "AttentionMix",
    "AttentionScores",
    "BatchNorm",
    "Bias",
    "ClassToken",
    "Clip",
    "Concat",
    "Convolution",
    "Flatten",
    "Function",
    "HardSigmoid",
    "LayerNorm",
    "LayerScale",
    "Linear",
    "MatMul",
    "Maximum",
    "Minimum",
    "Multiply",
    "Op",
    "Pad",
    "Pool2d",
    "PositionEmbedding",
    "Product",
    "Reshape",
    "ResponseNorm",
    "SelectToken",
    "Slice",
    "Softmax",
    "Tokens",
    "Transpose",
]
