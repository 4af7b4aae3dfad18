"""The list of strategies, in ladder order. A new strategy is a file and a line here.

A line names the module, the class and, for a class that has one strategy per kind, the kind.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

from convprof.errors import UnknownNameError
from convprof.strategies.epilogue import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convprof.strategies.base import Strategy

STRATEGIES = (
    "conv.direct:Direct",
    "conv.reordered:Reordered",
    "conv.im2col:Im2col",
    "conv.im2col_blas:Im2colBlas",
    "conv.tiled:Tiled",
    "conv.threaded:Threaded",
    "conv.microkernel:Microkernel",
    "conv.winograd:Winograd",
    "conv.fft:Fft",
    "conv.winograd16:Winograd16",
    "conv.split:Split3",
    "conv.split:Split6",
    "tuning.auto:Auto:conv2d",
    "peers.torch.products:TorchConv2d",
    "peers.onnxruntime:OnnxConv2d",
    "peers.openvino:OpenvinoConv2d",
    "peers.tensorflow:TensorflowConv2d",
    "peers.jax:JaxConv2d",
    "peers.halide.strategy:DefaultConv2d",
    "peers.halide.strategy:ReorderConv2d",
    "peers.halide.strategy:TileConv2d",
    "peers.halide.strategy:VectorizeConv2d",
    "peers.halide.strategy:ParallelConv2d",
    "peers.halide.strategy:UnrollConv2d",
    "peers.halide.strategy:TunedConv2d",
    "peers.halide.strategy:MullapudiConv2d",
    "peers.halide.strategy:LiConv2d",
    "peers.halide.strategy:AdamsConv2d",
    "gemm.naive:Naive",
    "gemm.reordered:Reordered",
    "gemm.tiled:Tiled",
    "gemm.threaded:Threaded",
    "gemm.vectorized:Vectorized",
    "gemm.fma:Fma",
    "gemm.unrolled:Unrolled",
    "gemm.packed:Packed",
    "gemm.prepacked:Prepacked",
    "gemm.strassen:Strassen",
    "gemm.split:Split3",
    "gemm.split:Split6",
    "tuning.auto:Auto:gemm",
    "gemm.blas:Blas",
    "peers.torch.products:TorchGemm",
    "peers.onnxruntime:OnnxGemm",
    "peers.openvino:OpenvinoGemm",
    "peers.tensorflow:TensorflowGemm",
    "peers.jax:JaxGemm",
    "peers.halide.strategy:DefaultGemm",
    "peers.halide.strategy:ReorderGemm",
    "peers.halide.strategy:TileGemm",
    "peers.halide.strategy:VectorizeGemm",
    "peers.halide.strategy:ParallelGemm",
    "peers.halide.strategy:UnrollGemm",
    "peers.halide.strategy:TunedGemm",
    "peers.halide.strategy:MullapudiGemm",
    "peers.halide.strategy:LiGemm",
    "peers.halide.strategy:AdamsGemm",
    "attention.naive:Naive",
    "attention.blas:Blas",
    "attention.fused:Fused",
    "attention.streamed:Streamed",
    "tuning.auto:Auto:attention",
    "peers.torch.products:TorchAttention",
    "peers.openvino_attention:OpenvinoAttention",
    "conv.gradients.direct:DirectData",
    "conv.gradients.im2col_data:Im2colData",
    "conv.gradients.im2col_data:Im2colBlasData",
    "conv.gradients.data:MicrokernelData",
    "conv.gradients.winograd:WinogradData",
    "tuning.auto:Auto:conv2d-backward-data",
    "peers.torch.gradients:TorchConvData",
    "conv.gradients.direct:DirectWeights",
    "conv.gradients.im2col_weights:Im2colWeights",
    "conv.gradients.im2col_weights:Im2colBlasWeights",
    "conv.gradients.weights:MicrokernelWeights",
    "tuning.auto:Auto:conv2d-backward-weights",
    "peers.torch.gradients:TorchConvWeights",
    "gemm.gradients.naive:NaiveData",
    "gemm.gradients.tiled:TiledData",
    "gemm.gradients.packed:PackedData",
    "tuning.auto:Auto:gemm-backward-data",
    "gemm.gradients.blas:BlasData",
    "peers.torch.gradients:TorchGemmData",
    "gemm.gradients.naive:NaiveWeights",
    "gemm.gradients.tiled:TiledWeights",
    "gemm.gradients.packed:PackedWeights",
    "tuning.auto:Auto:gemm-backward-weights",
    "gemm.gradients.blas:BlasWeights",
    "peers.torch.gradients:TorchGemmWeights",
    "transposition:Transpose",
    "quantise:Quantise",
    "layers.vectors:Vectors",
    "layers.vectors:AutoOperation",
    "peers.onnx_operation:OnnxOperation",
    "peers.torch.strategy:TorchNetwork",
    "peers.torch.strategy:TorchCompiledNetwork",
    "peers.onnxruntime:OnnxNetwork",
    "peers.openvino:OpenvinoNetwork",
)
KINDS = (
    "conv2d",
    "gemm",
    "attention",
    "operation",
    "network",
    "conv2d-backward-data",
    "conv2d-backward-weights",
    "gemm-backward-data",
    "gemm-backward-weights",
    "reorder",
    "convert",
)


@functools.cache
def _all() -> tuple[Strategy[Any], ...]:
    instances = []
    for entry in STRATEGIES:
        module, name, *kind = entry.split(":")
        strategy = getattr(importlib.import_module(f"convprof.strategies.{module}"), name)
        instances.append(strategy(*kind))
    return tuple(instances)


def strategies(kind: str) -> list[Strategy[Any]]:
    """Return the strategies for ``conv2d`` or ``gemm`` in ladder order."""
    if kind not in KINDS:
        raise UnknownNameError.of("kind of problem", kind, KINDS)
    return [strategy for strategy in _all() if strategy.kind == kind]


def kinds_of(name: str) -> list[str]:
    """Return the kinds of problem that have a strategy of this name."""
    return [kind for kind in KINDS if any(s.kind == kind and s.name == name for s in _all())]


def library_packages() -> list[str]:
    """Return the packages of all libraries, each once."""
    return list(dict.fromkeys(name for strategy in _all() for name in strategy.packages))


def named(kind: str, names: Iterable[str]) -> list[Strategy[Any]]:
    """Return the named strategies that exist for a kind of problem, in the given order."""
    known = {strategy.name for strategy in strategies(kind)}
    return [find(kind, name) for name in names if name.removesuffix(SUFFIX) in known]


def find(kind: str, name: str) -> Strategy[Any]:
    """Return a strategy by name; ``UnknownNameError`` lists the nearest names.

    ``NAME+passes`` is strategy NAME, then the epilogue in passes over the whole result.
    """
    if name.endswith(SUFFIX):
        from convprof.strategies.unfused_epilogue import UnfusedEpilogue

        return UnfusedEpilogue(find(kind, name.removesuffix(SUFFIX)))
    by_name = {strategy.name: strategy for strategy in strategies(kind)}
    if name not in by_name:
        raise UnknownNameError.of(f"{kind} strategy", name, by_name)
    return by_name[name]
