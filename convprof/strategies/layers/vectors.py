"""Operations of networks on generated vector kernels: a plan of stages for each operation.

A function ``(op, problem, setting) -> Plan`` builds an operation's plan. ``BUILDERS`` names the
functions; none of them is imported before it is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from convprof.dtypes import ATTENTION_BYTES, COMMON, SHORT_FLOATS
from convprof.problems import Operation, ops
from convprof.strategies.base import Role, Setting, Strategy
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.strategies.base import Prepared
    from convprof.strategies.plan import Plan

    Builder = Callable[[Any, Operation, Setting], Plan]
    """The arguments: the operation, of the class that the table names, and its problem."""

NARROWING = tuple(f"f32:{short}:{short}" for short in SHORT_FLOATS)
"""The types of what reads f32 in a network of bf16 or f16."""
BUILDERS: dict[type[ops.Op], str] = {
    ops.Activation: "elementwise:activation",
    ops.Affine: "elementwise:affine",
    ops.Elementary: "elementwise:elementary",
    ops.Clip: "elementwise:clip",
    ops.HardSigmoid: "elementwise:hard_sigmoid",
    ops.Elu: "elementwise:elu",
    ops.Add: "elementwise:add",
    ops.Maximum: "elementwise:maximum",
    ops.Minimum: "elementwise:minimum",
    ops.Multiply: "elementwise:multiply",
    ops.Divide: "elementwise:divide",
    ops.Power: "elementwise:power",
    ops.Compare: "elementwise:compare",
    ops.Select: "elementwise:select",
    ops.Bias: "elementwise:bias",
    ops.LayerScale: "elementwise:layer_scale",
    ops.Terms: "elementwise:terms",
    ops.Factors: "elementwise:factors",
    ops.BatchNorm: "elementwise:batch_norm",
    ops.PositionEmbedding: "elementwise:position",
    ops.Pool2d: "pooling:pool",
    ops.AdaptiveAverage: "pooling:adaptive_average",
    ops.LayerNorm: "norms:layer_norm",
    ops.RmsNorm: "norms:rms_norm",
    ops.InstanceNorm: "norms:instance_norm",
    ops.ResponseNorm: "norms:response_norm",
    ops.Softmax: "norms:softmax",
    ops.LogSoftmax: "norms:log_softmax",
    ops.Recurrent: "recurrent:recurrent",
    ops.Flatten: "arranging:in_order",
    ops.Reshape: "arranging:in_order",
    ops.Tokens: "arranging:tokens",
    ops.Transpose: "arranging:transpose",
    ops.Rearranged: "arranging:rearranged",
    ops.Expand: "arranging:expand",
    ops.Slice: "arranging:cut",
    ops.Part: "arranging:part",
    ops.Pad: "padding:pad",
    ops.SelectToken: "arranging:select_token",
    ops.Upsample: "arranging:upsample",
    ops.Resize: "resizing:resize",
    ops.Embedding: "indexing:embedding",
    ops.RunningSum: "along_axis:running_sum",
    ops.Place: "along_axis:place",
    ops.ChosenRow: "indexing:chosen_row",
    ops.Converted: "indexing:converted",
    ops.Known: "indexing:known",
    ops.Concat: "arranging:concat",
    ops.ClassToken: "arranging:class_token",
    ops.AttentionScores: "attention_products:scores",
    ops.AttentionMix: "attention_products:mix",
    ops.MatMul: "attention_products:matmul",
    ops.Attention: "fused_attention:packed",
    ops.RearrangedAttention: "fused_attention:rearranged",
}
"""By class of operation: a module of this folder and the function in it that builds the plan."""


def builder(op: ops.Op) -> Builder:
    """Return the function that builds an operation's plan."""
    place, _, name = BUILDERS[type(op)].partition(":")
    module = importlib.import_module(f"convprof.strategies.layers.{place}")
    function: Builder = getattr(module, name)
    return function


class Vectors(Planned[Operation]):
    """Every operation on kernels that are generated for it."""

    name = "vectors"
    kind = "operation"
    summary = "generated kernels, vectors along a dense axis"
    parallel = True
    generated = True
    dtypes = (*COMMON, *SHORT_FLOATS, "u8", *NARROWING, *ATTENTION_BYTES)

    def why_not(self, problem: Operation, setting: Setting) -> str | None:
        """Refuse operations without a builder."""
        reason = super().why_not(problem, setting)
        if reason is not None:
            return reason
        if setting.dtype in NARROWING and not problem.op.takes_exact:
            return f"{self.name} computes {problem.op.text} in one type, not {setting.type_name}"
        if setting.dtype in ATTENTION_BYTES:
            attends = problem.op.byte_attention(*problem.inputs) is not None
            what = f"{self.name} computes {problem.op.text} in one type"
            return None if attends else f"{what}, not {setting.type_name}"
        if setting.types.source.is_exact and not problem.op.keeps_bytes:
            return f"{self.name} computes {problem.op.text} in floats, not {setting.type_name}"
        has_builder = type(problem.op) in BUILDERS
        return None if has_builder else f"{self.name} has no kernel for {problem.op.text}"

    def plan(self, operation: Operation, setting: Setting) -> Plan:
        """Return the plan that the operation's builder makes."""
        return builder(operation.op)(operation.op, operation, setting)


class AutoOperation(Strategy[Operation]):
    """Our own kernels; for an opaque operation the library that computes it."""

    name = "auto"
    kind = "operation"
    summary = "vectors; ONNX Runtime for an operator of a file that nothing else computes"
    role = Role.CHOOSER
    parallel = True
    generated = True
    dtypes = Vectors.dtypes

    def why_not(self, problem: Operation, setting: Setting) -> str | None:
        """Refuse what the chosen one refuses."""
        if problem.kind != self.kind:
            return super().why_not(problem, setting)
        reason = _chosen(problem).why_not(problem, setting)
        return None if reason is None else f"{self.name}: {reason}"

    def prepare(self, problem: Operation, setting: Setting) -> Prepared:
        """Allocate and compile."""
        return _chosen(problem).prepare(problem, setting)


def _chosen(problem: Operation) -> Strategy[Operation]:
    from convprof.strategies.peers.onnx_operation import OnnxOperation

    return OnnxOperation() if problem.is_opaque else Vectors()
