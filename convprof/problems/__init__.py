"""What is computed, and nothing about how: ``Conv2d``, ``Gemm``, ``Attention`` and their texts."""

from __future__ import annotations

from convprof.problems.attention import Attention
from convprof.problems.base import Problem, Trainable
from convprof.problems.batch import Batch, BatchEntry, LeftOut, read_batch
from convprof.problems.conv2d import Conv2d, as_convolution
from convprof.problems.descriptor import parse
from convprof.problems.flags import attention_from_flags, conv2d_from_flags, gemm_from_flags
from convprof.problems.gemm import Gemm
from convprof.problems.gradients import Backward, BackwardData, BackwardWeights
from convprof.problems.layout_conversion import LayoutConversion
from convprof.problems.network import NetworkProblem
from convprof.problems.operation import Operation
from convprof.problems.type_conversion import TypeConversion
from convprof.problems.typed import TypedProblem

__all__ = [
    "Attention",
    "Backward",
    "BackwardData",
    "BackwardWeights",
    "Batch",
    "BatchEntry",
    "Conv2d",
    "Gemm",
    "LayoutConversion",
    "LeftOut",
    "NetworkProblem",
    "Operation",
    "Problem",
    "Trainable",
    "TypeConversion",
    "TypedProblem",
    "as_convolution",
    "attention_from_flags",
    "conv2d_from_flags",
    "gemm_from_flags",
    "parse",
    "read_batch",
]
