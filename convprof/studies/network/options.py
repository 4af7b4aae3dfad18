"""How a network is run."""

from __future__ import annotations

from dataclasses import dataclass

from convprof.results import NATIVE
from convprof.strategies.base import Setting


@dataclass(frozen=True)
class Options:
    """How a network is to be run."""

    strategies: tuple[str, ...] = ("auto",)
    """The first one that takes a layer computes it."""
    layout: str = "nhwc"
    threads: int = 1
    thread_counts: tuple[int, ...] = ()
    """All numbers of threads that are compared, ``threads`` among them; empty: no comparison."""
    dtype: str = "f32"
    isas: tuple[str, ...] = (NATIVE,)
    """Instruction sets of generated kernels; of several, a chain for each is compared."""
    tune: str = "quick"
    fuse: bool = False
    """Whether batch norms are folded, and activations and sums computed with the layers."""
    libraries: tuple[str, ...] = ()
    """Libraries that run the whole network in the same rounds."""

    @property
    def isa(self) -> str:
        """The instruction set of the layers: the last one named, which is the widest of all."""
        return self.isas[-1]

    @property
    def setting(self) -> Setting:
        """The setting of the chain."""
        return Setting(self.layout, self.dtype, self.threads, self.isa, self.tune)
