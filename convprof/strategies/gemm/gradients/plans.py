"""Plans of the backward passes of a product, which are products themselves.

    backward-data     dA (m, k)  =  dC (m, n) B^T
    backward-weights  dB (k, n)  =  A^T dC (m, n)

Buffer ``x`` is the first operand (dC, A), ``weights`` the second one (B, dC).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import F32
from convprof.problems import BackwardData, Gemm
from convprof.strategies.plan import Packed, Plan
from convprof.strategies.transposition import transposed

if TYPE_CHECKING:
    from convprof.problems import Backward, Problem
    from convprof.strategies.base import Setting

B_TURNED = "b_turned"


def forward_of(problem: Problem) -> Gemm:
    """Return the product whose gradient a problem is."""
    forward = getattr(problem, "forward", None)
    if not isinstance(forward, Gemm):
        raise TypeError(f"{problem.kind} is no backward pass of a product")
    return forward


def as_product(problem: Problem) -> Gemm:
    """Return the product that a backward pass is, once one operand is transposed."""
    g = forward_of(problem)
    if isinstance(problem, BackwardData):
        return Gemm(m=g.m, n=g.k, k=g.n, batch=g.batch)
    return Gemm(m=g.k, n=g.n, k=g.m, batch=g.batch)


def empty_plan(problem: Backward[Gemm]) -> Plan:
    """Return a plan with the operands' and the result's shapes and no steps yet."""
    first, second = problem.operands("nchw", F32)
    return Plan(first.shape, second.shape, problem.result("nchw", F32).shape)


def b_turned(g: Gemm, setting: Setting) -> Packed:
    """Return the transposition of B, ``(batch, n, k)``: it depends on the weights alone."""
    return transposed((g.batch, g.k, g.n), setting)
