"""What the nodes of a network compute, as frozen values that know shapes and costs."""

from __future__ import annotations

from convprof.networks.ops.arranging import Concat, Flatten, Pad, Reshape, Slice, Transpose
from convprof.networks.ops.attention import Attention, AttentionMix, AttentionScores
from convprof.networks.ops.base import Op, Shape, shape_text
from convprof.networks.ops.elementwise import (
    Activation,
    Add,
    Affine,
    Clip,
    HardSigmoid,
    Maximum,
    Minimum,
    Multiply,
)
from convprof.networks.ops.normalisation import (
    BatchNorm,
    Bias,
    LayerNorm,
    LayerScale,
    ResponseNorm,
    Softmax,
)
from convprof.networks.ops.pooling import AdaptiveAverage, Pool2d
from convprof.networks.ops.products import Convolution, Linear, MatMul, Product
from convprof.networks.ops.tokens import ClassToken, PositionEmbedding, SelectToken, Tokens
from convprof.problems.epilogue import Function

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
    "Shape",
    "Slice",
    "Softmax",
    "Tokens",
    "Transpose",
    "shape_text",
]
