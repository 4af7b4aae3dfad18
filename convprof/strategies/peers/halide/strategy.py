"""The strategies: one per schedule, for convolutions and for products."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof import units
from convprof.problems import Conv2d, Gemm
from convprof.strategies.base import Role
from convprof.strategies.peers.halide import sharing
from convprof.strategies.peers.package import Library

if TYPE_CHECKING:
    from convprof.strategies.base import Prepared, Setting

LARGEST_BYTES = (1 << 31) - 1
"""Halide's default indices have 32 bits."""


class Halide(Library[Conv2d | Gemm]):
    """A schedule of Halide's."""

    packages: ClassVar[tuple[str, ...]] = ("halide",)
    role = Role.COMPILER
    schedule: ClassVar[str]
    """A step of the ladder, ``tuned``, or an autoscheduler."""

    def cannot(self, problem: Conv2d | Gemm, setting: Setting) -> str | None:
        """Refuse arrays that are too large, and more threads than the pool has."""
        tensors = problem.operands(setting.layout, setting.types)
        size = max(t.nbytes for t in (*tensors, problem.result(setting.layout, setting.types)))
        if size > LARGEST_BYTES:
            largest = units.size(size)
            return f"{self.name} takes arrays of up to 2 GiB; the largest here has {largest}"
        return self._too_few(setting.threads)

    def _too_few(self, threads: int) -> str | None:
        pool = sharing.pool_size()
        if threads > pool:
            return (
                f"{self.name} has a pool of {pool} threads here, not {threads}: "
                f"set HL_NUM_THREADS={threads} before the start"
            )
        return None

    def prepare(self, problem: Conv2d | Gemm, setting: Setting) -> Prepared:
        """Import Halide, compile, and allocate the result."""
        from convprof.strategies.peers.halide.prepared import BY_KIND

        return BY_KIND[self.kind](self.name, problem, setting, self.schedule)


class Autoscheduled(Halide):
    """A schedule of an autoscheduler. The whole pool shares its loops."""

    def cannot(self, problem: Conv2d | Gemm, setting: Setting) -> str | None:
        """Refuse numbers of threads between one and the pool's."""
        reason = super().cannot(problem, setting)
        pool = sharing.pool_size()
        if reason is None and setting.threads not in (1, pool):
            return (
                f"{self.name} shares its loops among all {pool} threads of Halide's pool, not "
                f"{setting.threads}: set HL_NUM_THREADS={setting.threads} before the start"
            )
        return reason


def _both(
    base: type[Halide], schedule: str, summary: str, *, parallel: bool = True
) -> tuple[type[Halide], type[Halide]]:
    """Return the strategies of a schedule for convolutions and for products."""
    conv, gemm = (
        type(
            base.__name__,
            (base,),
            {
                "__module__": __name__,
                "__doc__": summary,
                "name": f"halide-{schedule.lower()}",
                "kind": kind,
                "schedule": schedule,
                "summary": f"Halide: {summary}",
                "parallel": parallel,
            },
        )
        for kind in ("conv2d", "gemm")
    )
    return conv, gemm


DefaultConv2d, DefaultGemm = _both(
    Halide, "default", "no schedule, the loops as the definition nests them", parallel=False
)
ReorderConv2d, ReorderGemm = _both(
    Halide, "reorder", "the contiguous loop innermost", parallel=False
)
TileConv2d, TileGemm = _both(
    Halide, "tile", "and the sums of a small tile at a time", parallel=False
)
VectorizeConv2d, VectorizeGemm = _both(
    Halide, "tile-vectorize", "and vectors along the contiguous loop", parallel=False
)
ParallelConv2d, ParallelGemm = _both(
    Halide, "parallel", "and strips of tiles, shared by the threads"
)
UnrollConv2d, UnrollGemm = _both(Halide, "unroll", "and the tile unrolled")
TunedConv2d, TunedGemm = _both(
    Halide, "tuned", "a register tile chosen by shape, weights in panels, blocks for L2"
)
MullapudiConv2d, MullapudiGemm = _both(
    Autoscheduled, "Mullapudi2016", "the schedule that Mullapudi2016 finds"
)
LiConv2d, LiGemm = _both(Autoscheduled, "Li2018", "the schedule that Li2018 finds")
AdamsConv2d, AdamsGemm = _both(
    Autoscheduled, "Adams2019", "the schedule that Adams2019 finds, searching greedily"
)
