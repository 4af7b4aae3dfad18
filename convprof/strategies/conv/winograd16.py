"""``winograd`` in bf16 whose transformed numbers are rounded to bf16, and multiplied as pairs.

``winograd`` multiplies in f32, with half of the products of an instruction for pairs of bf16. A 3x3
filter at stride 2 saves less than half of the products, so there only rounded numbers are faster
than direct tiles. The points are 0, 1, -1 and infinity: transforms add and subtract only, and the
error is about twice the error of a rounded result. ``auto`` takes it with ``--max-error``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.kernels.ways import bf16_dot
from convprof.integers import ceil_div
from convprof.strategies.base import Role
from convprof.strategies.conv.winograd import Winograd, spelled_filter
from convprof.strategies.conv.winograd_types import rounded_types

if TYPE_CHECKING:
    from convprof.dtypes import Types
    from convprof.problems import Conv2d
    from convprof.strategies.base import Setting
    from convprof.strategies.conv.winograd_types import StageTypes

ADDED_ERROR = 2.0**-7
"""The relative error that rounding transformed numbers adds, at most: two roundings to bf16. At
most 4.3e-3 was measured, for 64 to 512 channels of uniform and of positive numbers."""
MOST_TAPS = 3
"""Taps of a phase; the points of F(2, 4) are not 0, 1 and -1 alone."""


class Winograd16(Winograd):
    """F(2, 2), F(3, 2) and F(2, 3) on transformed numbers of bf16."""

    name = "winograd16"
    summary = "winograd in bf16, transformed numbers rounded: twice the rounding error"
    role = Role.VARIANT
    dtypes = ("bf16",)
    added_error = ADDED_ERROR

    def why_not(self, p: Conv2d, setting: Setting) -> str | None:
        """Refuse what ``winograd`` refuses, long phases, and a CPU without pairs of bf16."""
        reason = super().why_not(p, setting)
        if reason is not None:
            return reason
        isa = isas.find(setting.isa)
        if bf16_dot(isa) is None:
            return f"{self.name} needs an instruction for pairs of bf16, which {isa.name} has not"
        taps = [ceil_div(*each) for each in zip((p.r, p.s), p.stride, strict=True)]
        if max(taps) > MOST_TAPS:
            most = f"at most {MOST_TAPS} times the stride"
            return f"{self.name} needs a filter of {most}; got {spelled_filter(p)}"
        return None

    def stages(self, types: Types) -> StageTypes:
        """Return the types of each stage: bf16 between the transforms."""
        return rounded_types(types)
