"""``vectorized`` with multiply and add in one instruction.

Removes the limit of ``vectorized``: two instructions per multiply-add, each on a port for a cycle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.codegen import isa as isas
from convprof.strategies.gemm.vectorized import Vectorized

if TYPE_CHECKING:
    from convprof.problems import Gemm
    from convprof.strategies.base import Setting


class Fma(Vectorized):
    """The register tiles of ``vectorized`` on fused multiply-adds."""

    name = "fma"
    summary = "vectorized, with multiply and add in one instruction"
    fused: ClassVar[bool] = True

    def why_not(self, problem: Gemm, setting: Setting) -> str | None:
        """Also refuse an instruction set without the instruction."""
        reason = super().why_not(problem, setting)
        if reason is None and not (isa := isas.find(setting.isa)).fused:
            return f"{self.name} needs fused multiply-adds, which {isa.name} does not have"
        return reason
