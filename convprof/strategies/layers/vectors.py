"""Operations of networks on generated vector kernels, a plan of stages each.

A function ``(op, problem, setting) -> Plan`` builds an operation's plan. ``BUILDERS`` names the
functions; none of them is imported before it is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.problems import ops
from convprof.strategies.base import Prepared, Setting, Strategy

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems import Problem
    from convprof.problems.operation import Operation
    from convprof.strategies.plan import Plan

    Builder = Callable[[Any, Operation, Setting], Plan]
    """Of the operation, which has the class that the table names, and of its problem."""

BUILDERS: dict[type[ops.Op], str] = {
    ops.Activation: "elementwise:activation",
    ops.Affine: "elementwise:affine",
    ops.Clip: "elementwise:clip",
    ops.HardSigmoid: "elementwise:hard_sigmoid",
    ops.Add: "elementwise:add",
    ops.Maximum: "elementwise:maximum",
    ops.Minimum: "elementwise:minimum",
    ops.Multiply: "elementwise:multiply",
    ops.Bias: "elementwise:bias",
    ops.LayerScale: "elementwise:layer_scale",
    ops.BatchNorm: "elementwise:batch_norm",
    ops.PositionEmbedding: "elementwise:position",
    ops.Pool2d: "pooling:pool",
    ops.AdaptiveAverage: "pooling:adaptive_average",
    ops.LayerNorm: "norms:layer_norm",
    ops.ResponseNorm: "norms:response_norm",
    ops.Softmax: "norms:softmax",
    ops.Flatten: "arranging:in_order",
    ops.Reshape: "arranging:in_order",
    ops.Tokens: "arranging:tokens",
    ops.Transpose: "arranging:transpose",
    ops.Slice: "arranging:cut",
    ops.Pad: "padding:pad",
    ops.SelectToken: "arranging:select_token",
    ops.Concat: "arranging:concat",
    ops.ClassToken: "arranging:class_token",
    ops.AttentionScores: "attention_products:scores",
    ops.AttentionMix: "attention_products:mix",
    ops.MatMul: "attention_products:matmul",
    ops.Attention: "fused_attention:attention",
}
"""By class of operation: a module of this folder and the function in it that builds the plan."""


def builder(op: ops.Op) -> Builder:
    """Return the function that builds an operation's plan."""
    place, _, name = BUILDERS[type(op)].partition(":")
    module = importlib.import_module(f"convprof.strategies.layers.{place}")
    function: Builder = getattr(module, name)
    return function


class Vectors(Strategy):
    """Every operation on kernels that are generated for it."""

    name: ClassVar[str] = "vectors"
    kind: ClassVar[str] = "operation"
    summary: ClassVar[str] = "generated kernels, vectors along whatever axis is dense"
    parallel: ClassVar[bool] = True
    generated: ClassVar[bool] = True

    def why_not(self, problem: Problem, setting: Setting) -> str | None:
        """Refuse operations that nobody builds a plan for."""
        reason = super().why_not(problem, setting)
        if reason is not None:
            return reason
        op: Any = problem.op  # type: ignore[union-attr]  # problems of other kinds were refused
        return None if type(op) in BUILDERS else f"{self.name} has no kernel for {op.text}"

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """Build the plan, allocate and compile."""
        from convprof.strategies.plan_runner import StagedPrepared
        from convprof.strategies.transposition import count_tables

        operation: Operation = problem  # type: ignore[assignment]  # why_not refused other kinds
        op: ops.Op = operation.op
        plan = builder(op)(op, operation, setting)
        count_tables(plan)
        return StagedPrepared(self.name, problem, setting, plan)


class AutoOperation(Vectors):
    """The best of our own operations: there is one."""

    name: ClassVar[str] = "auto"
    summary: ClassVar[str] = "vectors, the only one"
    listed: ClassVar[bool] = False
